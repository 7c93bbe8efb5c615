"""Two pictures of the page of results: Sharpe ratios at each fee schedule, and reliability curves, as SVG.

Must not know how figures come about. Called by training.measure.report. Needs matplotlib, which is of the
train set. The same figures draw the same bytes: no date and no version is in the files.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UsageError
from training.measure.gather import NETWORK, TREES, Curve, Figures, Model
from training.measure.page import RELIABILITY, SHARPES
from training.measure.traded import Traded

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#009e73", "#56b4e9", "#0072b2", "#e69f00", "#d55e00")
"""Of the schedules, cheapest first: green for nothing paid, red for Kraken's base tier."""
GREY, INK = "#8a94a0", "#18222d"
MOST = 24
"""Models shown: shipped ones first, more would be told by nobody."""
LIMIT = 14.0
"""Sharpe ratios beyond this lie on the edge of the picture."""
ACROSS = 4


def write(figures: Figures, folder: Path) -> None:
    """Write both pictures; UsageError where matplotlib is not installed."""
    try:
        import matplotlib as mpl  # noqa: PLC0415  # optional and heavy
    except ModuleNotFoundError:
        raise UsageError(
            "pictures: expected matplotlib; found none. `./run setup train` installs it"
        ) from None
    style = {
        "font.family": "DejaVu Sans",
        "font.size": 9.0,
        "svg.hashsalt": "seamark",
        "svg.fonttype": "path",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
    }
    with mpl.rc_context(style):
        _sharpes(figures, folder / SHARPES)
        _reliability(figures, folder / RELIABILITY)


def _sharpes(figures: Figures, file: Path) -> None:
    own = {(model.name, model.own): model for model in figures.models}
    shown = [one for one in figures.traded if (one.model, one.voice) in own and one.fees][:MOST]
    figure = _figure(9.0, 1.6 + 0.52 * max(len(shown), 1))
    axes = figure.add_subplot()
    axes.axvspan(-LIMIT, 0, color="#d55e00", alpha=0.05, lw=0)
    axes.axvline(0, color=INK, lw=0.8)
    for place, one in enumerate(shown):
        _runs(axes, one, place)
    axes.set_yticks(range(len(shown)), [_name(one, own[one.model, one.voice]) for one in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(-LIMIT, LIMIT / 2)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GREY, alpha=0.2, lw=0.6)
    axes.set_xlabel(
        "Sharpe ratio of daily equity, a year of 365 days, with its 95 % interval; | is the holder's"
    )
    axes.set_title("What is left after fees", loc="left", fontweight="bold", color=INK)
    if shown:
        handles = [
            axes.plot([], [], "o", color=colour, label=at.schedule)[0]
            for at, colour in zip(shown[0].fees, COLOURS, strict=False)
        ]
        axes.legend(
            handles=handles,
            loc="upper right",
            ncols=len(handles),
            frameon=False,
            borderaxespad=-1.6,
            handletextpad=0.1,
            columnspacing=1.2,
        )
    _save(figure, file)


def _runs(axes: "Axes", one: Traded, place: int) -> None:
    step = 0.13
    for number, (at, colour) in enumerate(zip(one.fees, COLOURS, strict=False)):
        y, figure = place + (number - (len(one.fees) - 1) / 2) * step, at.sharpe
        if figure.value is None:
            continue
        if figure.low is not None and figure.high is not None:
            axes.plot(
                [max(figure.low, -LIMIT), min(figure.high, LIMIT)], [y, y], color=colour, lw=1.4, alpha=0.7
            )
        axes.plot([max(min(figure.value, LIMIT), -LIMIT)], [y], "o", color=colour, ms=3.6, clip_on=False)
    if one.hold.value is not None:
        axes.plot([one.hold.value], [place], "|", color=INK, ms=14, mew=1.2)


def _reliability(figures: Figures, file: Path) -> None:
    named = {model.name: model for model in figures.models}
    shipped = [curve for curve in figures.curves if named[curve.model].model_hash]
    curves = (shipped or list(figures.curves))[: 4 * ACROSS]
    down = -(-max(len(curves), 1) // ACROSS)
    figure = _figure(9.0, 0.7 + 2.35 * down)
    for number, curve in enumerate(curves, 1):
        _curve(figure.add_subplot(down, ACROSS, number), curve, named[curve.model])
    figure.suptitle(
        "Does it come as often as it is said? Equal bins of rows of the test span; on the line: yes",
        x=0.01, ha="left", fontsize=9.5, fontweight="bold", color=INK,
    )  # fmt: skip
    _save(figure, file)


def _curve(axes: "Axes", curve: Curve, model: Model) -> None:
    said, came = [point[0] for point in curve.points], [point[1] for point in curve.points]
    low, high = min(said + came), max(said + came)
    room = max(0.05 * (high - low), 0.01)
    ends = (low - room, high + room)
    axes.plot(ends, ends, color=GREY, lw=0.8, ls=(0, (4, 3)))
    axes.plot(said, came, "-o", color=COLOURS[2] if model.family == NETWORK else COLOURS[0], ms=3, lw=1.2)
    axes.set_xlim(ends)
    axes.set_ylim(ends)
    axes.set_aspect("equal")
    axes.locator_params(nbins=4)
    axes.tick_params(labelsize=7, color=GREY)
    axes.set_title(curve.model, fontsize=8.5, loc="left", color=INK)


def _name(one: Traded, model: Model) -> str:
    kind = {NETWORK: "network", TREES: "trees"}.get(model.family, model.kind)
    return f"{one.model}\n{kind}, {one.decision}, {one.venue}"


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415  # optional and heavy
    from matplotlib.figure import Figure  # noqa: PLC0415  # as above

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def _save(figure: Any, file: Path) -> None:
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None}, facecolor="white")
