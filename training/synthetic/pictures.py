"""Patterns as pictures: bars, the path without noise, the best action and the volume.

Must not know the command line. Called by training.synthetic.cli. Needs matplotlib, which is of the train
set. The same pattern draws the same bytes: neither dates nor versions are in the files.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.clock import HOUR
from core.errors import UsageError
from training.synthetic.catalogue import COMMON, pattern
from training.synthetic.draw import Floats
from training.synthetic.generate import Drawn, draw_pattern

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, VERMILION, GREY, GREEN, INK = "#0072b2", "#d55e00", "#8a94a0", "#009e73", "#18222d"
INCHES = (6.0, 3.6)
BARS = 144
"""At most so many bars of one picture: finer ones are not seen, and swell the file."""


def write_pictures(
    names: Sequence[str],
    folder: Path,
    *,
    params: Mapping[str, float] | None = None,
    noise_level: float = 0.05,
    seed: int = 1,
    kind: str = "svg",
) -> Iterator[Path]:
    """Write <folder>/<pattern>.<kind> (svg or png) for each name, and give each file as it is done.

    UsageError where matplotlib is not installed, and as training.synthetic.generate says.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415  # optional and heavy
    except ModuleNotFoundError:
        raise UsageError(
            "pictures: expected matplotlib; found none. `./run setup train` installs it"
        ) from None
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # as above
    from matplotlib.figure import Figure  # noqa: PLC0415  # as above

    folder.mkdir(parents=True, exist_ok=True)
    # Text stays text, and ids hang on nothing but the drawing: small files, equal bytes.
    style = {
        "font.family": "DejaVu Sans",
        "font.size": 8.0,
        "svg.fonttype": "none",
        "svg.hashsalt": "seamark",
    }
    for name in names:
        chosen = pattern(name)
        drawn = draw_pattern(chosen.name, _coarse(params or {}), noise_level, seed=seed)
        with mpl.rc_context(style):
            figure = Figure(figsize=INCHES, dpi=110, layout="constrained")
            above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
            above.set_title(f"{chosen.name}: {chosen.about}", loc="left", fontsize=8.5, color=INK)
            _prices(above, drawn)
            _volume(below, drawn)
            figure.set_canvas(FigureCanvasAgg(figure))
            path = folder / f"{chosen.name}.{kind}"
            if kind == "svg":
                text = StringIO()
                figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
                path.write_text(_smaller(text.getvalue()), encoding="utf-8")
            else:
                figure.savefig(path, format=kind, metadata={"Software": None})
        yield path


_POINT = re.compile(r"([ML]) (-?[0-9.]+) (-?[0-9.]+) *\n")
_UPRIGHT = re.compile(r"M(\S+) (\S+)L\1 ([0-9.]+)(?=[ML\"])")


def _smaller(svg: str) -> str:
    """Give points to a tenth of a pixel and bars as upright strokes: a third of the bytes."""
    return _UPRIGHT.sub(r"M\1 \2V\3", _POINT.sub(_rounded, svg))


def _rounded(point: re.Match[str]) -> str:
    return f"{point[1]}{round(float(point[2]), 1):g} {round(float(point[3]), 1):g}"


def _coarse(params: Mapping[str, float]) -> dict[str, float]:
    """Give `params` with the finest bars of which a picture holds all."""
    minutes = params.get("minutes", COMMON["minutes"].default)
    fits = (step for step in (1, 5, 15, 30, 60, 240, 1440) if minutes <= step * BARS and not minutes % step)
    return {**params, "bar_minutes": params.get("bar_minutes", next(fits, 1))}


def _hours(drawn: Drawn) -> Floats:
    found: Floats = (drawn.bars.ts_close - drawn.bars.ts_open[0]) / HOUR
    return found


def _prices(axes: "Axes", drawn: Drawn) -> None:
    bars, hours, path = drawn.bars, _hours(drawn), np.exp(drawn.path)
    rising = bars.close >= bars.open
    step = bars.timeframe.ns / HOUR
    for mask, color in ((rising, GREEN), (~rising, VERMILION)):
        # One line with gaps is a tenth of the bytes of a line for each bar.
        x = np.repeat(hours[mask] - step / 2, 3)
        y = np.column_stack([bars.low[mask], bars.high[mask], np.full(mask.sum(), np.nan)]).ravel()
        axes.plot(x, y, color=color, linewidth=1.2, solid_capstyle="butt")
    axes.plot(hours, path, color=BLUE, linewidth=1.0)
    turns = np.flatnonzero(np.diff(drawn.actions)) + 1
    for first, last in pairwise([0, *turns.tolist(), len(hours) - 1]):
        if action := int(drawn.actions[first]):
            shade = GREEN if action > 0 else VERMILION
            axes.axvspan(hours[first], hours[last], color=shade, alpha=0.08, linewidth=0)
    axes.set_ylabel("price")
    _plain(axes)


def _volume(axes: "Axes", drawn: Drawn) -> None:
    hours, volume = _hours(drawn), drawn.bars.volume
    gap = np.full(len(hours), np.nan)
    axes.plot(
        np.repeat(hours, 3), np.column_stack([0.0 * volume, volume, gap]).ravel(), color=GREY, linewidth=1.2
    )
    axes.set_ylim(bottom=0)
    axes.set_ylabel("volume")
    axes.set_xlabel("hours")
    _plain(axes)


def _plain(axes: "Axes") -> None:
    axes.locator_params(nbins=4)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
