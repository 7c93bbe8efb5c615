"""Equity as PNG files: the run as a whole, and each pair.

Must not know how figures come about. Called by trader.evaluation.write. Needs matplotlib, which is of the
train set. The same run draws the same bytes: no dates of the machine and no versions are in the files.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import UsageError
from trader.evaluation.assessment import Judged
from trader.evaluation.lines import Floats, Ints
from trader.evaluation.tables import file_name
from trader.evaluation.words import out_of_sample, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, VERMILION, GREY, GREEN, INK = "#0072b2", "#d55e00", "#8a94a0", "#009e73", "#18222d"
INCHES, DPI = (9.0, 5.0), 110


def write_pictures(
    judged: Judged, folder: Path, on_picture: Callable[[int, int], None] | None = None
) -> None:
    """Write equity.png and pairs/<BASE-QUOTE>.png; UsageError where matplotlib is not installed.

    `on_picture` hears how many of how many are done.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415  # optional and heavy
    except ModuleNotFoundError:
        raise UsageError(
            "pictures: expected matplotlib; found none. `./run setup train` installs it"
        ) from None
    instruments = judged.figures.card.instruments
    (folder / "pairs").mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 9.0, "axes.unicode_minus": True}):
        _draw(folder / "equity.png", partial(_whole, judged))
        for number, name in enumerate(instruments, 1):
            path = folder / "pairs" / f"{file_name(name)}.png"
            _draw(path, partial(_pair, judged, name))
            if on_picture:
                on_picture(number, len(instruments))


def note(judged: Judged) -> str:
    """Give the line under a picture: the fees and the filters that the run had."""
    card, stress = judged.figures.card, judged.figures.stress
    paid = "" if stress.paid_fee_bps is None else f", {stress.paid_fee_bps:.1f} bps of turnover paid"
    members = {t["name"]: filters(t) for t in card.config.get("trader", ())}
    rules = "; ".join(f"{name}: {text}" for name, text in members.items() if text)
    return f"Fees: {card.schedule}{paid}. Filters: {rules or 'none'}"


def filters(trader: dict[str, Any]) -> str:
    """Name what a trader's policy asks of an entry."""
    policy = trader.get("policy", {})
    words = {
        "min_confidence": "confidence \u2265 {}",
        "min_expected_value": "expected value \u2265 {}",
        "min_hold_s": "hold \u2265 {} s",
        "cooldown_s": "cooldown {} s",
        "max_trades_per_day": "\u2264 {} trades/day",
    }
    return ", ".join(text.format(f"{policy[key]:g}") for key, text in words.items() if policy.get(key))


def _draw(path: Path, fill: Callable[["Axes", "Axes"], None]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # as above
    from matplotlib.figure import Figure  # noqa: PLC0415  # as above

    figure = Figure(figsize=INCHES, dpi=DPI, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    fill(above, below)
    for axes in (above, below):
        axes.grid(visible=True, color="#e3e7ec", linewidth=0.6)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.set_canvas(FigureCanvasAgg(figure))
    figure.savefig(path, format="png", metadata={"Software": None})


def _whole(judged: Judged, above: "Axes", below: "Axes") -> None:
    figures, seen = judged.figures, judged.lines
    days = _dates(seen.days)
    for start, end in out_of_sample(figures.card):
        span = _dates(np.array([start, end]))
        above.axvspan(span[0], span[1], color="#56b4e9", alpha=0.10, linewidth=0, label="_")
    if judged.hold_equity is not None:
        above.plot(days, judged.hold_equity, color=GREY, linewidth=1.1, linestyle="--", label="buy and hold")
    above.plot(
        days, seen.daily + seen.daily_fees, color=GREEN, linewidth=1.1, linestyle=":", label="before fees"
    )
    above.plot(days, seen.daily, color=BLUE, linewidth=1.5, label="after fees")
    above.fill_between(
        days, seen.daily, seen.daily + seen.daily_fees, color=VERMILION, alpha=0.12, linewidth=0
    )
    above.legend(loc="best", frameon=False)
    above.set_ylabel("equity")
    above.set_title(figures.verdict, loc="left", fontsize=9.5, color=INK, wrap=True)
    _daily_bars(below, seen.days, np.diff(seen.daily), judged)


def _pair(judged: Judged, name: str, above: "Axes", below: "Axes") -> None:
    seen, figures = judged.lines, judged.figures
    part = next(one for one in figures.pairs if one.name == name)
    days, net, fees = _dates(seen.days), seen.pairs[name], seen.pair_fees[name]
    above.axhline(0.0, color=GREY, linewidth=0.8)
    above.plot(days, net + fees, color=GREEN, linewidth=1.1, linestyle=":", label="before fees")
    above.plot(days, net, color=BLUE, linewidth=1.5, label="after fees")
    above.fill_between(days, net, net + fees, color=VERMILION, alpha=0.12, linewidth=0, label="fee drag")
    above.legend(loc="best", frameon=False)
    above.set_ylabel("net profit")
    won = "" if part.trips.win_rate is None else f", {percent(part.trips.win_rate, 0)} won"
    days = f" ({figures.headline.name})" if figures.evidence else ""
    title = f"{name}{days}: net {part.trips.net:,.2f}, fees {part.trips.fees + part.trips.margin_fees:,.2f}"
    above.set_title(f"{title}, {part.trips.trades} trades{won}", loc="left", fontsize=9.5, color=INK)
    _daily_bars(below, seen.days, np.diff(net), judged)


def _daily_bars(axes: "Axes", days: Ints, profit: Floats, judged: Judged) -> None:
    colours = np.where(profit >= 0.0, BLUE, VERMILION)
    axes.bar(_dates(days[1:]), profit, width=1.0, color=colours.tolist(), linewidth=0)
    axes.set_ylabel("profit a day")
    axes.set_xlabel(note(judged), fontsize=7.5, color="#566270", wrap=True)


def _dates(times: Ints) -> Any:
    return np.asarray(times).astype("datetime64[ns]").astype("datetime64[s]")
