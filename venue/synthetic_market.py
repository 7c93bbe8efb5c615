"""A synthetic venue at any moment: what happened last, the prints of late, candles of all intervals.

Must not know sockets, clients or orders. Called by the loopback, which asks for what is due, and
by its desks, one SyntheticTape a pair. Blocks are drawn as time needs them. Kept are six minutes
of prints, a day of minutes and the coarser bars that have closed since; what came before the tape
is made up anew whenever somebody asks, the same each time.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from core.clock import MINUTE
from core.market import Trade
from core.orders import Side
from venue.market_candles import Candle, Pieces, aggregated, candles, joined, merged
from venue.market_model import Events, Happening, Quoting
from venue.synthetic_blocks import BLOCK, Block, Blocks
from venue.synthetic_history import GRAINS, history
from venue.synthetic_listing import Listing
from venue.synthetic_rows import Minute, Rows, coarser

KEPT = 6 * MINUTE
LEAD = 2 * MINUTE
"""The tape begins this long before it is first needed, so that there is something to show."""
_MINUTES, _BARS = 2048, 1024  # rows kept: a day at least, and beyond 720 of each coarser grain


class SyntheticMarket:
    """All pairs of one venue from `since` on, `trades_per_s` together. Moments must not go back far."""

    def __init__(self, listings: Sequence[Listing], *, trades_per_s: float, since: int, seed: int) -> None:
        self.listings = listings
        self.born = since - since % MINUTE - LEAD
        self._rate = trades_per_s
        self._seed = seed
        self._source = Blocks(listings, trades_per_s, self.born, seed)
        self._blocks: deque[Block] = deque(maxlen=KEPT // BLOCK)
        pairs = len(listings)
        self._minute = Minute(pairs)
        self._rows = {grain: Rows(grain, pairs, _MINUTES if grain == MINUTE else _BARS) for grain in GRAINS}
        self._rows[MINUTE].begin(
            history(one, trades_per_s, self.born, seed, grains=1)[MINUTE] for one in listings
        )
        self._history = lru_cache(maxsize=64)(self._remembered)
        self.tapes = {
            one.instrument.symbol: SyntheticTape(self, pair, seed) for pair, one in enumerate(listings)
        }

    def due(self, after: int, until: int) -> Iterator[Happening]:
        """Give what happens with `after` < ts <= `until`, all of a pair in a block at once."""
        for block in self.blocks(after + 1, until):
            at = np.flatnonzero((block.ts > after) & (block.ts <= until))
            if not len(at):
                continue
            owners = block.owners[at]
            first = np.flatnonzero(np.diff(owners, prepend=-1))
            ends = at[np.concatenate((first[1:], [len(at)])) - 1] + 1
            for pair, begin, end in zip(
                owners[first].tolist(), at[first].tolist(), ends.tolist(), strict=True
            ):
                yield self.listings[pair].instrument.symbol, block, begin, end

    def blocks(self, since: int, until: int) -> list[Block]:
        """Give the kept blocks that hold [since, until], drawing new ones if need be."""
        while self._source.until <= until:
            self._take(self._source.draw())
        first = self._blocks[0].number
        begin = max(0, (since - self.born) // BLOCK - first)
        end = (until - self.born) // BLOCK - first + 1
        return [self._blocks[at] for at in range(begin, end)]

    def rows(self, grain: int) -> Rows:
        """Give the closed bars of one grain that were kept."""
        return self._rows[grain]

    def before(self, pair: int, grain: int) -> Pieces:
        """Give the bars of one pair that closed before the tape began."""
        return self._history(pair)[grain]

    def _remembered(self, pair: int) -> dict[int, Pieces]:
        return history(self.listings[pair], self._rate, self.born, self._seed)

    def _take(self, block: Block) -> None:
        self._blocks.append(block)
        self._minute.add(block)
        end = self._source.until
        if end % MINUTE:
            return
        minutes = self._rows[MINUTE]
        minutes.append(end - MINUTE, self._minute.closed(minutes.newest(1)["close"][0]))
        for grain in GRAINS[1:]:
            if end % grain == 0:
                self._rows[grain].append(end - grain, coarser(minutes.newest(grain // MINUTE)))


class SyntheticTape(Quoting):
    """One pair of a synthetic market; what venue.market_model.Tape asks for."""

    length = MINUTE

    def __init__(self, market: SyntheticMarket, pair: int, seed: int) -> None:
        listing = market.listings[pair]
        super().__init__(
            listing.instrument, typical=listing.ticks, usual_lots=int(listing.usual_lots), seed=seed
        )
        self._market = market
        self._pair = pair
        self._running = _Running()
        self._bases: dict[int, tuple[int, Candle]] = {}

    @property
    def span(self) -> tuple[int, int]:
        """First moment that has events, and the end of days."""
        return self._market.born, 1 << 63

    def at(self, ts: int) -> tuple[Events, int] | None:
        """Give the newest event at or before `ts` that is still kept."""
        for block, first, end in reversed(self._slices(self._market.born, ts)):
            position = first + int(np.searchsorted(block.ts[first:end], ts, side="right")) - 1
            if position >= first:
                return block, position
        return None

    def trades(self, after: int, until: int, limit: int) -> list[Trade]:
        """Give the first `limit` kept trades with `after` < ts_event <= `until`."""
        found: list[Trade] = []
        for block, first, end in self._slices(after + 1, until):
            found += self.prints(block, *_within(block, first, end, after, until))
            if len(found) >= limit:
                break
        return found[:limit]

    def latest(self, until: int, count: int) -> list[Trade]:
        """Give the last `count` kept trades at or before `until`, oldest first."""
        found: list[Trade] = []
        for block, first, end in reversed(self._slices(self._market.born, until)):
            found = self.prints(block, *_within(block, first, end, 0, until)) + found
            if len(found) >= count:
                break
        return found[-count:]

    def prints(self, events: Events, first: int, end: int) -> list[Trade]:
        """Give the trades at positions [first, end) of a block."""
        assert isinstance(events, Block)
        symbol = self.instrument.symbol
        return [
            Trade(symbol, ts, self.price(ticks), self.quantity(lots), Side.BUY if buy else Side.SELL, number)
            for ts, ticks, lots, buy, number in zip(
                events.ts[first:end].tolist(),
                events.last[first:end].tolist(),
                events.lots[first:end].tolist(),
                events.buy[first:end].tolist(),
                events.ids[first:end].tolist(),
                strict=True,
            )
            if lots
        ]

    def pieces(self, begin: int, now: int, interval: int) -> Pieces:
        """Give closed bars of the coarsest fitting grain, minutes since, and the minute that runs.

        The value of bars from before the tape is their typical price times lots; all else is exact.
        """
        grain = max(grain for grain in GRAINS if interval % grain == 0)
        pair, minutes = self._pair, self._market.rows(MINUTE)
        minute, begin = now - now % MINUTE, begin - grain  # earlier: for the close before
        parts: list[Pieces] = []
        if grain > MINUTE:
            old, rows = self._market.before(pair, grain), self._market.rows(grain)
            first = int(np.searchsorted(old.ts, begin))
            parts = [Pieces(*(getattr(old, name)[first:] for name in Pieces.__struct_fields__))]
            parts.append(rows.of(pair, begin, now - now % grain))
            begin = max((int(part.ts[-1]) + grain for part in parts if len(part.ts)), default=begin)
        parts.append(minutes.of(pair, begin, minute))
        running = [
            aggregated(block.ts[a:b], block.last[a:b], block.lots[a:b], now, MINUTE)
            for block, a, b in self._slices(max(minute, self._market.born), now)
        ]
        return joined([*parts, *running])

    def candle(self, interval: int, now: int) -> Candle:
        """Give the candle that runs at `now`; only the trades since the last call are looked at."""
        minute = now - now % MINUTE
        self._run_to(minute, now)
        running = self._running.candle(minute)
        if interval == MINUTE:
            return running
        known, base = self._bases.get(interval, (0, running))
        if known != minute:
            begins = minute % interval == 0
            base = running if begins else candles(self, interval, minute - 1, 1)[0]
            self._bases[interval] = minute, Candle(minute, 0, 0, 0, 0, 0, 0.0, 0) if begins else base
            base = self._bases[interval][1]
        return merged(base, running)

    def _run_to(self, minute: int, now: int) -> None:
        running = self._running
        if running.minute != minute or now < running.until:
            running = self._running = _Running(minute)
        for block, first, end in self._slices(running.until + 1, now):
            low, high = _within(block, first, end, running.until, now)
            running.add(block.last[low:high].tolist(), block.lots[low:high].tolist())
        running.until = now

    def _slices(self, since: int, until: int) -> list[tuple[Block, int, int]]:
        """Give where this pair's events lie in each kept block of [since, until]."""
        pair = self._pair
        return [
            (block, int(block.starts[pair]), int(block.starts[pair + 1]))
            for block in self._market.blocks(since, until)
        ]


class _Running:
    """The candle of the minute under way, grown trade by trade."""

    __slots__ = ("close", "high", "lots", "low", "minute", "open", "trades", "until", "value")

    def __init__(self, minute: int = 0) -> None:
        self.minute, self.until = minute, minute - 1
        self.open = self.high = self.low = self.close = self.lots = self.trades = 0
        self.value = 0.0

    def add(self, ticks: Sequence[int], lots: Sequence[int]) -> None:
        for price, size in zip(ticks, lots, strict=True):
            if not size:
                continue
            if not self.trades:
                self.open = self.high = self.low = price
            elif price > self.high:
                self.high = price
            elif price < self.low:
                self.low = price
            self.close = price
            self.lots += size
            self.value += float(price) * size
            self.trades += 1

    def candle(self, ts_open: int) -> Candle:
        vwap = min(max(self.value / self.lots, self.low), self.high) if self.lots else 0.0
        return Candle(ts_open, self.open, self.high, self.low, self.close, self.lots, vwap, self.trades)


def _within(block: Block, first: int, end: int, after: int, until: int) -> tuple[int, int]:
    low, high = np.searchsorted(block.ts[first:end], (after, until), side="right")
    return first + int(low), first + int(high)
