"""The state of one timeframe for all instruments, stepped by closed bars.

Must not know specifications or other timeframes. Called by frame. One state serves every model: the
families computed are those that any of them asks for.
"""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.market import Bar, Timeframe
from core.text import iso
from inference.features.admit import BARS, NEVER, NEWEST, PRESENT, SINCE, absent, admit
from inference.features.catalogue import MISSING, SLOTS, Layout, Work, hole_limit, layout
from inference.features.family import CLOSE, COUNT, INPUTS, ROW, SCALES
from inference.features.kernel import Flags, Floats, Ints, Matrix
from inference.features.series import BarTable, new_marks, numbered, walk
from inference.features.spec import Block
from inference.features.windows import ABSENT, note, pick, push, spread, unroll

_UNKNOWN = math.nan


class Ring:
    """The last slots of some columns, [instrument, slot, column]."""

    def __init__(self, picked: Ints, size: int, instruments: int) -> None:
        self.picked = picked
        self.values: Matrix = np.zeros((instruments, size, len(picked)), np.float32)
        self.slot: Ints = np.zeros(instruments, np.int64)

    def fill(self, row: int, hole: int, matrix: Matrix) -> None:
        """Put the rows of one instrument's history behind those that are there and a hole."""
        size = self.values.shape[1]
        before = np.roll(self.values[row], -int(self.slot[row]) - 1, axis=0)
        gone = np.tile(np.where(self.picked == 0, np.float32(ABSENT), np.float32(0)), (hole, 1))
        self.values[row] = np.concatenate([before, gone, matrix])[-size:]
        self.slot[row] = size - 1


class Live:
    """The live state of one timeframe: `out` [column, instrument] and what it was made from."""

    def __init__(self, timeframe: Timeframe, columns: Iterable[str], instruments: int) -> None:
        self.timeframe = timeframe
        self.layout: Layout = layout(columns)
        self.states = self.layout.states(instruments)
        self.marks = new_marks(instruments)
        self.close = np.zeros(instruments)
        self.work = Work(np.zeros((self.layout.width, instruments)), np.zeros((SCALES, instruments)))
        self.rings: dict[tuple[str, ...], Ring] = {}
        self._limit = hole_limit(timeframe)
        self._plan = np.empty((instruments, 5), np.int64)
        self._holes = np.empty(instruments, np.int64)

    def keep(self, block: Block) -> None:
        """Keep the slots that a block with a window or a lag needs; blocks of the same columns share them."""
        columns = _kept(block)
        size = block.window + block.lag
        have = self.rings.get(columns)
        if have is None or have.values.shape[1] < size:
            self.rings[columns] = Ring(self.layout.positions(columns), size, self.marks.shape[1])

    def step(self, rows: Ints, bars: BarTable) -> None:
        """Take bars in, bar k of instrument rows[k]; each instrument's oldest first."""
        first = 0
        while first < len(rows):
            first, lines = admit(
                rows, bars.ts_open, bars.values, self.timeframe.ns, self._limit, first,
                self.marks, self._plan, self._holes,
            )  # fmt: skip
            self._advance(self._plan[:lines], self._holes[:lines], bars)

    def _advance(self, plan: Ints, holes: Ints, bars: BarTable) -> None:
        fresh = plan[plan[:, COUNT] == 0, ROW]
        if len(fresh):
            for state in self.states:
                state[fresh] = 0.0
        self.layout.advance(self.states, plan, bars.ts_open, bars.values, self.timeframe.ns, self.work)
        note(plan, self.marks, bars.values, self.work.out, self.close)
        for ring in self.rings.values():
            push(ring.values, ring.slot, plan, holes, self.work.out, ring.picked)

    def warm(self, row: int, bars: BarTable) -> None:
        """Take an instrument's history: go on where the state ends in it, or start over from it."""
        if self._knows_more(row, bars):
            first = int(np.searchsorted(bars.ts_open, self.marks[NEWEST, row], side="right"))
            bars = BarTable(bars.ts_open[first:].copy(), bars.values[:, first:].copy())
        else:
            self.marks[:, row : row + 1] = new_marks(1)
            for state in self.states:
                state[row] = 0.0
        before = int(self.marks[NEWEST, row])
        marks = np.array(self.marks[:, row : row + 1])
        at = numbered(bars, self.timeframe, marks)
        if not at.total:
            return
        used = np.flatnonzero(at.slots >= 0)
        chunks: dict[tuple[str, ...], list[Matrix]] = {columns: [] for columns in self.rings}

        def sink(_: int, count: int, out: Floats) -> None:
            for columns, ring in self.rings.items():
                matrix = np.empty((count, len(columns)), np.float32)
                spread(out, ring.picked, count, matrix, 0)
                chunks[columns].append(matrix)
            self.work.out[:, row] = out[:, count - 1]

        states = [state[row : row + 1] for state in self.states]
        walk(self.layout, states, bars, at, timeframe=self.timeframe, sink=sink)
        self.marks[:, row] = marks[:, 0]
        self.close[row] = bars.values[CLOSE, used[-1]]
        goes_on = before != NEVER and at.counts[used[0]] > 1
        hole = (int(bars.ts_open[used[0]]) - before) // self.timeframe.ns - 1 if goes_on else 0
        for columns, ring in self.rings.items():
            ring.fill(row, hole, np.concatenate(chunks[columns]))

    def forget(self, rows: Ints) -> None:
        """Know nothing more of these rows: the next history or bar begins anew."""
        self.marks[:, rows] = new_marks(len(rows))
        for state in self.states:
            state[rows] = 0.0

    def _knows_more(self, row: int, bars: BarTable) -> bool:
        """Tell whether the state reaches further back than a history that overlaps or follows it.

        A history that covers slots which the state lacks is better than the state.
        """
        newest, since = int(self.marks[NEWEST, row]), int(self.marks[SINCE, row])
        first, length = int(bars.ts_open[0]), self.timeframe.ns
        if newest == NEVER or first <= since or first > newest + (self._limit + 1) * length:
            return False
        return not absent(int(self.marks[PRESENT, row])) or first > newest - (SLOTS - 1) * length

    # ---- saved ----

    def cells(self) -> list[NDArray[Any]]:
        """Give views of all that lasts, each [instrument, ...], whatever order specifications are in."""
        rings = [view for _, ring in sorted(self.rings.items()) for view in (ring.values, ring.slot)]
        return [self.marks.T, self.close, self.work.out.T, *self.states, *rings]

    # ---- asked ----

    def fit(self, block: Block, rows: Ints, ts_close: int) -> Flags:
        """Tell which rows are warm, whole enough, and hold the last bar closed by `ts_close`."""
        marks = self.marks[:, rows]
        current = marks[NEWEST] + self.timeframe.ns == self.timeframe.floor(ts_close)
        whole = np.rint(self.work.out[0, rows] * SLOTS) <= block.missing_allowed
        fit: Flags = current & (marks[BARS] >= block.warm_up) & whole & (rows >= 0)
        return fit

    def why_not(self, block: Block, rows: Ints, ts_close: int) -> list[str]:
        """Say what keeps each row from fitting. At a cold start all say the same: it is written once."""
        keys = [
            *zip((rows < 0).tolist(), *self.marks[[NEWEST, BARS, PRESENT]][:, rows].tolist(), strict=True)
        ]
        said = {key: self._why_not(block, key, ts_close) for key in set(keys)}
        return [said[key] for key in keys]

    def _why_not(self, block: Block, of: tuple[bool, int, int, int], ts_close: int) -> str:
        unknown, newest, bars, present = of
        if unknown:
            return f"{block.name}: {block.of} is not among the instruments"
        if newest == NEVER:
            return f"{block.name}: no bar that can be used"
        expected = self.timeframe.floor(ts_close)
        if newest + self.timeframe.ns != expected:
            found = iso(newest + self.timeframe.ns)
            return f"{block.name}: expected a bar closed at {iso(expected)}, newest closed at {found}"
        if bars < block.warm_up:
            return f"{block.name}: {bars} of {block.warm_up} bars since the last hole"
        gone = absent(present)
        return f"{block.name}: {gone} of the last {SLOTS} bars are missing, allowed {block.missing_allowed}"

    def pick(self, block: Block, rows: Ints, x: Matrix, start: int) -> None:
        """Copy a block's newest columns into x[:, start:]."""
        pick(self.work.out, rows, self.layout.positions(block.columns), x, start)

    def values(self, block: Block, rows: Ints) -> Floats:
        """Give a block's newest columns [columns, rows], float64."""
        return self.work.out[self.layout.positions(block.columns)][:, rows]

    def window(self, block: Block, rows: Ints, finite: Flags) -> Matrix:
        """Give a block's last slots [n, window, columns]; `finite` falls where a value is not."""
        columns = _kept(block)
        windows: Matrix = np.empty((len(rows), block.window, len(columns)), np.float32)
        ring = self.rings[columns]
        unroll(ring.values, ring.slot, rows, block.lag, windows, finite)
        if len(columns) > len(block.columns):
            finite &= windows[:, 0, -1] != ABSENT
        return windows[:, :, : len(block.columns)]


