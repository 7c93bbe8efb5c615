"""Feature vectors: live state of many instruments, and the same numbers folded over history.

Must not know models, files or where bars come from. Called by inference.pipeline (live) and
training (offline); both step the kernels of inference.features.indicators, so they cannot differ.
"""

import itertools
import operator
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from core.clock import MINUTE
from core.errors import DataError
from core.market import Bar, Timeframe
from core.text import iso
from inference.features.indicators import (
    ATR_COLUMN,
    COLUMNS,
    NEVER,
    STATE,
    VOLATILITY_COLUMN,
    Flags,
    Floats,
    Ints,
    Matrix,
    align,
    fold_series,
    gather,
    step_rows,
)
from inference.features.spec import CLOCK_COLUMNS, Block, FeatureSpec

_DAY = 24 * 60
_WEEK = 7 * _DAY


class BarColumns(Protocol):
    """A history as arrays [T]: what feeds.lake.BarArrays offers. Rows sorted, times in ns."""

    @property
    def ts_open(self) -> Ints: ...
    @property
    def high(self) -> Floats: ...
    @property
    def low(self) -> Floats: ...
    @property
    def close(self) -> Floats: ...
    @property
    def volume(self) -> Floats: ...


class Vectors(NamedTuple):
    """One row per instrument asked for. Rows that are not ready must not be used.

    `atr` is in price units and `volatility` the deviation of log returns, both of the decision
    timeframe; `close` is its last close.
    """

    x: Matrix
    ready: Flags
    reason: list[str]
    atr: Floats
    volatility: Floats
    close: Floats


class Folded(NamedTuple):
    """One row per bar of the decision timeframe: what Vectors would have said at its close."""

    x: Matrix
    ready: Flags
    atr: Floats
    volatility: Floats
    close: Floats
    ts_close: Ints


def _clock_table() -> Floats:
    """Sine and cosine of day and week for each minute of a week: [minutes, 4]."""
    minute = np.arange(_WEEK)
    day = 2 * np.pi * minute / _DAY
    week = 2 * np.pi * minute / _WEEK
    return np.column_stack([np.sin(day), np.cos(day), np.sin(week), np.cos(week)])


# A table, so that both paths read the same bits whatever the sine of this machine gives.
_CLOCK = _clock_table()


class _BlockState:
    """The live state of one timeframe, [instrument, ...]."""

    def __init__(self, block: Block, instruments: int) -> None:
        self.block = block
        self.picked = _positions(block)
        self.state = np.zeros((instruments, STATE))
        self.counts = np.zeros(instruments, np.int64)
        self.last_open = np.full(instruments, NEVER, np.int64)
        self.columns = np.zeros((instruments, len(COLUMNS)))
        self.close = np.zeros(instruments)

    def step(self, rows: list[int], bars: list[Bar]) -> None:
        index = np.array(rows, np.int64)
        ts_open = np.array([bar.ts_open for bar in bars], np.int64)
        values = np.array(
            [
                [bar.high for bar in bars],
                [bar.low for bar in bars],
                [bar.close for bar in bars],
                [bar.volume for bar in bars],
            ]
        )
        step_rows(
            self.state,
            self.counts,
            self.last_open,
            self.columns,
            index,
            ts_open,
            values,
            self.block.timeframe.ns,
        )
        newest = self.last_open[index] == ts_open
        self.close[index[newest]] = values[2, newest]

    def fit(self, rows: Ints, ts_close: int) -> Flags:
        """Tell which rows are warm and hold the last bar that can have closed by `ts_close`."""
        length = self.block.timeframe.ns
        current = self.last_open[rows] + length == self.block.timeframe.floor(ts_close)
        return current & (self.counts[rows] >= self.block.warm_up)

    def why_not(self, row: int, ts_close: int) -> str:
        """Say what keeps a row from fitting."""
        timeframe = self.block.timeframe
        expected = timeframe.floor(ts_close)
        if self.last_open[row] == NEVER:
            return f"{timeframe.value}: no bar that can be used"
        newest = int(self.last_open[row]) + timeframe.ns
        if newest != expected:
            return (
                f"{timeframe.value}: expected a bar closed at {iso(expected)}, newest closed at {iso(newest)}"
            )
        return f"{timeframe.value}: {self.counts[row]} of {self.block.warm_up} bars since the last hole"


