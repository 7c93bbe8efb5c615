"""Feature columns over recorded bars: what they look like, which move, and which say the same twice.

Must not know the command line. Called by `trader data columns`. Bars are read some months at a time
and chunks of columns go by once, so the length of a series takes no memory.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from core.errors import UsageError
from core.text import iso
from feeds.lake import BarArrays, Lake, Series, aggregate
from feeds.lake_rows import month_span
from inference.features.catalogue import COLUMNS, layout, warm_up_of
from inference.features.fold import History, fold
from inference.features.kept import LIMIT, reason_to_keep
from inference.features.kernel import Floats, Ints
from inference.features.series import new_marks, numbered, table, walk
from inference.features.spec import FLAT, SPECS, FeatureSpec
from trader.column_statistics import Column, Statistics

BLOCK_ROWS = 16_384

PART_MONTHS = 6
"""How much of a series is read at once."""
PARTS = 100
"""Into how many parts the progress of one series is cut."""

Progress = Callable[[int, int], None]
"""Rows done, rows in all."""
Tell = Callable[[int, int, str], None]
"""Parts done, parts in all, and the name of a series that is done."""
Histories = tuple[History, Mapping[str, History]]
"""An instrument's own bars of every timeframe, and those of each instrument that it is compared with."""


class Alike(msgspec.Struct, frozen=True):
    """Two columns with |correlation| above LIMIT; an empty reason is a finding."""

    first: str
    second: str
    correlation: float
    reason: str


class Report(msgspec.Struct, frozen=True):
    """One series: every column's figures over the rows in which it is warm."""

    series: str
    rows: int
    first: str
    last: str
    columns: tuple[Column, ...]
    alike: tuple[Alike, ...]

    @property
    def unexplained(self) -> tuple[Alike, ...]:
        return tuple(pair for pair in self.alike if not pair.reason)


class MergedColumn(msgspec.Struct, frozen=True):
    """One column over several series. `hints` counts in how many of them each was given."""

    name: str
    nan_share: float
    mean: float | None
    std: float | None
    iqr: float | None
    autocorrelation: float | None
    dickey_fuller: float | None
    shift: float | None
    hints: dict[str, int]

    @classmethod
    def of(cls, columns: Sequence[Column]) -> "MergedColumn":
        """Take medians, and of the last two and of NaN the worst."""

        def known(field: str) -> list[float]:
            return [value for one in columns if (value := getattr(one, field)) is not None]

        def middle(field: str) -> float | None:
            return float(np.median(values)) if (values := known(field)) else None

        return cls(
            name=columns[0].name,
            nan_share=max(one.nan_share for one in columns),
            mean=middle("mean"),
            std=middle("std"),
            iqr=middle("iqr"),
            autocorrelation=middle("autocorrelation"),
            dickey_fuller=max(known("dickey_fuller"), default=None),
            shift=max(known("shift"), key=abs, default=None),
            hints=dict(Counter(hint for one in columns for hint in one.hints)),
        )


class Wanted(NamedTuple):
    """Which series and columns; an empty text or set asks for all."""

    venue: str = ""
    instruments: frozenset[str] = frozenset()
    timeframes: frozenset[str] = frozenset()
    spec: str = ""

    def has(self, series: Series, spec: FeatureSpec | None) -> bool:
        """Tell whether a series is wanted; of a specification, those of its finest timeframe are."""
        fits = spec is None or series.timeframe is min(spec.timeframes, key=lambda one: one.ns)
        return (
            fits
            and self.venue in {"", series.venue}
            and (not self.instruments or series.instrument in self.instruments)
            and (not self.timeframes or series.timeframe.value in self.timeframes)
        )


def of_catalogue(name: str, series: Series, parts: Iterable[BarArrays], span: int, tell: Progress) -> Report:
    """Report on all columns over one series, each where it is warm.

    Bars come part by part, oldest first, so that no more than one part is held; `span` is how many
    they would be without a hole.
    """
    plan = layout(COLUMNS)
    picked = plan.positions(COLUMNS)
    warm = np.array([warm_up_of(column, series.timeframe) for column in COLUMNS])
    statistics = Statistics(COLUMNS, span)
    states, marks = plan.states(1), new_marks(1)
    rows, times = 0, []
    for bars in parts:
        history = table(bars)
        at = numbered(history, series.timeframe, marks)
        counts = np.zeros(at.total, np.int64)
        counts[at.slots[at.slots >= 0]] = at.counts[at.slots >= 0]
        before = rows

        def sink(origin: int, count: int, out: Floats, counts: Ints = counts, before: int = before) -> None:
            seen = counts[origin : origin + count, None]
            statistics.add(out[picked, :count].T, seen >= warm)
            tell(before + origin + count, span)

        if at.total:
            walk(plan, states, history, at, timeframe=series.timeframe, sink=sink)
            times += [history.ts_open[0], history.ts_open[-1]]
        rows += at.total
    return _report(name, times, rows, statistics)


