"""Real bars unfolded into trades and quotes, the same ones for every reader at every time.

Must not know sockets, clients or orders. Called by the loopback. Everything is a pure function of
(seed, instrument, bar): any moment can be asked for in any order, nothing is remembered but a
cache. Prices are integer ticks and quantities integer lots inside, so that re-aggregated trades
equal the source bar exactly: first, highest, lowest, last price, and the sum of quantities.
"""

import zlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from heapq import merge
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import MINUTE, SECOND
from core.errors import DataError
from core.instrument import Instrument
from core.market import Quote, Trade
from core.orders import Side
from venue.market_candles import Candle, Floats, Ints, Pieces, aggregated, candles, joined

TRADES_PER_MINUTE = (7, 13)
LEVELS = 25  # per side; what a deeper subscription gets is a thin book
SPREAD = 1e-4  # of price: quoted spread is half to one and a half of it, at least a tick
_STEP = 5e-5  # of price: distance of the levels behind the touch, at least a tick
_LEVEL_LIFE = 20 * SECOND
_FEWEST = 4  # open, high, low and close may be four different trades
_MASK = (1 << 64) - 1


class Events(msgspec.Struct, frozen=True, eq=False):
    """What happens inside one source bar, in time order; all arrays have the same length.

    `lots` is 0 where only the quote moved; `last` is the last traded price in ticks; ids count
    trades from `first_id` on.
    """

    ts: Ints
    last: Ints
    lots: Ints
    buy: npt.NDArray[np.bool_]
    bid: Ints
    ask: Ints
    bid_lots: Ints
    ask_lots: Ints
    first_id: int


Happening = tuple[str, Events, int, int]
"""A symbol, its events, and from where to where they happened."""


class Level(msgspec.Struct, frozen=True, array_like=True):
    """One price level of the book, in ticks and lots."""

    ticks: int
    lots: int


class Ladder(msgspec.Struct, frozen=True):
    """The book at one moment, best level first."""

    ts: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class SourceBars(msgspec.Struct, frozen=True, eq=False):
    """Columns of one series; `length` is the timeframe in ns."""

    length: int
    ts_open: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


class Tape(Protocol):
    """One instrument's market at any moment: what the desks of the loopback answer from."""

    instrument: Instrument
    length: int
    """Pieces of this many ns make up a rolling day."""

    @property
    def span(self) -> tuple[int, int]:
        """First moment that has a market, and the first one after it."""
        ...

    def at(self, ts: int) -> tuple[Events, int] | None:
        """Give the newest event at or before `ts`, `None` before the first one."""
        ...

    def quote(self, events: Events, position: int) -> Quote:
        """Give the best bid and ask after one event."""
        ...

    def ladder(self, events: Events, position: int, levels: int = LEVELS) -> Ladder:
        """Give the book after one event."""
        ...

    def prints(self, events: Events, first: int, end: int) -> list[Trade]:
        """Give the trades among the events at positions [first, end)."""
        ...

    def trades(self, after: int, until: int, limit: int) -> list[Trade]:
        """Give the first `limit` trades with `after` < ts_event <= `until`."""
        ...

    def latest(self, until: int, count: int) -> list[Trade]:
        """Give the last `count` trades at or before `until`, oldest first."""
        ...

    def pieces(self, begin: int, now: int, interval: int) -> Pieces:
        """Give what candles of `interval` are made of, from just before `begin` up to `now`."""
        ...

    def candle(self, interval: int, now: int) -> Candle:
        """Give the candle of `interval` that runs at `now`, a moment with a trade."""
        ...


