"""One instrument's whole history of one timeframe, walked chunk by chunk.

Must not know specifications. Called by fold (columns of all slots) and live (state after a history).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from core.market import Timeframe
from inference.features.admit import CHUNK, MARKS, NEVER, NEWEST, number, stretches
from inference.features.catalogue import Layout, Work, hole_limit
from inference.features.family import DELTA, FIRST, INPUTS, ROW, SCALES, STOP
from inference.features.kernel import Floats, Ints
from inference.features.windows import ABSENT, mark_present

Sink = Callable[[int, int, Floats], None]
"""Takes the first slot of a chunk, its number of slots, and `out` [width, CHUNK or more] which is reused."""
_APART = 8
"""Slots that no bar reaches. Rows a power of two apart would all fall into the same few cache lines."""


class BarColumns(Protocol):
    """A history as arrays [T]: what feeds.lake.BarArrays offers. Rows sorted, times in ns."""

    @property
    def ts_open(self) -> Ints: ...
    @property
    def open(self) -> Floats: ...
    @property
    def high(self) -> Floats: ...
    @property
    def low(self) -> Floats: ...
    @property
    def close(self) -> Floats: ...
    @property
    def volume(self) -> Floats: ...


class BarTable(NamedTuple):
    """A history as the kernels take it: `values` [INPUTS, T] in the order of family.OPEN and so on."""

    ts_open: Ints
    values: Floats


class Numbered(NamedTuple):
    """Where each bar of a history lies; see admit.number. `total` is the number of slots."""

    slots: Ints
    counts: Ints
    gone: Ints
    total: int


def table(history: BarColumns | BarTable) -> BarTable:
    """Give a history as one table; the lake does not know who was the taker, so DELTA is NaN."""
    if isinstance(history, BarTable):
        return history
    values = np.empty((INPUTS, len(history.ts_open)))
    columns = (history.open, history.high, history.low, history.close, history.volume)
    for row, column in enumerate(columns):
        values[row] = column
    values[DELTA] = np.nan
    return BarTable(np.array(history.ts_open, np.int64), values)


def new_marks(instruments: int) -> Ints:
    """Give the marks of instruments that were not seen: [MARKS, n]."""
    marks = np.zeros((MARKS, instruments), np.int64)
    marks[NEWEST] = NEVER
    return marks


def numbered(bars: BarTable, timeframe: Timeframe, marks: Ints) -> Numbered:
    """Give a history's bars their slots; `marks` [MARKS, 1] go on."""
    slots, counts, gone = np.empty((3, len(bars.ts_open)), np.int64)
    limit = hole_limit(timeframe)
    total = number(bars.ts_open, bars.values, timeframe.ns, limit, marks, slots, counts, gone)
    return Numbered(slots, counts, gone, total)


def walk(
    layout: Layout,
    states: Sequence[Floats],
    bars: BarTable,
    at: Numbered,
    *,
    timeframe: Timeframe,
    sink: Sink,
) -> None:
    """Run all families over a history, from `states` [1, slots] which go on; chunks go to `sink`."""
    plan = np.empty((stretches(at.slots, at.counts, np.empty((0, 5), np.int64)), 5), np.int64)
    stretches(at.slots, at.counts, plan)
    rows = int(plan[:, ROW].max(initial=0)) + 1
    own = [np.zeros((rows, state.shape[1])) for state in states]
    for mine, state in zip(own, states, strict=True):
        mine[0] = state[0]
    size = min(CHUNK, at.total) + _APART
    work = Work(np.empty((layout.width, size)), np.empty((SCALES, size)))
    chunks = np.arange(-(-at.total // CHUNK) + 1)
    cuts = np.searchsorted(at.slots[plan[:, FIRST]] // CHUNK, chunks)
    for chunk in chunks[:-1].tolist():
        lines = plan[cuts[chunk] : cuts[chunk + 1]]
        origin = chunk * CHUNK
        work.out[0] = ABSENT
        mark_present(at.slots, at.gone, int(lines[0, FIRST]), int(lines[-1, STOP]), origin, work.out)
        layout.advance(own, lines, bars.ts_open, bars.values, timeframe.ns, work)
        sink(origin, min(CHUNK, at.total - origin), work.out)
        last = lines[-1, ROW]
        for state in own:
            state[0] = state[last]
            state[1:] = 0.0
    for mine, state in zip(own, states, strict=True):
        state[0] = mine[0]
