"""Parts of a report's page that have a shape of their own: charts, the months, costs, checks, trades.

Must not know how figures come about. Called by trader.evaluation.page.
"""

import base64
from collections.abc import Mapping
from importlib import resources

from trader.evaluation.assessment import Assessment
from trader.evaluation.baselines import Baseline
from trader.evaluation.market import SHOWN
from trader.evaluation.markup import (
    DASH,
    Column,
    Markup,
    join,
    lean,
    number,
    panel,
    percent,
    table,
    tag,
)
from trader.evaluation.page_data import LISTED
from trader.evaluation.regimes import REGIMES
from trader.evaluation.stress import CostLevel
from trader.evaluation.trips import EndFigures

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
STRONGEST = 45
"""Percent of colour in the strongest cell of the months: text stays readable on it."""


def bar(about: str) -> Markup:
    """Give the top of the page."""
    mark = (resources.files("trader.dashboard") / "static" / "mark.svg").read_bytes()
    icon = f"data:image/svg+xml;base64,{base64.b64encode(mark).decode()}"
    image = Markup(f'<img src="{icon}" width="32" height="32" alt="">')
    who = tag("div", image, tag("h1", "Seamark"), tag("span", "BACKTEST", class_="badge"), class_="who")
    return tag("header", who, tag("span", about, class_="state"), id="bar")


def charts(figures: Assessment) -> Markup:
    """Give the place and the legend of the equity chart; its height is fixed, so nothing jumps."""
    hold = figures.hold is not None
    entries = [("line net", "after fees"), ("line gross", "before fees"), ("area drag", "taken by fees")]
    entries += [("line held", "buy and hold")] if hold else []
    entries += [("area oos", "out of sample")]
    entries += [(f"area r{n}", name) for n, name in enumerate(REGIMES)] if figures.regimes else []
    legend = tag("ul", *(tag("li", tag("i", class_=kind), text) for kind, text in entries), class_="legend")
    told = (
        f"Equity over time. {figures.verdict} Below it the kind of market, trades a day, and the drawdown. "
        "The figures are in the tables of this page."
    )
    plot = tag(
        "div",
        tag("p", "The chart needs JavaScript.", class_="empty"),
        id="equity-chart",
        role="img",
        aria_label=told,
    )
    return panel(
        "Equity, trades a day, drawdown", plot, legend, count="drag to zoom, double-click to see all"
    )


def months(figures: Assessment) -> Markup:
    """Give the months as a heat map that is a table: years down, months across."""
    found = {one.name: one.returns.total for one in figures.months}
    largest = max((abs(value) for value in found.values() if value), default=0.0)
    years = sorted({name[:4] for name in found})
    rows = []
    for year in years:
        cells = [tag("th", year, scope="row")]
        whole = 1.0
        for month in range(1, 13):
            value = found.get(f"{year}-{month:02d}")
            whole *= 1.0 + (value or 0.0)
            cells.append(
                tag("td", "" if value is None else percent(value, plus=True), style=_heat(value, largest))
            )
        rows.append(tag("tr", *cells, tag("td", percent(whole - 1.0, plus=True), class_="year")))
    heads = [tag("th", name, scope="col") for name in ("Year", *MONTHS, "All")]
    short = figures.monthly
    said = (
        f"A month made {percent(short.mean, 2, plus=True)} on average, {percent(short.best, plus=True)} "
        f"at best, {percent(short.worst, plus=True)} at worst; "
        f"{percent(short.positive, 0)} of {short.months} gained."
    )
    grid = tag(
        "table",
        tag("caption", "Return of each month after fees", class_="hidden"),
        tag("thead", tag("tr", *heads)),
        tag("tbody", *rows),
        class_="heat",
    )
    scroll = tag("div", grid, class_="scroll", tabindex="0", role="region", aria_label="Return of each month")
    return panel("Return of each month", scroll, tag("p", said, class_="small"))


def counted(figures: Assessment) -> str:
    """Say which days a table speaks of."""
    return f"{figures.headline.returns.days:,} days {figures.headline.name}" if figures.evidence else ""


def costs(figures: Assessment) -> Markup:
    """Give the table of cost levels."""
    stress = figures.stress
    columns: list[Column[CostLevel]] = [
        Column("Costs", lambda c: "none" if not c.factor else f"\u00d7 {c.factor:g}", "name"),
        Column("Paid", lambda c: number(c.costs)),
        Column("Net", lambda c: lean(c.net, number(c.net, 2, plus=True))),
        Column("Return", lambda c: percent(c.total_return, 2, plus=True)),
    ]
    fee, paid = stress.break_even_fee_bps, stress.paid_fee_bps
    if fee is None or paid is None:
        said = "Without a trade there is no break-even fee."
    elif fee <= 0:
        said = (
            f"The trades lost before any fee ({number(paid, 1)} bps a side were paid): no fee is low enough."
        )
    else:
        said = f"Break-even at a fee of {number(fee, 1)} bps a side; {number(paid, 1)} bps were paid."
    return panel(
        "If costs were different",
        table("Result at other costs", columns, stress.levels),
        tag("p", tag("b", said), class_="small"),
        tag("p", stress.caveat, class_="small"),
        count=counted(figures),
    )


