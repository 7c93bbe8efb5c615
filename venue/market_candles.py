"""Candles of the market model: the same trades seen through any interval.

Must not know sockets, wire formats, or what a tape is made of. Called by the loopback for REST
OHLC, ticker and ohlc updates, and by the tapes, which say what their candles are made of.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import DAY

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Pieces(msgspec.Struct, frozen=True, eq=False):
    """Aggregates of consecutive pieces of time; `value` is ticks times lots, summed over trades."""

    ts: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    lots: Ints
    value: Floats
    trades: Ints


class Pieced(Protocol):
    """Whatever can say what its candles are made of."""

    length: int

    def pieces(self, begin: int, now: int, interval: int) -> Pieces:
        """Give pieces from just before `begin` up to `now`."""
        ...


class Candle(msgspec.Struct, frozen=True):
    """One aggregated interval in ticks and lots; `vwap` in ticks, 0 when nothing traded."""

    ts_open: int
    open: int
    high: int
    low: int
    close: int
    lots: int
    vwap: float
    trades: int


def candles(tape: Pieced, interval: int, now: int, limit: int) -> list[Candle]:
    """Give the newest `limit` intervals of `interval` ns; the last one is running at `now`.

    An interval without trades repeats the close before it.
    """
    begin = now - now % interval - (limit - 1) * interval
    return _grouped(tape.pieces(begin, now, interval), begin, interval, now)


def last_day(tape: Pieced, now: int) -> Candle:
    """Give the rolling 24 hours up to `now` as one candle."""
    begin = now - now % tape.length - DAY + tape.length
    (row,) = _grouped(tape.pieces(begin, now, tape.length), begin, DAY, now)
    return msgspec.structs.replace(row, ts_open=now - DAY)


def touched(day: Candle, last: int) -> Candle:
    """Give a day's candle that knows the last price, in ticks."""
    return msgspec.structs.replace(day, close=last, high=max(day.high, last), low=min(day.low, last))


def merged(first: Candle, second: Candle) -> Candle:
    """Give two neighbouring candles as one that opens with the first."""
    if not second.trades:
        return first
    if not first.trades:
        return msgspec.structs.replace(second, ts_open=first.ts_open)
    lots = first.lots + second.lots
    return Candle(
        first.ts_open,
        first.open,
        max(first.high, second.high),
        min(first.low, second.low),
        second.close,
        lots,
        (first.vwap * first.lots + second.vwap * second.lots) / lots,
        first.trades + second.trades,
    )


def aggregated(ts: Ints, ticks: Ints, lots: Ints, now: int, piece: int) -> Pieces:
    """Aggregate the trades of one instrument up to `now` by `piece` ns; events without lots are none."""
    traded = (lots > 0) & (ts <= now)
    ts, ticks, lots = ts[traded], ticks[traded].astype(np.int64), lots[traded]
    if not len(ts):
        return joined([])
    opens = ts - ts % piece
    first = np.flatnonzero(np.concatenate(([True], np.diff(opens) > 0)))
    last = np.concatenate((first[1:], [len(ts)])) - 1
    return Pieces(
        opens[first], ticks[first], np.maximum.reduceat(ticks, first), np.minimum.reduceat(ticks, first),
        ticks[last], np.add.reduceat(lots, first), np.add.reduceat(ticks * lots.astype(np.float64), first),
        last - first + 1,
    )  # fmt: skip


def joined(parts: Sequence[Pieces]) -> Pieces:
    """Put pieces one after the other."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        none = np.empty(0, np.int64)
        return Pieces(none, none, none, none, none, none, np.empty(0), none)
    columns = (np.concatenate([getattr(part, name) for part in parts]) for name in Pieces.__struct_fields__)
    return Pieces(*columns)


def _grouped(pieces: Pieces, begin: int, interval: int, now: int) -> list[Candle]:
    rows = np.flatnonzero(pieces.lots > 0)
    groups = (pieces.ts[rows] - begin) // interval
    before = int(np.searchsorted(groups, 0))
    close = int(pieces.close[rows[before - 1]]) if before else 0
    rows, groups = rows[before:], groups[before:]
    first = np.flatnonzero(np.diff(groups, prepend=-1) > 0)
    found = _aggregates(pieces, rows, first) if len(rows) else []
    made = dict(zip(groups[first].tolist(), found, strict=True))
    result = []
    for number in range((now - begin) // interval + 1):
        ts_open = begin + number * interval
        if number in made:
            row = made[number]
            close = row[3]
            result.append(Candle(ts_open, *row))
        elif close:
            result.append(Candle(ts_open, close, close, close, close, 0, 0.0, 0))
    return result


Row = tuple[int, int, int, int, int, float, int]


def _aggregates(pieces: Pieces, rows: npt.NDArray[np.intp], first: npt.NDArray[np.intp]) -> list[Row]:
    last = np.concatenate((first[1:], [len(rows)])) - 1
    high, low = (np.maximum.reduceat(pieces.high[rows], first), np.minimum.reduceat(pieces.low[rows], first))
    lots = np.add.reduceat(pieces.lots[rows], first)
    columns = (
        pieces.open[rows[first]],
        high,
        low,
        pieces.close[rows[last]],
        lots,
        np.clip(np.add.reduceat(pieces.value[rows], first) / lots, low, high),  # a float sum may stray
        np.add.reduceat(pieces.trades[rows], first),
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))
