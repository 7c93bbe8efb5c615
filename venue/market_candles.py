"""Candles of the market model: the same trades seen through any interval.

Must not know sockets or wire formats. Called by the loopback for REST OHLC, ticker and ohlc
updates. Source bars are taken whole where they fit, and unfolded where they do not.
"""

from collections.abc import Iterator
from itertools import pairwise

import msgspec
import numpy as np

from venue.market_model import Events, Floats, Ints, Tape


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


class _Pieces(msgspec.Struct, frozen=True, eq=False):
    ts: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    lots: Ints
    value: Floats
    trades: Ints


def candles(tape: Tape, interval: int, now: int, limit: int) -> list[Candle]:
    """Give the newest `limit` intervals of `interval` ns; the last one is running at `now`.

    From the source length up, `vwap` is the volume-weighted typical price of source bars
    (finer intervals have the exact one): a year of trades would be unfolded for it otherwise.
    """
    if tape.index(now) < 0:
        return []
    oldest = int(tape.ts[0])
    begin = max(now - now % interval - (limit - 1) * interval, oldest - oldest % interval)
    return list(_grouped(_pieces(tape, begin, now, min(interval, tape.length)), begin, interval, now))


def _pieces(tape: Tape, begin: int, now: int, piece: int) -> _Pieces:
    """Give the aggregates of `piece` ns from `begin` to `now`; the last one is cut at `now`."""
    first, current = max(0, tape.index(begin) - 1), tape.index(now)  # earlier: for the close before
    whole = slice(first, current if now < tape.ts[current] + tape.length else current + 1)
    cut = range(first, current + 1) if piece < tape.length else range(whole.stop, current + 1)
    typical = (tape.high[whole] + tape.low[whole] + tape.close[whole]) / 3
    columns = (
        tape.ts[whole], tape.open[whole], tape.high[whole], tape.low[whole],
        tape.close[whole], tape.lots[whole], typical * tape.lots[whole], tape.counts[whole],
    )  # fmt: skip
    rows = [row for index in cut for row in _minutes(tape.events(index), now, piece)]
    if not rows:
        return _Pieces(*columns)
    fine = tuple(np.array(column) for column in zip(*rows, strict=True))
    if piece < tape.length:
        return _Pieces(*fine)
    return _Pieces(*(np.concatenate(pair) for pair in zip(columns, fine, strict=True)))


def _minutes(events: Events, now: int, piece: int) -> Iterator[tuple[float, ...]]:
    traded = (events.lots > 0) & (events.ts <= now)
    ts, ticks, lots = events.ts[traded], events.last[traded], events.lots[traded]
    if not len(ts):
        return
    opens = ts - ts % piece
    edges = np.flatnonzero(np.concatenate(([True], np.diff(opens) > 0, [True])))
    for start, end in pairwise(edges.tolist()):
        prices, sizes = ticks[start:end], lots[start:end]
        yield (
            int(opens[start]), int(prices[0]), int(prices.max()), int(prices.min()),
            int(prices[-1]), int(sizes.sum()), float((prices * sizes.astype(float)).sum()), end - start,
        )  # fmt: skip


def _grouped(pieces: _Pieces, begin: int, interval: int, now: int) -> Iterator[Candle]:
    """Aggregate pieces into intervals; an interval without trades repeats the last close."""
    traded = np.flatnonzero(pieces.lots > 0)
    groups = (pieces.ts[traded] - begin) // interval
    bounds = np.searchsorted(groups, np.arange((now - begin) // interval + 2))
    close = int(pieces.close[traded[bounds[0] - 1]]) if bounds[0] else 0
    for number, (start, end) in enumerate(pairwise(bounds.tolist())):
        ts_open = begin + number * interval
        if start == end:
            if close:
                yield Candle(ts_open, close, close, close, close, 0, 0.0, 0)
            continue
        rows = traded[start:end]
        close, lots = int(pieces.close[rows[-1]]), int(pieces.lots[rows].sum())
        yield Candle(
            ts_open=ts_open,
            open=int(pieces.open[rows[0]]),
            high=int(pieces.high[rows].max()),
            low=int(pieces.low[rows].min()),
            close=close,
            lots=lots,
            vwap=float(pieces.value[rows].sum()) / lots,
            trades=int(pieces.trades[rows].sum()),
        )