def _kept(block: Block) -> tuple[str, ...]:
    """Give the columns of a block's ring: a single slot that may be absent must tell."""
    return (*block.columns, MISSING) if block.lag and block.window == 1 else block.columns


def tables(bars: Sequence[Bar], row_of: Mapping[str, int]) -> tuple[Ints, BarTable]:
    """Give the rows and the table of those bars, all of one timeframe, that are of known instruments."""
    rows = [row_of.get(bar.instrument, -1) for bar in bars]
    if -1 in rows:
        return tables([bar for bar in bars if bar.instrument in row_of], row_of)
    opened: list[int] = []
    flat: list[float] = []
    for bar in bars:
        opened.append(bar.ts_open)
        delta = _UNKNOWN if bar.delta is None else bar.delta
        flat += bar.open, bar.high, bar.low, bar.close, bar.volume, delta
    # Packed at once: numpy looks at each number of a list twice. Copied, so that a kernel may write.
    whole = np.frombuffer(struct.pack(f"{2 * len(rows)}q", *rows, *opened), np.int64).reshape(2, -1).copy()
    values = np.frombuffer(struct.pack(f"{len(flat)}d", *flat)).reshape(-1, INPUTS).T.copy()
    return whole[0], BarTable(whole[1], values)


def grouped(bars: Iterable[Bar]) -> dict[Timeframe, list[Bar]]:
    """Give bars by timeframe, in the order in which they come."""
    groups: dict[Timeframe, list[Bar]] = {}
    for timeframe, run in groupby(bars, attrgetter("timeframe")):
        groups.setdefault(timeframe, []).extend(run)
    return groups