class Quoting:
    """What every tape can say about one event: its touch, and the book that stands behind it."""

    def __init__(self, instrument: Instrument, *, typical: int, usual_lots: int, seed: int) -> None:
        self.instrument = instrument
        self._key = (seed * 0x9E3779B97F4A7C15 + zlib.crc32(instrument.symbol.encode())) & _MASK
        self._step = max(1, int(typical * _STEP))
        self._usual_lots = max(1, usual_lots)

    def quote(self, events: Events, position: int) -> Quote:
        """Give the best bid and ask after one event."""
        return Quote(
            instrument=self.instrument.symbol,
            ts_event=int(events.ts[position]),
            bid=self.price(int(events.bid[position])),
            ask=self.price(int(events.ask[position])),
            bid_quantity=self.quantity(int(events.bid_lots[position])),
            ask_quantity=self.quantity(int(events.ask_lots[position])),
        )

    def ladder(self, events: Events, position: int, levels: int = LEVELS) -> Ladder:
        """Give the book after one event.

        Levels behind the touch lie on a fixed grid and live for seconds, so that one event
        changes few of them.
        """
        ts, bid, ask = int(events.ts[position]), int(events.bid[position]), int(events.ask[position])
        step = self._step
        bids = [Level(bid, int(events.bid_lots[position]))]
        asks = [Level(ask, int(events.ask_lots[position]))]
        below, above = (bid - 1) // step * step, (ask // step + 1) * step
        for offset in range(0, (levels - 1) * step, step):
            asks.append(self._level(above + offset, ts))
            if below - offset > 0:
                bids.append(self._level(below - offset, ts))
        return Ladder(ts, tuple(bids), tuple(asks))

    def price(self, ticks: int) -> Decimal:
        """Give ticks as a price with the instrument's decimals."""
        return Decimal(ticks).scaleb(-self.instrument.price_precision)

    def quantity(self, lots: int) -> Decimal:
        """Give lots as a quantity with the instrument's decimals."""
        return Decimal(lots).scaleb(-self.instrument.quantity_precision)

    def _level(self, ticks: int, ts: int) -> Level:
        age = (ts + ticks * 7_919_000_003) // _LEVEL_LIFE
        mixed = ((self._key ^ ticks * 0x9E3779B97F4A7C15) + age * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ mixed >> 29) * 0x94D049BB133111EB) & _MASK
        return Level(ticks, max(1, self._usual_lots * (1 + (mixed >> 40) % 97) // 12))


class RecordedTape(Quoting):
    """The endless unfolding of one instrument's source bars.

    `bars` holds `ts_open` int64 ns, `open high low close volume` float (prices of float32 files
    are brought back to the grid). A bar without volume is quiet: its quotes move, nothing trades.
    Raises DataError for bars that are unsorted, off the time grid or impossible.
    """

    def __init__(self, instrument: Instrument, bars: SourceBars, *, seed: int) -> None:
        self.instrument = instrument
        self.length = bars.length
        self.ts = bars.ts_open
        self.open, self.high, self.low, self.close = (
            _grid(prices, instrument.price_precision)
            for prices in (bars.open, bars.high, bars.low, bars.close)
        )
        self.lots = _grid(bars.volume, instrument.quantity_precision)
        self._check()
        key = (seed * 0x9E3779B97F4A7C15 + zlib.crc32(instrument.symbol.encode())) & _MASK
        spread = TRADES_PER_MINUTE[1] - TRADES_PER_MINUTE[0]
        minutes = max(1, self.length // MINUTE)
        drawn = TRADES_PER_MINUTE[0] * minutes + _hash(self.ts, key) % np.uint64(spread * minutes + 1)
        self.counts = np.minimum(drawn.astype(np.int64), self.lots)
        self._ids = np.concatenate(([1], 1 + np.cumsum(self.counts)))
        super().__init__(
            instrument,
            typical=int(np.median(self.close)),
            usual_lots=int(np.median(self.lots / np.maximum(self.counts, 1))),
            seed=seed,
        )
        self._unfold = lru_cache(maxsize=1024)(self._unfolded)

    def index(self, ts: int) -> int:
        """Give the index of the newest bar that opened at or before `ts`, -1 if none did."""
        return int(np.searchsorted(self.ts, ts, side="right")) - 1

    @property
    def span(self) -> tuple[int, int]:
        """First moment that has bars, and the first one after them."""
        return int(self.ts[0]), int(self.ts[-1]) + self.length

    def events(self, index: int) -> Events:
        """Unfold one source bar."""
        return self._unfold(index)

    def between(self, after: int, until: int) -> Iterator[tuple[Events, int]]:
        """Give (bar, position) of every event with `after` < ts <= `until`, in time order."""
        for index in range(max(0, self.index(after)), self.index(until) + 1):
            events = self._unfold(index)
            first, end = np.searchsorted(events.ts, (after, until), side="right")
            for position in range(int(first), int(end)):
                yield events, position

    def trades(self, after: int, until: int, limit: int) -> list[Trade]:
        """Give the first `limit` trades with `after` < ts_event <= `until`."""
        found: list[Trade] = []
        for events, position in self.between(after, until):
            if events.lots[position]:
                found.append(self.trade(events, position))
                if len(found) == limit:
                    break
        return found

    def prints(self, events: Events, first: int, end: int) -> list[Trade]:
        """Give the trades among the events at positions [first, end)."""
        return [self.trade(events, at) for at in range(first, end) if events.lots[at]]

    def latest(self, until: int, count: int) -> list[Trade]:
        """Give the last `count` trades at or before `until`, oldest first."""
        found: list[Trade] = []
        for index in range(self.index(until), -1, -1):
            after = int(self.ts[index]) - 1
            found = self.trades(after, min(until, after + self.length), 1 << 30) + found
            if len(found) >= count:
                break
        return found[-count:]

    def trade(self, events: Events, position: int) -> Trade:
        """Give one event as a trade."""
        return Trade(
            instrument=self.instrument.symbol,
            ts_event=int(events.ts[position]),
            price=self.price(int(events.last[position])),
            quantity=self.quantity(int(events.lots[position])),
            side=Side.BUY if events.buy[position] else Side.SELL,
            trade_id=events.first_id + int(np.count_nonzero(events.lots[:position])),
        )

    def at(self, ts: int) -> tuple[Events, int] | None:
        """Give the newest event at or before `ts`, `None` before the first one."""
        for index in range(self.index(ts), -1, -1):
            events = self._unfold(index)
            position = int(np.searchsorted(events.ts, ts, side="right")) - 1
            if position >= 0:
                return events, position
        return None

    def pieces(self, begin: int, now: int, interval: int) -> Pieces:
        """Give source bars where they fit into `interval`, minutes where not; the last one is cut at `now`.

        The value of whole source bars is their typical price times lots (minutes have the exact
        one): a year of trades would be unfolded for it otherwise.
        """
        if self.index(now) < 0:
            return joined([])
        piece = min(interval, self.length)
        first, current = max(0, self.index(begin) - 1), self.index(now)  # earlier: for the close before
        whole = slice(first, current if now < self.ts[current] + self.length else current + 1)
        cut = range(first, current + 1) if piece < self.length else range(whole.stop, current + 1)
        fine = [
            aggregated(events.ts, events.last, events.lots, now, piece) for events in map(self.events, cut)
        ]
        if piece < self.length:
            return joined(fine)
        typical = (self.high[whole] + self.low[whole] + self.close[whole]) / 3
        coarse = Pieces(
            self.ts[whole], self.open[whole], self.high[whole], self.low[whole],
            self.close[whole], self.lots[whole], typical * self.lots[whole], self.counts[whole],
        )  # fmt: skip
        return joined([coarse, *fine])

    def candle(self, interval: int, now: int) -> Candle:
        """Give the candle of `interval` that runs at `now`."""
        return candles(self, interval, now, 1)[0]

    # ---- inside ----

    def _check(self) -> None:
        ts, high, low = self.ts, self.high, self.low
        inner = [self.open, self.close]
        bad = (low <= 0) | (high < low) | (self.lots < 0) | ((self.lots > 0) & (self.lots < _FEWEST))
        for prices in inner:
            bad |= (prices > high) | (prices < low)
        bad |= ts % self.length != 0
        bad[1:] |= np.diff(ts) <= 0
        if not len(ts) or bad.any():
            where = int(np.argmax(bad)) if len(ts) else 0
            raise DataError(f"expected sorted, possible bars, found row {where} of {self.instrument.symbol}")

    def _unfolded(self, index: int) -> Events:
        count = int(self.counts[index])
        quotes = max(4, count // 2)
        total = count + quotes
        draws = _uniforms(int(self.ts[index]) ^ self._key, 3 * count + quotes + 4 * total + 3)
        ticks = self._path(index, count, draws)
        lots = _split(int(self.lots[index]), draws[count : 2 * count])
        times = _times(self.length, draws[2 * count : 3 * count], draws[3 * count : 3 * count + quotes])
        rest = draws[3 * count + quotes : -3].reshape(4, total)
        order = np.argsort(times, kind="stable")
        is_trade = order < count
        held = np.concatenate((ticks, [self.open[index]]))  # position -1: before the first trade
        last = held[np.cumsum(is_trade) - 1]
        buys = _taker_buys(ticks, rest[3, :count])
        all_lots = np.concatenate((lots, np.zeros(quotes, np.int64)))[order]
        lean = np.concatenate((np.where(buys, 0.5, 0.0), np.full(quotes, 0.25)))[order]
        width = np.maximum(
            1 + (rest[0] * 3).astype(np.int64), (last * SPREAD * (0.5 + rest[0])).astype(np.int64)
        )
        bid = np.maximum(1, last - ((lean + rest[1] / 2) * (width + 1)).astype(np.int64))
        mean = self.lots[index] / count if count else self._usual_lots
        return Events(
            ts=self.ts[index] + times[order],
            last=last,
            lots=all_lots,
            buy=is_trade & np.concatenate((buys, np.zeros(quotes, np.bool_)))[order],
            bid=bid,
            ask=bid + width,
            bid_lots=1 + (mean * (0.5 + 8 * rest[2] ** 2)).astype(np.int64),
            ask_lots=1 + (mean * (0.5 + 8 * rest[3] ** 2)).astype(np.int64),
            first_id=int(self._ids[index]),
        )

    def _path(self, index: int, count: int, draws: Floats) -> Ints:
        """Lead the price from open over both extremes to close, wandering in between."""
        if count == 0:
            return np.empty(0, np.int64)
        first, high, low, last = (int(p[index]) for p in (self.open, self.high, self.low, self.close))
        one = 1 + int(draws[-1] * (count - 3))
        two = one + 1 + int(draws[-2] * (count - 2 - one))
        dips_first = (last >= first) is bool(draws[-3] < 0.7)  # a rising bar mostly dips first
        stops = np.array((0, one, two, count - 1))
        values = np.array((first, low, high, last) if dips_first else (first, high, low, last))
        steps = np.arange(count)
        wander = np.cumsum(draws[:count] - 0.5)
        wander -= np.interp(steps, stops, wander[stops])
        path = np.interp(steps, stops, values) + wander * (high - low) / count**0.5
        ticks = np.clip(np.rint(path), low, high).astype(np.int64)
        ticks[stops] = values
        return ticks


def happenings(tapes: Mapping[str, RecordedTape], after: int, until: int) -> Iterator[Happening]:
    """Give every event of all tapes with `after` < ts <= `until` by itself, in time order."""

    def stream(symbol: str) -> Iterator[tuple[int, str, Events, int]]:
        for events, at in tapes[symbol].between(after, until):
            yield int(events.ts[at]), symbol, events, at

    for _, symbol, events, at in merge(*map(stream, tapes), key=lambda row: row[:2]):
        yield symbol, events, at, at + 1


def _grid(values: Floats, decimals: int) -> Ints:
    return np.rint(values.astype(np.float64) * 10.0**decimals).astype(np.int64)


def _hash(values: Ints, key: int) -> npt.NDArray[np.uint64]:
    """Mix 64-bit numbers (the finaliser of splitmix64); wraps on purpose."""
    mixed = values.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _uniforms(key: int, count: int) -> Floats:
    mixed = _hash(np.arange(1, count + 1), key & _MASK) >> np.uint64(11)
    return mixed.astype(np.float64) * 2.0**-53


def _split(lots: int, draws: Floats) -> Ints:
    """Cut a volume into one part per draw, each at least one lot, skewed as trades are."""
    if not len(draws):
        return np.empty(0, np.int64)
    weights = -np.log1p(-draws) + 0.02
    parts = 1 + np.floor(weights / weights.sum() * (lots - len(draws))).astype(np.int64)
    parts[int(np.argmax(parts))] += lots - int(parts.sum())
    return parts


def _times(length: int, trades: Floats, quotes: Floats) -> Ints:
    """Give offsets in ns on the microsecond grid: trades one after the other, then quotes."""
    span, margin = length - SECOND, SECOND // 2
    moments = np.sort(trades) * span + margin
    if len(moments):
        moments[0] = trades[0] * margin  # the open belongs to the first minute, always
    steps = np.arange(len(moments))  # two trades never share a microsecond, so paging loses none
    apart = np.maximum.accumulate((moments / 1000).astype(np.int64) - steps) + steps
    return np.concatenate((apart, ((np.sort(quotes) * span + margin) / 1000).astype(np.int64))) * 1000


def _taker_buys(ticks: Ints, draws: Floats) -> npt.NDArray[np.bool_]:
    moves = np.diff(ticks, prepend=ticks[:1])
    return np.where(moves == 0, draws < 0.5, moves > 0)
