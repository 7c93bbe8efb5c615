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
from inference.features.frame import SCALES_OF_DECISION, clock
from inference.features.kernel import Flags, Floats, Ints, Matrix
from inference.features.series import BarColumns, BarTable, Numbered, new_marks, numbered, table, walk
from inference.features.spec import FLAT, Block, FeatureSpec
from inference.features.windows import align, finite_since, gather, gather_windows, spread

History = Mapping[Timeframe, BarColumns | BarTable]


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
        return self.tensors(np.arange(len(self.ts_close)))[FLAT]

    def tensors(self, rows: Ints) -> dict[str, Matrix]:
        """Give the tensors of some rows, bit for bit as Inputs has them for rows that are ready."""
        x: Matrix = np.empty((len(rows), len(self.spec.names)), np.float32)
        tensors = {FLAT: x} if self.spec.names else {}
        start = 0
        for block, matrix, at in self.placed:
            if block.window > 1:
                tensors[block.name] = np.empty((len(rows), block.window, len(block.columns)), np.float32)
                gather_windows(matrix, at[rows], tensors[block.name])
            else:
                gather(matrix, at[rows], x, start)
                start += len(block.columns)
        x[:, start:] = self.rest[rows]
        return tensors


def fold(spec: FeatureSpec, history: History, references: Mapping[str, History] | None = None) -> Folded:
    """Give the vectors of one instrument's whole history; `references` are those that blocks are `of`.

    Row t uses bars that closed by ts_close[t] and no others; it equals bit for bit what a FeatureFrame
    says that was fed the same bars from the same first one. Raises DataError if a timeframe or a
    reference of the specification is absent.
    """
    decision = _Series(spec, "", history, spec.decision)
    walked = {("", spec.decision): decision}
    ts_close = decision.bars.ts_open + spec.decision.ns
    ready, finite = np.ones((2, len(ts_close)), np.bool_)
    placed = []
    for block in spec.blocks:
        key = (block.of, block.timeframe)
        if key not in walked:
            source = history if not block.of else (references or {}).get(block.of, {})
            walked[key] = _Series(spec, block.of, source, block.timeframe)
        matrix = walked[key].matrices[block.columns]
        at = walked[key].at(block, ts_close, ready)
        run = np.empty(len(matrix), np.int64)
        finite_since(matrix, run)
        finite &= np.where(at >= 0, run[at] >= block.window, True) if len(matrix) else True
        placed.append(Placed(block, matrix, at))
    own = np.empty(len(ts_close), np.int64)
    align(
        ts_close,
        decision.bars.ts_open,
        *decision.numbered[:3],
        np.array([spec.decision.ns, 0, 60]),
        own,
        ready,
    )
    atr, volatility = (np.where(own >= 0, kept[own], 0.0) for kept in decision.kept)
    close = decision.bars.values[CLOSE]
    with np.errstate(invalid="ignore"):  # a close that cannot be true is in a row that is not ready
        atr = atr * close
    return Folded(
        spec, tuple(placed), clock(spec, ts_close), ready & finite, atr, volatility, close, ts_close
    )


class _Series:
    """One timeframe of one instrument, walked: the columns that the specification's blocks ask of it."""

    def __init__(self, spec: FeatureSpec, of: str, history: History, timeframe: Timeframe) -> None:
        found = history.get(timeframe)
        if found is None or len(found.ts_open) == 0:
            raise DataError(f"features: expected {timeframe.value} bars{of and ' of ' + of}, found none")
        self.bars = table(found)
        self.numbered: Numbered = numbered(self.bars, timeframe, new_marks(1))
        blocks = {
            block.columns: None for block in spec.blocks if (block.of, block.timeframe) == (of, timeframe)
        }
        scales = SCALES_OF_DECISION if timeframe is spec.decision and not of else ()
        plan = layout([*(column for columns in blocks for column in columns), *scales])
        total = self.numbered.total
        self.matrices: dict[tuple[str, ...], Matrix] = {
            columns: np.empty((total, len(columns)), np.float32) for columns in blocks
        }
        self.kept: Floats = np.empty((len(scales), max(total, 1)))
        picked = {columns: plan.positions(columns) for columns in blocks}
        kept = plan.positions(scales)

        def sink(origin: int, count: int, out: Floats) -> None:
            for columns, matrix in self.matrices.items():
                spread(out, picked[columns], count, matrix, origin)
            self.kept[:, origin : origin + count] = out[kept, :count]

        walk(plan, plan.states(1), self.bars, self.numbered, timeframe=timeframe, sink=sink)

    def at(self, block: Block, ts_close: Ints, ready: Flags) -> Ints:
        """Give the slot of the newest bar at each decision; `ready` falls where it does not count."""
        at = np.empty(len(ts_close), np.int64)
        terms = np.array([block.timeframe.ns, block.warm_up, block.missing_allowed])
        align(ts_close, self.bars.ts_open, *self.numbered[:3], terms, at, ready)
        return at