def baselines(figures: Assessment) -> Markup:
    """Give the run beside holding and doing nothing."""
    run = Baseline("this run", figures.headline.returns, figures.headline.drawdown)
    columns: list[Column[Baseline]] = [
        Column("Run", lambda b: b.name, "name"),
        Column("Return", lambda b: lean(b.returns.total, percent(b.returns.total, plus=True))),
        Column("CAGR", lambda b: percent(b.returns.cagr, plus=True)),
        Column("Sharpe", lambda b: number(b.returns.sharpe)),
        Column("Drawdown", lambda b: percent(b.drawdown.depth if b.drawdown else 0.0)),
    ]
    rows = [one for one in (run, figures.hold, figures.flat) if one is not None]
    fee = figures.hold.fee_bps if figures.hold else None
    said = (
        "The market's bars were not at hand: there is no hold baseline."
        if fee is None
        else f"Held in equal parts from first to last day, {number(fee, 1)} bps paid on the way in and out."
    )
    return panel(
        "Beside doing less",
        table("Beside doing less", columns, rows),
        tag("p", said, class_="small"),
        count=counted(figures),
    )


def checks(figures: Assessment) -> Markup:
    """Give what was checked, what was counted, and what significance says."""
    card = figures.card
    counts = [
        tag("div", tag("dt", name.replace("_", " ")), tag("dd", f"{n:,}")) for name, n in card.counts.items()
    ]
    marks = [
        tag(
            "li",
            tag("b", "passed" if check.passed else "FAILED", class_="pass" if check.passed else "fail"),
            f" {check.name.replace('_', ' ')}: {check.found}",
        )
        for check in card.checks
    ]
    none = tag("li", "No look-ahead check was made of this run.")
    return panel(
        "Counted and checked",
        tag("dl", *counts, class_="counts"),
        tag("ul", *(marks or [none]), _luck(figures), class_="said"),
        _refusals(card.refusals),
    )


def ends(figures: Assessment) -> Markup:
    """Give how trades ended: stop against target, and the rest."""
    columns: list[Column[EndFigures]] = [
        Column("Ended by", lambda e: e.ended_by, "name"),
        Column("Trades", lambda e: f"{e.trades:,}"),
        Column("Share", lambda e: percent(e.share)),
        Column("Won", lambda e: percent(e.win_rate)),
        Column("Net", lambda e: lean(e.net, number(e.net, 2, plus=True))),
        Column("Mean", lambda e: number(e.average, 2, plus=True)),
    ]
    trips = figures.headline.trips
    days = counted(figures)
    count = f"stop {percent(trips.stop_rate)}, target {percent(trips.target_rate)}"
    count = f"{count}; {days}" if days else count
    return panel("How trades ended", table("How trades ended", columns, figures.ended), count=count)


def trades(figures: Assessment) -> Markup:
    """Give the place of the list of trades and the window of its candle view."""
    count = figures.pooled.trips.trades
    shown = (
        "a click on a row shows its bars"
        if count <= SHOWN
        else f"bars are kept of {SHOWN} of {count:,}: the best, the worst and the newest"
    )
    if count > LISTED:
        shown = f"the newest {LISTED:,} of {count:,}, trips.csv has all; bars are kept of {SHOWN}"
    place = tag(
        "div",
        tag("p", "The list needs JavaScript; trips.csv beside this page has it.", class_="empty"),
        id="trades",
    )
    title = tag("h2", "", id="view-title")
    buttons = tag(
        "menu",
        tag("button", "Previous", type="button", id="view-previous"),
        tag("button", "Next", type="button", id="view-next"),
        tag("button", "Close", type="button", id="view-close"),
    )
    chart = tag("div", id="view-chart", role="img", aria_label="Bars around the trade")
    view = tag(
        "dialog",
        title,
        tag("p", "", id="view-words"),
        chart,
        buttons,
        id="view",
        aria_labelledby="view-title",
    )
    return join([panel("Trades", place, count=shown), view])


def _luck(figures: Assessment) -> Markup:
    found = figures.significance
    if found is None:
        command = tag("code", "training significance run")
        return tag("li", "Luck: ", command, " was not run on this folder, so nothing rules it out.")
    spa = ", ".join(f"{name} {number(p, 3)}" for name, p in found.spa.items())
    needed = DASH if found.min_track_days is None else f"{found.min_track_days:,}"
    said = (
        f"{found.trials:,} trials counted on this data; deflated Sharpe ratio {number(found.dsr, 3)}, "
        f"overfitting {number(found.pbo)}, superior predictive ability p: {spa}; "
        f"{needed} days would be needed to tell this Sharpe ratio from zero, {found.days:,} are there."
    )
    if figures.evidence and found.days != figures.headline.returns.days:
        said = (
            f"Judged over all days, those in sample among them, which makes it look better than it is. {said}"
        )
    word = tag("b", "passed" if found.passed else "FAILED", class_="pass" if found.passed else "fail")
    return tag("li", word, f" luck: {found.sentence} ", tag("span", said, class_="muted"))


def _refusals(refusals: Mapping[str, int]) -> Markup | None:
    if not refusals:
        return None
    rows = [tag("li", f"{count:,} \u00d7 {reason}") for reason, count in refusals.items()]
    return tag("details", tag("summary", "Why entries were refused"), tag("ul", *rows, class_="said"))


def _heat(value: float | None, largest: float) -> str | None:
    if not value or not largest:
        return None
    hue = "var(--up)" if value > 0 else "var(--down)"
    return f"background: color-mix(in srgb, {hue} {abs(value) / largest * STRONGEST:.0f}%, var(--panel))"
