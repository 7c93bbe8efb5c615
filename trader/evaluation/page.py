"""The report of a run as one page: the verdict, what was assumed, pictures, tables, and every trade.

Must not know how figures come about. Called by trader.evaluation.write. The page is one file that loads
nothing; words and tables are in it as they stand, charts and the list of trades are drawn from its data.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.clock import DAY
from core.text import iso
from trader.backtest.record import RunRecord
from trader.evaluation.assessment import Assessment, FoldSlice, Judged, Slice
from trader.evaluation.market import Market
from trader.evaluation.markup import (
    DASH,
    Column,
    Markup,
    hold_time,
    join,
    lean,
    number,
    page,
    panel,
    percent,
    table,
    tag,
)
from trader.evaluation.page_data import page_data
from trader.evaluation.page_parts import bar, baselines, charts, checks, costs, counted, ends, months, trades
from trader.evaluation.trips import total

MODULES = ("charts.js", "trades.js", "candles.js")


def write_page(record: RunRecord, judged: Judged, market: Market | None, path: Path) -> None:
    """Write report.html; the same run writes the same bytes."""
    figures = judged.figures
    card = figures.card
    title = f"Backtest {iso(card.start)[:10]} to {iso(card.end - DAY)[:10]}"
    text = page(
        f"{title} \u00b7 Seamark", body(figures), page_data(record, judged, market), "report.js", MODULES
    )
    path.write_text(text, encoding="utf-8")


def body(figures: Assessment) -> Markup:
    """Give everything that is read without a script."""
    card = figures.card
    return join(
        [
            bar(f"{card.timeframe} bars of {card.venue}, fees: {card.schedule or 'as configured'}"),
            *(tag("p", text, class_="strip stale warned") for text in figures.warnings[:1]),
            *(tag("p", text, class_="strip showcase warned") for text in figures.warnings[1:]),
            tag(
                "main",
                _verdict(figures),
                _slices("What the models had seen", "Days", figures.evidence, "")
                if figures.evidence
                else None,
                _assumptions(figures),
                checks(figures),
                charts(figures),
                months(figures),
                tag("div", baselines(figures), costs(figures), class_="halves"),
                _regimes(figures),
                _slices("By pair", "Pair", figures.pairs, counted(figures)),
                _folds(figures.folds),
                _slices("By account", "Account", figures.accounts, counted(figures))
                if len(figures.accounts) > 1
                else None,
                ends(figures),
                trades(figures),
                _about(figures),
                class_="report",
            ),
        ]
    )


def _verdict(figures: Assessment) -> Markup:
    part = figures.headline
    returns, trips, depth = part.returns, part.trips, part.drawdown
    cash = total(figures.card.cash.values())
    error = "" if returns.sharpe_error is None else f"\u00b1 {number(returns.sharpe_error)} standard error"
    luck = figures.significance
    if luck is not None and luck.days == returns.days and luck.sharpe.low is not None:
        error += f"; 95\u2009%: {number(luck.sharpe.low)} to {number(luck.sharpe.high)}"
    fell = "never below its start" if depth is None else f"{number(depth.length_days, 0)} days under the peak"
    taken = percent(float((trips.fees + trips.margin_fees) / cash) if cash else None)
    of_gross = "there was no gross profit"
    if trips.fee_share is not None:
        of_gross = f"{percent(trips.fee_share)} of gross profit"
    facts = (
        (
            "Return after fees",
            lean(returns.total, percent(returns.total, plus=True)),
            f"{returns.days:,} days {part.name if figures.evidence else 'of the run'}",
        ),
        ("CAGR", percent(returns.cagr, plus=True), f"volatility {percent(returns.volatility)} a year"),
        ("Sharpe", number(returns.sharpe), error),
        ("Sortino", number(returns.sortino), "daily, 365 days a year"),
        ("Deepest drawdown", percent(depth.depth if depth else 0.0), fell),
        (
            "Value at risk",
            percent(returns.value_at_risk, 2),
            f"a day, 95\u2009%; beyond it {percent(returns.expected_shortfall, 2)}",
        ),
        (
            "Trades",
            f"{trips.trades:,}",
            f"{number(part.trades_per_day)} a day, held {hold_time(trips.average_hold_s)}",
        ),
        ("Won", percent(trips.win_rate), f"right before fees {percent(trips.right_share)}"),
        ("Profit factor", number(trips.profit_factor), f"win over loss {number(trips.win_loss_ratio)}"),
        (
            "A trade's mean",
            number(trips.expectancy_bps, 1, plus=True) + " bps",
            f"{number(trips.expectancy, 2, plus=True)} net",
        ),
        ("Fees", taken, f"of the cash; {of_gross}"),
        (
            "Exposure",
            percent(figures.exposure),
            f"turnover {number(figures.turnover_per_day)} \u00d7 cash a day",
        ),
    )
    cells = [
        tag("div", tag("dt", name), tag("dd", value, tag("small", small))) for name, value, small in facts
    ]
    sentence = tag("p", figures.verdict.replace(" %", "\u00a0%"), class_="verdict")
    return tag("section", sentence, tag("dl", *cells, class_="figures"), class_="panel", aria_label="Verdict")


def _assumptions(figures: Assessment) -> Markup:
    said = figures.card.assumptions or ("This run does not say what it assumed about fills.",)
    return panel(
        "How orders were assumed to fill", tag("ul", *(tag("li", text) for text in said), class_="said two")
    )


def _slice_columns(head: str) -> list[Column[Any]]:
    """Give the columns that a table of any kind of Slice has."""
    return [
        Column(head, lambda s: s.name, "name"),
        Column("Net", lambda s: lean(s.trips.net, number(s.trips.net, 2, plus=True))),
        Column("Return", lambda s: percent(s.returns.total, 2, plus=True)),
        Column("Sharpe", lambda s: number(s.returns.sharpe)),
        Column("Drawdown", lambda s: percent(s.drawdown.depth, 2) if s.drawdown else DASH),
        Column("Trades", lambda s: f"{s.trips.trades:,}"),
        Column("A day", lambda s: number(s.trades_per_day)),
        Column("Held", lambda s: hold_time(s.trips.average_hold_s)),
        Column("Won", lambda s: percent(s.trips.win_rate)),
        Column("Profit factor", lambda s: number(s.trips.profit_factor)),
        Column("bps a trade", lambda s: number(s.trips.expectancy_bps, 1, plus=True)),
        Column("Gross", lambda s: number(s.trips.gross, 2, plus=True)),
        Column("Fees", lambda s: number(s.trips.fees + s.trips.margin_fees)),
        Column("Slippage", lambda s: number(s.trips.slippage)),
    ]


def _slices(title: str, head: str, parts: Sequence[Slice], count: str) -> Markup:
    return panel(title, table(title, _slice_columns(head), parts), count=count)


def _regimes(figures: Assessment) -> Markup | None:
    if not figures.regimes:
        return None
    columns: list[Column[Slice]] = [one for one in _slice_columns("Regime") if one.head != "Drawdown"]
    columns.insert(1, Column("Days", lambda s: f"{s.returns.days:,}"))
    rule = tag("p", figures.regime_rule, class_="small")
    return panel(
        "By kind of market",
        table("By kind of market", columns, figures.regimes),
        rule,
        count=counted(figures),
    )


def _folds(folds: Sequence[FoldSlice]) -> Markup | None:
    if not folds:
        return None

    def tuned(fold: FoldSlice) -> str:
        return ", ".join(f"{name} {value:g}" for name, value in sorted(fold.tuned.items())) or DASH

    columns: list[Column[FoldSlice]] = [
        *_slice_columns("Fold"),
        Column("Tuned before it", tuned, "words"),
    ]
    columns.insert(
        1, Column("Out of sample", lambda f: f"{iso(f.start)[:10]} to {iso(f.end)[:10]}", "words tight")
    )
    return panel("By fold", table("By fold", columns, folds), count="each judged on days after its training")


def _about(figures: Assessment) -> Markup:
    card = figures.card
    models = [
        f"{m.trader}: {m.name} ({m.decision}, trained until {iso(m.trained_until)[:10]}, {m.model_hash[:12]})"
        for m in card.models
    ]
    facts = [
        ("Command", card.command),
        ("Seamark", card.version),
        ("Span", f"{iso(card.start)} to {iso(card.end)}"),
        ("Instruments", ", ".join(card.instruments)),
        ("Models", "; ".join(models) or DASH),
        ("Configuration", card.config_hash),
        ("Data", card.data_hash),
    ]
    pairs = [tag("div", tag("dt", name), tag("dd", text)) for name, text in facts]
    return panel("How to make this again", tag("dl", *pairs, class_="facts about"))
