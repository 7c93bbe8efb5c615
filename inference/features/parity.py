"""The watch over live columns: a sample of instruments is computed again offline and compared.

Must not know what becomes of a finding. Called by the shell between closes, with every bar that the
frame is given. A live state that drifted, was restored wrongly or was written over is found within one
check once a column's warm-up lies within the bars that are kept.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from core.market import Bar, Timeframe
from inference.features.catalogue import MISSING, SLOTS, Layout, warm_up_of
from inference.features.family import INPUTS
from inference.features.frame import FeatureFrame
from inference.features.kernel import Floats
from inference.features.live import grouped, tables
from inference.features.series import BarTable, new_marks, numbered, walk

TOLERANCE = 1e-9
"""Largest difference, relative to max(1, |offline|): what a forgotten start may leave."""
SPARE = 64
"""Bars kept beyond the longest warm-up of a timeframe's columns."""


class Mismatch(msgspec.Struct, frozen=True):
    """One column of one instrument that offline is another number, at a bar's close in ns."""

    instrument: str
    timeframe: Timeframe
    column: str
    ts_close: int
    live: float
    offline: float


class _Tape:
    """The newest bars of one instrument and timeframe as arrays."""

    def __init__(self, kept: int) -> None:
        self.kept = kept
        self.size = 0
        self.ts_open = np.empty(2 * kept, np.int64)
        self.values = np.empty((INPUTS, 2 * kept))

    def add(self, ts_open: int, values: Floats) -> None:
        if self.size and ts_open <= self.ts_open[self.size - 1]:
            return
        if self.size == 2 * self.kept:
            self.ts_open[: self.kept] = self.ts_open[self.kept :]
            self.values[:, : self.kept] = self.values[:, self.kept :]
            self.size = self.kept
        self.ts_open[self.size] = ts_open
        self.values[:, self.size] = values
        self.size += 1

    def since(self, first: int) -> BarTable:
        return BarTable(self.ts_open[first : self.size].copy(), self.values[:, first : self.size].copy())


class ParityMonitor:
    """Keeps the raw bars of a few instruments and compares; `checked` counts the values compared."""

    def __init__(self, frame: FeatureFrame, sample: Sequence[str]) -> None:
        self.sample = tuple(sample)
        self.checked = 0
        self._row_of = {instrument: row for row, instrument in enumerate(self.sample)}
        self._warm_ups = {
            timeframe: {column: _memory(column, timeframe) for column in layout.rows}
            for timeframe, layout in frame.layouts.items()
        }
        self._tapes = {
            (instrument, timeframe): _Tape(max(warm_ups.values()) + SPARE)
            for timeframe, warm_ups in self._warm_ups.items()
            for instrument in self.sample
        }

    def on_bars(self, bars: Sequence[Bar]) -> None:
        """Take in the bars that the frame is given."""
        for timeframe, (rows, found) in self._sorted(bars).items():
            for k, row in enumerate(rows):
                tape = self._tapes[self.sample[row], timeframe]
                tape.add(int(found.ts_open[k]), found.values[:, k])

    def on_history(self, frame: FeatureFrame, bars: Sequence[Bar]) -> None:
        """Take in a history that the frame has just taken: it went on with it or started over."""
        for timeframe, (rows, found) in self._sorted(bars).items():
            for row in sorted(set(rows)):
                instrument = self.sample[row]
                own = np.flatnonzero(np.array(rows) == row)
                own = own[np.argsort(found.ts_open[own], kind="stable")]
                if frame.snapshot(instrument, timeframe).since >= found.ts_open[own[0]]:
                    self._tapes[instrument, timeframe].size = 0
                for k in own:
                    self._tapes[instrument, timeframe].add(int(found.ts_open[k]), found.values[:, k])

    def check(self, frame: FeatureFrame) -> list[Mismatch]:
        """Compare the newest row of each sampled instrument and timeframe; give what differs.

        Columns that have not forgotten where the tape begins are left out, and so is a flag that
        offline too depends on the first bar: it stood at its threshold.
        """
        found: list[Mismatch] = []
        for (instrument, timeframe), tape in self._tapes.items():
            live = frame.snapshot(instrument, timeframe)
            if not tape.size or live.newest != tape.ts_open[tape.size - 1]:
                continue
            offline, bars = _last(live.layout, timeframe, tape.since(0))
            ready = [column for column, least in self._warm_ups[timeframe].items() if least <= bars]
            self.checked += len(ready)
            rows = [live.layout.rows[column] for column in ready]
            if any(_differ(live.values[row], offline[row]) for row in rows):
                later, _ = _last(live.layout, timeframe, tape.since(1))
                found += [
                    Mismatch(instrument, timeframe, column, live.newest + timeframe.ns, one, other)
                    for column, row in zip(ready, rows, strict=True)
                    if _differ(one := float(live.values[row]), other := float(offline[row]))
                    and not _differ(float(later[row]), other)
                ]
        return found

    def _sorted(self, bars: Sequence[Bar]) -> dict[Timeframe, tuple[list[int], BarTable]]:
        own = [bar for bar in bars if bar.instrument in self._row_of]
        given = {
            timeframe: tables(group, self._row_of)
            for timeframe, group in grouped(own).items()
            if timeframe in self._warm_ups
        }
        return {timeframe: (rows.tolist(), found) for timeframe, (rows, found) in given.items()}


def _memory(column: str, timeframe: Timeframe) -> int:
    """Give after how many bars a tape knows all that a live column does, which may reach further back."""
    return SLOTS if column == MISSING else warm_up_of(column, timeframe)


def _last(layout: Layout, timeframe: Timeframe, bars: BarTable) -> tuple[Floats, int]:
    """Give the columns of a history's last bar, and how many bars since its last start that is."""
    at = numbered(bars, timeframe, new_marks(1))
    columns = np.full(layout.width, np.nan)

    def sink(_: int, count: int, out: Floats) -> None:
        columns[:] = out[:, count - 1]

    walk(layout, layout.states(1), bars, at, timeframe=timeframe, sink=sink)
    return columns, int(at.counts[-1]) if len(at.counts) else 0


def _differ(one: float, other: float) -> bool:
    if np.isnan(one) or np.isnan(other):
        return bool(np.isnan(one) != np.isnan(other))
    return bool(abs(one - other) > TOLERANCE * max(1.0, abs(other)))