class FeatureFrame:
    """Rolling features of a fixed set of instruments under one specification."""

    def __init__(self, spec: FeatureSpec, instruments: Sequence[str]) -> None:
        self.spec = spec
        self.instruments = tuple(instruments)
        self._row = {instrument: row for row, instrument in enumerate(self.instruments)}
        self._blocks = {block.timeframe: _BlockState(block, len(self._row)) for block in spec.blocks}

    def on_bars(self, bars: Sequence[Bar]) -> None:
        """Take in closed bars, oldest first within a timeframe.

        Timeframes and instruments outside the frame and bars seen before are ignored. A bar that
        does not follow its predecessor makes its instrument and timeframe start over.
        """
        for timeframe, group in itertools.groupby(bars, operator.attrgetter("timeframe")):
            block = self._blocks.get(timeframe)
            if block is None:
                continue
            known = [bar for bar in group if bar.instrument in self._row]
            if known:
                block.step([self._row[bar.instrument] for bar in known], known)

    def warm(self, bars: Sequence[Bar]) -> None:
        """Replace the state of each instrument and timeframe found in `bars` by their history."""
        for bar in bars:
            block = self._blocks.get(bar.timeframe)
            if block is not None and bar.instrument in self._row:
                block.last_open[self._row[bar.instrument]] = NEVER
        self.on_bars(sorted(bars, key=lambda bar: (bar.timeframe.ns, bar.ts_open)))

    def vectors(self, instruments: Sequence[str], ts_close: int) -> Vectors:
        """Give the vectors for the decision bar that closed at `ts_close`.

        A block counts only if its newest bar is the last one that can have closed by then.
        """
        rows = np.array([self._row[instrument] for instrument in instruments], np.int64)
        x = _with_clock(self.spec, np.full(len(rows), ts_close))
        ready, finite = np.ones((2, len(rows)), np.bool_)
        reason = [""] * len(rows)
        start = 0
        for block in self._blocks.values():
            gather(block.columns, rows, block.picked, x, start, finite)
            start += len(block.picked)
            fit = block.fit(rows, ts_close)
            for k in np.flatnonzero(ready & ~fit):
                reason[k] = block.why_not(int(rows[k]), ts_close)
            ready &= fit
        for k in np.flatnonzero(ready & ~finite):
            reason[k] = "not finite"
        decision = self._blocks[self.spec.decision]
        close = decision.close[rows]
        return Vectors(
            x=x,
            ready=ready & finite,
            reason=reason,
            atr=decision.columns[rows, ATR_COLUMN] * close,
            volatility=decision.columns[rows, VOLATILITY_COLUMN],
            close=close,
        )


def fold(spec: FeatureSpec, history: Mapping[Timeframe, BarColumns]) -> Folded:
    """Give the vectors of one instrument's whole history.

    Row t uses bars that closed by ts_close[t] and no others; it equals bit for bit what a
    FeatureFrame says that was fed the same bars from the same first one. Raises DataError if a
    timeframe of the specification is absent.
    """
    folded = {block.timeframe: _fold_block(block, history) for block in spec.blocks}
    decision = history[spec.decision]
    ts_close = decision.ts_open + spec.decision.ns
    x = _with_clock(spec, ts_close)
    ready, finite = np.ones((2, len(ts_close)), np.bool_)
    at = np.empty(len(ts_close), np.int64)
    start = 0
    for block in spec.blocks:
        columns, counts = folded[block.timeframe]
        picked = _positions(block)
        ts_open = history[block.timeframe].ts_open
        align(ts_close, ts_open, counts, block.timeframe.ns, block.warm_up, at, ready)
        gather(columns, at, picked, x, start, finite)
        start += len(picked)
    columns, _ = folded[spec.decision]
    with np.errstate(invalid="ignore"):  # a close that cannot be true is in a row that is not ready
        atr = columns[:, ATR_COLUMN] * decision.close
    return Folded(
        x=x,
        ready=ready & finite,
        atr=atr,
        volatility=columns[:, VOLATILITY_COLUMN].copy(),
        close=decision.close,
        ts_close=ts_close,
    )


def _fold_block(block: Block, history: Mapping[Timeframe, BarColumns]) -> tuple[Floats, Ints]:
    bars = history.get(block.timeframe)
    if bars is None or len(bars.ts_open) == 0:
        msg = f"features: expected {block.timeframe.value} bars, found none"
        raise DataError(msg)
    columns = np.zeros((len(bars.ts_open), len(COLUMNS)))
    counts = np.empty(len(bars.ts_open), np.int64)
    fold_series(
        bars.ts_open, bars.high, bars.low, bars.close, bars.volume, block.timeframe.ns, columns, counts
    )
    return columns, counts


def _positions(block: Block) -> Ints:
    return np.array([COLUMNS.index(column) for column in block.columns], np.int64)


def _with_clock(spec: FeatureSpec, ts_close: Ints) -> Matrix:
    """Make room for vectors [T, C] whose last columns, the clock's, are filled in."""
    x = np.empty((len(ts_close), len(spec.names)), np.float32)
    x[:, -len(CLOCK_COLUMNS) :] = _CLOCK[ts_close // MINUTE % _WEEK]
    return x