def of_spec(name: str, spec: FeatureSpec, histories: Histories, tell: Progress) -> Report:
    """Report on what a specification hands to a model: of a window, its newest slot."""
    own, references = histories
    folded = fold(spec, own, references)
    rows = np.flatnonzero(folded.ready)
    windows = [(block.name, column) for block in spec.windows for column in block.columns]
    names = (*spec.names, *(f"{block}.{column}" for block, column in windows))
    statistics = Statistics(names, len(rows))
    for done in range(0, len(rows), BLOCK_ROWS):
        part = rows[done : done + BLOCK_ROWS]
        tensors = folded.tensors(part)
        flat = [tensors[FLAT]] if spec.names else []
        newest = [tensors[block.name][:, -1] for block in spec.windows]
        statistics.add(np.hstack([*flat, *newest]))
        tell(done + len(part), len(rows))
    return _report(name, folded.ts_close, len(rows), statistics)


def reports(lake: Path, wanted: Wanted, tell: Tell) -> Iterator[Report]:
    """Give a report for each series asked for; `tell` hears of every chunk."""
    source = Lake(lake)
    spec = _spec(wanted.spec) if wanted.spec else None
    chosen = [series for series in source.series() if wanted.has(series, spec)]
    for number, series in enumerate(chosen):
        name = f"{series.venue}/{series.instrument}/{series.timeframe.value}"

        def on_rows(done: int, total: int, number: int = number) -> None:
            tell(number * PARTS + done * PARTS // max(total, 1), len(chosen) * PARTS, "")

        if spec is None:
            months = source.months(series)
            span = (month_span(months[-1])[1] - month_span(months[0])[0]) // series.timeframe.ns
            yield of_catalogue(name, series, _parts(source, series, months), span, on_rows)
        else:
            bars = source.read(series.venue, series.instrument, series.timeframe)
            yield of_spec(name, spec, _histories(source, series, spec, bars), on_rows)
        tell((number + 1) * PARTS, len(chosen) * PARTS, name)


class Merged(msgspec.Struct, frozen=True):
    """All series of one timeframe: medians of figures, the worst of what should be small."""

    timeframe: str
    series: int
    rows: int
    columns: tuple[MergedColumn, ...]
    alike: tuple[Alike, ...]


def merged(found: Sequence[Report]) -> list[Merged]:
    """Put the reports of each timeframe together, in the order in which they come."""
    groups: dict[str, list[Report]] = {}
    for report in found:
        groups.setdefault(report.series.rpartition("/")[2], []).append(report)
    return [
        Merged(
            timeframe,
            len(group),
            sum(report.rows for report in group),
            tuple(
                MergedColumn.of(columns)
                for columns in zip(*(r.columns for r in group if r.rows), strict=True)
            ),
            _strongest(group),
        )
        for timeframe, group in groups.items()
    ]


def _strongest(group: Sequence[Report]) -> tuple[Alike, ...]:
    """Give each pair once, with its strongest correlation."""
    best: dict[tuple[str, str], Alike] = {}
    for pair in (pair for report in group for pair in report.alike):
        key = (pair.first, pair.second)
        if key not in best or abs(pair.correlation) > abs(best[key].correlation):
            best[key] = pair
    return tuple(sorted(best.values(), key=lambda pair: -abs(pair.correlation)))


def _parts(lake: Lake, series: Series, months: Sequence[str]) -> Iterator[BarArrays]:
    """Read a series some months at a time."""
    for first in range(0, len(months), PART_MONTHS):
        some = months[first : first + PART_MONTHS]
        start, end = month_span(some[0])[0], month_span(some[-1])[1]
        yield lake.read(series.venue, series.instrument, series.timeframe, start=start, end=end)


def _spec(name: str) -> FeatureSpec:
    if name not in SPECS:
        raise UsageError(f"--spec: expected one of {', '.join(sorted(SPECS))}; found {name!r}")
    return SPECS[name]


def _histories(lake: Lake, series: Series, spec: FeatureSpec, bars: BarArrays) -> Histories:
    quote = series.instrument.partition("/")[2]
    references = {
        base: _every_timeframe(lake.read(series.venue, f"{base}/{quote}", series.timeframe), spec)
        for base in spec.bases
    }
    return _every_timeframe(bars, spec), references


def _every_timeframe(bars: BarArrays, spec: FeatureSpec) -> History:
    """Make all timeframes of a specification of its finest one."""
    return {timeframe: aggregate(bars, timeframe) for timeframe in spec.timeframes}


def _report(name: str, times: Sequence[int] | Ints, rows: int, statistics: Statistics) -> Report:
    alike = tuple(
        Alike(pair.first, pair.second, pair.correlation, reason_to_keep(pair.first, pair.second))
        for pair in statistics.pairs(LIMIT)
    )
    return Report(
        series=name,
        rows=rows,
        first=iso(int(times[0])) if len(times) else "",
        last=iso(int(times[-1])) if len(times) else "",
        columns=tuple(statistics.columns()) if rows else (),
        alike=alike,
    )
