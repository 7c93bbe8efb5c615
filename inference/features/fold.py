"""Feature vectors offline: what a FeatureFrame would have said at each close of a whole history.

Must not know models or files. Called by training, backtests and reports. Windows are never
copied out for all rows: they lie in one matrix per block, and a decision knows its newest slot.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from core.errors import DataError
from core.market import Timeframe
from inference.features.catalogue import layout
from inference.features.family import CLOSE
from inference.features.frame import SCALES_OF_DECISION, clock, crossed
from inference.features.kernel import Flags, Floats, Ints, Matrix
from inference.features.known import KnownSeries, as_of
from inference.features.series import BarColumns, BarTable, Numbered, new_marks, numbered, table, walk
from inference.features.spec import FLAT, Block, FeatureSpec, Outside
from inference.features.windows import align, finite_since, fit, gather, gather_exact, gather_windows, spread

History = Mapping[Timeframe, BarColumns | BarTable]
_TILE = 1_024


class Placed(NamedTuple):
    """A block's columns [slots, C] and the slot of each decision's newest bar, -1 where there is none."""

    block: Block
    matrix: Matrix
    at: Ints


class Folded(NamedTuple):
    """One row per bar of the decision timeframe: what Inputs would have said at its close.

    Window W of row t in block b is `matrix[at[t] - W + 1 : at[t] + 1]` of the block's Placed.
    """

    spec: FeatureSpec
    placed: tuple[Placed, ...]
    rest: Matrix
    ready: Flags
    atr: Floats
    volatility: Floats
    close: Floats
    ts_close: Ints

    @property
    def x(self) -> Matrix:
        """The tensor `x` of all rows, made anew at each call."""
        return self.flat(np.arange(len(self.ts_close)))

    def flat(self, rows: Ints) -> Matrix:
        """Give the tensor `x` of some rows; no window is gathered for it."""
        x: Matrix = np.empty((len(rows), len(self.spec.names)), np.float32)
        # A few rows of all blocks at a time: a row's cache lines are shared by neighbouring blocks.
        for first in range(0, len(rows) if self.spec.names else 0, _TILE):
            self._join(rows[first : first + _TILE], x[first : first + _TILE])
        return x

    def tensors(self, rows: Ints) -> dict[str, Matrix]:
        """Give the tensors of some rows, bit for bit as Inputs has them for rows that are ready."""
        tensors = {FLAT: self.flat(rows)} if self.spec.names else {}
        for block, matrix, at in self.placed:
            if block.window > 1:
                tensors[block.name] = np.empty((len(rows), block.window, len(block.columns)), np.float32)
                gather_windows(matrix, at[rows], tensors[block.name])
        return tensors

    def _join(self, rows: Ints, x: Matrix) -> None:
        start = 0
        for block, matrix, at in self.placed:
            if block.window == 1:
                gather(matrix, at[rows], x, start)
                start += len(block.columns)
        x[:, start:] = self.rest[rows]


def fold(
    spec: FeatureSpec,
    history: History,
    references: Mapping[str, History] | None = None,
    known: Mapping[str, KnownSeries] | None = None,
) -> Folded:
    """Give the vectors of one instrument's whole history.

    `references` are the bars of the instruments that blocks are `of`, by base; `known` the outside series
    by name, of which an absent one is not known. Row t uses what was there by ts_close[t] and nothing
    else; it equals bit for bit what a FeatureFrame says that was fed the same bars from the same first
    one. Raises DataError if a timeframe or a reference of the specification is absent.
    """
    sources = {"": history, **(references or {})}
    walked = {
        key: _Series(spec, key, sources.get(key[0], {}))
        for key in dict.fromkeys([("", spec.decision), *map(_key, spec.needed)])
    }
    decision = walked["", spec.decision]
    ts_close = decision.bars.ts_open + spec.decision.ns
    # A bar told twice decides once, by the one that counts.
    ready: Flags = decision.numbered.slots >= 0
    bars = {key: one.align(ts_close) for key, one in walked.items()}
    placed = [
        Placed(
            block, walked[_key(block)].matrices[block.columns], walked[_key(block)].fit(block, bars, ready)
        )
        for block in spec.blocks
    ]
    atr, volatility = decision.exact(SCALES_OF_DECISION, bars["", spec.decision])
    close = decision.bars.values[CLOSE]
    with np.errstate(invalid="ignore"):  # a close that cannot be true is in a row that is not ready
        atr *= close
    parts = []
    for cross in spec.cross:
        values = []
        for block in cross.blocks:
            walked[_key(block)].fit(block, bars, ready)
            values.append(walked[_key(block)].exact(block.columns, bars[_key(block)]))
        parts.append(crossed(spec, cross, values, (atr, close)))
    parts += [_outside(outside, known or {}, ts_close) for outside in spec.known]
    rest = np.hstack([*parts, clock(spec, ts_close)])
    ready &= np.isfinite(rest).all(axis=1)
    return Folded(spec, tuple(placed), rest, ready, atr, volatility, close, ts_close)


def _key(block: Block) -> tuple[str, Timeframe]:
    return block.of, block.timeframe


def _outside(outside: Outside, known: Mapping[str, KnownSeries], ts_close: Ints) -> Matrix:
    columns = len(outside.columns)
    nothing = KnownSeries(np.empty(0, np.int64), np.empty((0, columns)))
    return as_of(known.get(outside.name, nothing), ts_close, outside.max_age_s, columns)


class _Series:
    """One timeframe of one instrument, walked: the columns that the specification asks of it."""

    def __init__(self, spec: FeatureSpec, key: tuple[str, Timeframe], history: History) -> None:
        of, timeframe = key
        found = history.get(timeframe)
        if found is None or len(found.ts_open) == 0:
            raise DataError(f"features: expected {timeframe.value} bars{of and ' of ' + of}, found none")
        self.timeframe = timeframe
        self.bars = table(found)
        self.numbered: Numbered = numbered(self.bars, timeframe, new_marks(1))
        blocks = [block.columns for block in spec.blocks if _key(block) == key]
        exact = [block.columns for cross in spec.cross for block in cross.blocks if _key(block) == key]
        if key == ("", spec.decision):
            exact.append(SCALES_OF_DECISION)
        plan = layout(column for columns in (*blocks, *exact) for column in columns)
        total = self.numbered.total
        self.matrices: dict[tuple[str, ...], Matrix] = {
            columns: np.empty((total, len(columns)), np.float32) for columns in blocks
        }
        names = tuple(dict.fromkeys(column for columns in exact for column in columns))
        self._exact_row = {column: row for row, column in enumerate(names)}
        self._exact: Floats = np.empty((len(names), max(total, 1)))
        picked = {columns: plan.positions(columns) for columns in blocks}
        kept = plan.positions(names)

        def sink(origin: int, count: int, out: Floats) -> None:
            for columns, matrix in self.matrices.items():
                spread(out, picked[columns], count, matrix, origin)
            for row, position in enumerate(kept):
                self._exact[row, origin : origin + count] = out[position, :count]

        walk(plan, plan.states(1), self.bars, self.numbered, timeframe=timeframe, sink=sink)

    def align(self, ts_close: Ints) -> Ints:
        """Give the bar of each decision, -1 where the last that can have closed is absent."""
        bar = np.empty(len(ts_close), np.int64)
        align(ts_close, self.bars.ts_open, self.numbered.slots, self.timeframe.ns, bar)
        return bar

    def fit(self, block: Block, bars: Mapping[tuple[str, Timeframe], Ints], ready: Flags) -> Ints:
        """Give the slot of each decision's bar; `ready` falls where it may not be used."""
        bar = bars[_key(block)]
        run = np.full(max(self.numbered.total, 1), block.window, np.int64)
        if block.columns in self.matrices:
            finite_since(self.matrices[block.columns], run)
        if block.lag and block.window == 1:
            there = np.zeros(len(run), np.bool_)
            there[self.numbered.slots[self.numbered.slots >= 0]] = True
            run[~there] = 0
        terms = np.array([block.warm_up, block.missing_allowed, block.window, block.lag])
        at = np.empty(len(bar), np.int64)
        fit(bar, *self.numbered[:3], terms, run, at, ready)
        return at

    def exact(self, columns: tuple[str, ...], bar: Ints) -> Floats:
        """Give float64 columns [columns, T] at each decision's bar, 0 where it is absent."""
        out = np.empty((len(columns), len(bar)))
        matrix = self._exact[[self._exact_row[column] for column in columns]]
        gather_exact(matrix, bar, self.numbered.slots, out)
        return out
