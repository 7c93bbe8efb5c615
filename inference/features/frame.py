"""Feature vectors live: one rolling state of many instruments for every model at once.

Must not know models, files or where bars come from. Called by inference.pipeline. The same kernels
walk histories in fold, so both cannot differ.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from core.clock import MINUTE, SECOND
from core.errors import DataError
from core.market import Bar, Timeframe
from inference.features.admit import NEVER, NEWEST, SINCE
from inference.features.catalogue import Layout
from inference.features.cross import CROSS
from inference.features.kernel import Flags, Floats, Ints, Matrix
from inference.features.known import Known
from inference.features.live import Live, grouped, tables
from inference.features.series import BarTable
from inference.features.spec import CLOCK_COLUMNS, FLAT, Block, Cross, FeatureSpec
from inference.features.state import Header, pack, unpack

SCALES_OF_DECISION = ("atr", "volatility")
"""Columns of every decision timeframe: what a position is sized and stopped by."""

_DAY = 24 * 60
_WEEK = 7 * _DAY


class Inputs(NamedTuple):
    """One row per instrument asked for. Rows that are not ready must not be used.

    `tensors` are float32 [n, ...] by name, as FeatureSpec.shapes says. `atr` is in price units and
    `volatility` the deviation of log returns, both of the decision timeframe; `close` is its last close,
    `age_s` how long before the time asked for that closed (inf: no bar).
    """

    tensors: dict[str, Matrix]
    ready: Flags
    reason: list[str]
    atr: Floats
    volatility: Floats
    close: Floats
    age_s: Floats


class Snapshot(NamedTuple):
    """One instrument at one timeframe, `values` [width] in the order of `layout.rows`.

    Open times of its newest bar and of the first since the last start; admit.NEVER for none yet.
    """

    newest: int
    since: int
    layout: Layout
    values: Floats


class Restored(NamedTuple):
    """What a saved state gave: these instruments, at all of these timeframes."""

    instruments: tuple[str, ...]
    timeframes: tuple[Timeframe, ...]


def _clock_table() -> Floats:
    """Sine and cosine of day and week for each minute of a week: [minutes, 4]."""
    minute = np.arange(_WEEK)
    day = 2 * np.pi * minute / _DAY
    week = 2 * np.pi * minute / _WEEK
    return np.column_stack([np.sin(day), np.cos(day), np.sin(week), np.cos(week)])


# A table, so that both paths read the same bits whatever the sine of this machine gives.
_CLOCK = _clock_table().astype(np.float32)


def clock(spec: FeatureSpec, ts_close: Ints) -> Matrix:
    """Give a specification's clock columns [T, k] at decision times."""
    picked = [CLOCK_COLUMNS.index(name) for name in spec.clock]
    table = np.ascontiguousarray(_CLOCK[:, picked])
    return table.take(ts_close // MINUTE % _WEEK, axis=0)


def columns_of(specs: Iterable[FeatureSpec]) -> dict[Timeframe, list[str]]:
    """Give the columns that each timeframe must compute for a set of specifications."""
    wanted: dict[Timeframe, list[str]] = {}
    for spec in specs:
        wanted.setdefault(spec.decision, []).extend(SCALES_OF_DECISION)
        for block in spec.needed:
            wanted.setdefault(block.timeframe, []).extend(block.columns)
    return wanted


def crossed(
    spec: FeatureSpec, cross: Cross, values: Sequence[Floats], scales: tuple[Floats, Floats]
) -> Matrix:
    """Give a cross column [n, 1] from its timeframes' inputs, each [needs, n], and the decision's scales."""
    lengths = np.array([timeframe.ns / spec.decision.ns for timeframe in cross.timeframes])
    out = np.empty(len(scales[0]))
    # Columns of a fancy index may lie the other way round: another type to a kernel, compiled anew.
    inputs = np.ascontiguousarray(np.vstack(values))
    CROSS[cross.column].combine(inputs, np.vstack(scales), lengths, out)
    return out.astype(np.float32)[:, None]


class FeatureFrame:
    """Rolling features of a fixed set of instruments, such as BTC/USD, under some specifications."""

    def __init__(self, specs: Sequence[FeatureSpec], instruments: Sequence[str]) -> None:
        self.specs = tuple(specs)
        self.instruments = tuple(instruments)
        self._row = {instrument: row for row, instrument in enumerate(self.instruments)}
        wanted = columns_of(self.specs)
        self._live = {
            timeframe: Live(timeframe, wanted[timeframe], len(self._row))
            for timeframe in sorted(wanted, key=lambda timeframe: timeframe.ns)
        }
        for spec in self.specs:
            for block in spec.blocks:
                if block.window > 1 or block.lag:
                    self._live[block.timeframe].keep(block)
        self._known = {
            outside: Known(len(outside.columns), len(self._row))
            for spec in self.specs
            for outside in spec.known
        }
        bases = {base for spec in self.specs for base in spec.bases}
        self._references = {base: self._reference(base) for base in bases}

    @property
    def timeframes(self) -> tuple[Timeframe, ...]:
        """What it wants bars of, shortest first."""
        return tuple(self._live)

    @property
    def layouts(self) -> dict[Timeframe, Layout]:
        """What each timeframe computes."""
        return {timeframe: live.layout for timeframe, live in self._live.items()}

    def snapshot(self, instrument: str, timeframe: Timeframe) -> Snapshot:
        """Give the newest columns of one instrument, all that the timeframe computes."""
        live, row = self._live[timeframe], self._row[instrument]
        newest, since = (int(live.marks[mark, row]) for mark in (NEWEST, SINCE))
        return Snapshot(newest, since, live.layout, live.work.out[:, row].copy())

    def on_bars(self, bars: Sequence[Bar]) -> None:
        """Take in closed bars, oldest first within a timeframe.

        Timeframes and instruments outside the frame and bars seen before are ignored. After more absent
        bars than catalogue.hole_limit an instrument and timeframe start over.
        """
        for timeframe, group in grouped(bars).items():
            if (live := self._live.get(timeframe)) is not None:
                live.step(*tables(group, self._row))

    def warm(self, bars: Sequence[Bar]) -> None:
        """Take the history of each instrument and timeframe found in `bars`.

        It replaces the state, unless that reaches further back and the history overlaps or follows it:
        then the state goes on with the bars that it has not seen.
        """
        for timeframe, group in grouped(bars).items():
            if (live := self._live.get(timeframe)) is None:
                continue
            rows, found = tables(group, self._row)
            for row in np.unique(rows):
                own = np.flatnonzero(rows == row)
                own = own[np.argsort(found.ts_open[own], kind="stable")]
                live.warm(int(row), BarTable(found.ts_open[own], found.values[:, own].copy()))

    def on_known(self, name: str, instrument: str, known_at: int, values: Sequence[float]) -> None:
        """Take in a value of an outside series that could be had at `known_at`, newest last."""
        for outside, known in self._known.items():
            if outside.name == name and instrument in self._row:
                known.learn(self._row[instrument], known_at, tuple(values))

    def forget(self, instruments: Iterable[str]) -> None:
        """Know nothing more of these: bars of theirs were wrong, so the next history replaces the state."""
        rows = np.array([self._row[one] for one in instruments if one in self._row], np.int64)
        for live in self._live.values():
            live.forget(rows)

    def inputs(self, spec: FeatureSpec, instruments: Sequence[str], ts_close: int) -> Inputs:
        """Give what a model is fed for the decision bar that closed at `ts_close`.

        A block counts only if its newest bar is the last one that can have closed by then.
        """
        rows = np.array([self._row[instrument] for instrument in instruments], np.int64)
        x: Matrix = np.zeros((len(rows), len(spec.names)), np.float32)
        tensors = {FLAT: x} if spec.names else {}
        ready, finite = np.ones((2, len(rows)), np.bool_)
        reason = [""] * len(rows)
        start = 0
        for block in spec.blocks:
            live, own = self._live[block.timeframe], self._rows_of(block, rows)
            if block.window > 1:
                tensors[block.name] = live.window(block, own, finite)
                continue
            if block.lag:
                x[:, start : start + len(block.columns)] = live.window(block, own, finite)[:, 0]
            else:
                live.pick(block, own, x, start)
            start += len(block.columns)
        for block in spec.needed:
            live, own = self._live[block.timeframe], self._rows_of(block, rows)
            fit = live.fit(block, own, ts_close)
            left = np.flatnonzero(ready & ~fit)
            for row, why in zip(left.tolist(), live.why_not(block, own[left], ts_close), strict=True):
                reason[row] = why
            ready &= fit
        found = self._scales(spec, rows, ts_close)
        self._rest(spec, rows, ts_close, (found.atr, found.close), x[:, start:])
        finite &= np.isfinite(x).all(axis=1)
        for k in np.flatnonzero(ready & ~finite):
            reason[k] = "not finite"
        return found._replace(tensors=tensors, ready=ready & finite, reason=reason)

    def save(self) -> bytes:
        """Give the whole state; a frame that restores it goes on to the last bit."""
        return pack(self._header(), [cell for part in self._parts() for cell in part.cells()])

    def restore(self, raw: bytes) -> Restored:
        """Take over a saved state; DataError in one line if it is damaged or of other specifications.

        Instruments that either side does not have are left alone; the rest may lie in any order.
        """
        header, arrays = unpack(raw, self._header())
        own = [cell for part in self._parts() for cell in part.cells()]
        shapes = [(saved.dtype, saved.shape[1:]) for saved in arrays]
        if shapes != [(cell.dtype, cell.shape[1:]) for cell in own]:
            raise DataError("features state: expected arrays of these kernels; found other shapes")
        there = {instrument: row for row, instrument in enumerate(header.instruments)}
        common = tuple(instrument for instrument in self.instruments if instrument in there)
        source = [there[instrument] for instrument in common]
        target = [self._row[instrument] for instrument in common]
        for cell, saved in zip(own, arrays, strict=True):
            cell[target] = saved[source]
        return Restored(common, self.timeframes)

    def _parts(self) -> list[Live | Known]:
        # As `_live` is by length: a restart may name the same specifications in another order.
        known = sorted(
            self._known.items(), key=lambda item: (item[0].name, item[0].columns, item[0].max_age_s)
        )
        return [*self._live.values(), *(one for _, one in known)]

    def _header(self) -> Header:
        return Header({spec.name: spec.hash for spec in self.specs}, self.instruments)

    def _rows_of(self, block: Block, rows: Ints) -> Ints:
        return self._references[block.of][rows] if block.of else rows

    def _scales(self, spec: FeatureSpec, rows: Ints, ts_close: int) -> Inputs:
        """Give inputs that lack tensors."""
        decision = self._live[spec.decision]
        close = decision.close[rows]
        atr, volatility = decision.work.out[decision.layout.positions(SCALES_OF_DECISION)][:, rows]
        newest = decision.marks[NEWEST, rows]
        age_s = np.where(newest == NEVER, np.inf, (ts_close - newest - spec.decision.ns) / SECOND)
        return Inputs({}, np.zeros(0, np.bool_), [], atr * close, volatility, close, age_s)

    def _rest(
        self, spec: FeatureSpec, rows: Ints, ts_close: int, scales: tuple[Floats, Floats], x: Matrix
    ) -> None:
        """Fill in what is not a block's: cross columns, known series, the clock."""
        parts = []
        for cross in spec.cross:
            values = [self._live[block.timeframe].values(block, rows) for block in cross.blocks]
            parts.append(crossed(spec, cross, values, scales))
        parts += [self._known[one].at(rows, ts_close, one.max_age_s) for one in spec.known]
        parts.append(clock(spec, np.full(len(rows), ts_close)))
        x[:] = np.hstack(parts)

    def _reference(self, base: str) -> Ints:
        """Give the row of the reference instrument for each instrument, -1 where there is none."""
        quotes = [instrument.partition("/")[2] for instrument in self.instruments]
        return np.array([self._row.get(f"{base}/{quote}", -1) for quote in quotes], np.int64)
