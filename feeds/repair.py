"""Trades that were never seen, fetched from REST while the ones that follow wait.

Must not know bars or connections. Owned by feeds.live: it begins a repair, hands over what follows,
and gets everything back in order, or the word that it could not be had.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from core.errors import Recoverable, VenueError
from core.market import Trade
from feeds.pace import Pace
from venue.prints import TradeGap
from venue.rest_market import TradePage

PAGES = 5
"""A gap that does not fit into so many pages of a thousand trades is left a gap."""
ATTEMPTS = 3
AGAIN_S = 2.0
"""Wall time until a page is asked for again that did not hold all yet: REST lags the stream."""
KEPT = 20_000
"""Trades of one instrument that may wait; more means that its repair has failed."""

log = structlog.get_logger()


class TradeSource(Protocol):
    """Who serves past trades; venue.client.PublicRest."""

    async def trades(self, symbol: str, since: str) -> TradePage:
        """Give a page of trades after `since`, ns as text."""
        ...


class _Repair:
    """One instrument's holes and what came after them, in the order in which it happened."""

    def __init__(self) -> None:
        self.story: list[TradeGap | Trade] = []


class Repairs:
    """Repairs of many instruments, the first in `order` first.

    `on_done` gets the instrument, its trades in order, and the holes that stay.
    """

    def __init__(
        self,
        source: TradeSource,
        pace: Pace,
        *,
        order: Sequence[str],
        on_done: Callable[[str, list[Trade], list[TradeGap]], None],
    ) -> None:
        self.again_s = AGAIN_S
        self._source = source
        self._pace = pace
        self._rank = {symbol: rank for rank, symbol in enumerate(order)}
        self._on_done = on_done
        self._pending: dict[str, _Repair] = {}
        self._wake = asyncio.Event()

    def begin(self, gap: TradeGap) -> None:
        """Take a hole in; from now on `keep` what follows on its instrument."""
        self._pending.setdefault(gap.instrument, _Repair()).story.append(gap)
        self._wake.set()

    def under_way(self, instrument: str) -> bool:
        """Tell whether trades of an instrument have to wait."""
        return instrument in self._pending

    def keep(self, trade: Trade) -> None:
        """Keep a trade that follows a hole."""
        repair = self._pending[trade.instrument]
        repair.story.append(trade)
        if len(repair.story) > KEPT:
            self._finish(trade.instrument, {})

    async def run(self) -> None:
        """Repair until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                instrument = min(self._pending, key=lambda one: self._rank.get(one, len(self._rank)))
                await self._repair(instrument)

    async def _repair(self, instrument: str) -> None:
        repair = self._pending[instrument]
        found: dict[TradeGap, list[Trade]] = {}
        for item in repair.story:  # a hole that appears meanwhile is found by this very loop
            if isinstance(item, TradeGap):
                try:
                    found[item] = await self._fetch(item)
                except Recoverable as error:
                    log.warning("gap_not_repaired", instrument=instrument, reason=str(error))
            if self._pending.get(instrument) is not repair:
                return  # given up meanwhile
        self._finish(instrument, found)

    def _finish(self, instrument: str, found: dict[TradeGap, list[Trade]]) -> None:
        repair = self._pending.pop(instrument)
        trades: list[Trade] = []
        holes: list[TradeGap] = []
        for item in repair.story:
            if isinstance(item, Trade):
                trades.append(item)
            elif item in found:
                trades += found[item]
            else:
                holes.append(item)
        self._on_done(instrument, trades, holes)

    async def _fetch(self, gap: TradeGap) -> list[Trade]:
        """Give exactly the trades between two ids; raises VenueError where some cannot be had."""
        missing = range(gap.last_id + 1, gap.next_id)
        found: dict[int, Trade] = {}
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(self.again_s)
            found |= await self._pages(gap, missing)
            if len(found) == len(missing):
                return [found[number] for number in missing]
        raise VenueError(
            f"expected trades {missing.start} to {missing.stop - 1} of {gap.instrument}, "
            f"found {len(found)} of {len(missing)}"
        )

    async def _pages(self, gap: TradeGap, missing: range) -> dict[int, Trade]:
        found: dict[int, Trade] = {}
        cursor = str(gap.since - 1)
        for _ in range(PAGES):
            await self._pace.turn()
            page = await self._source.trades(gap.instrument, cursor)
            found |= {trade.trade_id: trade for trade in page.trades if trade.trade_id in missing}
            beyond = any(trade.trade_id >= missing.stop for trade in page.trades)
            if beyond or len(found) == len(missing) or page.last in ("", cursor):
                break
            cursor = page.last
        return found
