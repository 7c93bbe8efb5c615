"""What was downloaded, counted and put through every indicator once.

Must not know where it came from. Called by `trader data fetch --check`. Features need a history
without holes, so the first rows of a series are never ready; what counts is that no ready row lies.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from core.market import Timeframe
from core.text import iso
from feeds.lake import BarArrays, Lake, Series, aggregate
from inference.features.catalogue import COLUMNS, family_of
from inference.features.fold import fold
from inference.features.spec import SPECS, Block, FeatureSpec

_PLAIN = tuple(column for column in COLUMNS if not family_of(column).needs)
"""Every column that a series without a tape has."""


class Counted(msgspec.Struct, frozen=True):
    """One series as it lies on disk; `missing` is the share of bar times between first and last."""

    series: str
    rows: int
    first: str
    last: str
    missing: float
    bytes: int


class Features(msgspec.Struct, frozen=True):
    """One specification over one series: columns of all rows, and what may not be used of them."""

    series: str
    spec: str
    columns: int
    rows: int
    ready: int
    non_finite_share: float


def count(lake: Lake, series: Series, bars: BarArrays) -> Counted:
    """Count the bars with trades of a series, and the bytes of its files."""
    traded = bars.ts_open[bars.trades > 0]
    slots = int(traded[-1] - traded[0]) // series.timeframe.ns + 1 if len(traded) else 0
    return Counted(
        series=_name(series),
        rows=len(traded),
        first=iso(int(traded[0])) if len(traded) else "",
        last=iso(int(traded[-1])) if len(traded) else "",
        missing=(slots - len(traded)) / slots if slots else 0.0,
        bytes=sum(file.stat().st_size for file in lake.files(series)),
    )


def features(series: Series, bars: BarArrays) -> list[Features]:
    """Compute every indicator of the series, and every specification that decides on it."""
    plain = FeatureSpec("indicators", series.timeframe, (Block(series.timeframe, _PLAIN),))
    specs = [plain, *(spec for spec in SPECS.values() if _can_be_made(spec, series.timeframe))]
    found = []
    for spec in specs:
        history = {timeframe: aggregate(bars, timeframe) for timeframe in spec.timeframes}
        if not all(map(len, history.values())):
            continue
        folded = fold(spec, history)
        x = folded.x
        found.append(
            Features(
                series=_name(series),
                spec=spec.name,
                columns=x.shape[1],
                rows=x.shape[0],
                ready=int(folded.ready.sum()),
                non_finite_share=float(np.mean(~np.isfinite(x))),
            )
        )
    return found


def _can_be_made(spec: FeatureSpec, timeframe: Timeframe) -> bool:
    """Tell whether a specification decides on bars of a timeframe and reads no finer ones."""
    return spec.decision is timeframe and min(one.ns for one in spec.timeframes) >= timeframe.ns


def check(root: Path, wanted: Iterable[Series]) -> dict[str, Any]:
    """Give counts and features of the series of a lake that are there, with totals."""
    lake = Lake(root)
    there = set(lake.series())
    counts: list[Counted] = []
    computed: list[Features] = []
    for series in wanted:
        if series in there:
            bars = lake.read(series.venue, series.instrument, series.timeframe)
            counts.append(count(lake, series, bars))
            computed += features(series, bars)
    return {
        "rows": sum(one.rows for one in counts),
        "bytes": sum(one.bytes for one in counts),
        "series": msgspec.to_builtins(counts),
        "features": msgspec.to_builtins(computed),
    }


def _name(series: Series) -> str:
    return f"{series.venue}/{series.instrument}/{series.timeframe.value}"
