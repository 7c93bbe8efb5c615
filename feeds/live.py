"""The live market: one public link, bars closed by the clock, everything handed to a sink.

Must not know models, orders or the engine.
Called by trader.live, whose sink turns what it is told into events.
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol, assert_never

import structlog

from core.clock import MINUTE, SECOND, Clock
from core.events import Stream
from core.instrument import Instrument
from core.market import Bar, Quote, Trade
from feeds.bars import BarBuilder
from venue import session
from venue.limits import ConnectionBudget
from venue.link import DELAYS_S, Link

GRACE_S = 0.15
"""Wall time after a minute's end in which its last trades may still arrive."""
OVERSLEPT_S = 3.0
"""A later wake-up than this means that the process or the machine was frozen."""

log = structlog.get_logger()


class FeedSink(Protocol):
    """Who wants to know. Calls come from one task, in the order in which things happened."""

    def on_trade(self, trade: Trade) -> None:
        """Take a print."""

    def on_quote(self, quote: Quote) -> None:
        """Take the newest best bid and ask of an instrument."""

    def on_bars(self, ts_close: int, bars: tuple[Bar, ...]) -> None:
        """Take all bars of all timeframes that closed at one instant, smallest first."""

    def on_link(self, stream: Stream, up: bool, system: str, reason: str) -> None:
        """Learn that the feed came up, went down, or that the venue changed its status word.

        Up means that bars have a hole before this moment, filled by history alone: the minute
        under way is never made here, so ask for history once that minute has closed.
        """

    def on_instruments(self, instruments: tuple[Instrument, ...]) -> None:
        """Take what is listed, or what changed of it."""


class LiveFeed:
    """Trades, quotes and bars of `symbols`; runs until cancelled, whatever the network does.

    Every instrument is added to `builder` when the feed is first complete; a time without a
    complete feed is marked as a gap, so that no bar is made of it.
    """

    def __init__(
        self,
        url: str,
        symbols: Iterable[str],
        clock: Clock,
        builder: BarBuilder,
        sink: FeedSink,
        *,
        depth: int = 10,
        delays_s: tuple[float, ...] = DELAYS_S,
        budget: ConnectionBudget | None = None,
    ) -> None:
        self.clock = clock
        self.builder = builder
        self.sink = sink
        self.session = session.PublicSession(symbols, depth=depth)
        self._link = Link(
            url,
            self.session,
            clock,
            on_event=self._on_event,
            on_down=self._on_down,
            delays_s=delays_s,
            budget=budget,
        )
        self._added: set[str] = set()
        self._system = "online"
        self._up = False
        self._down_since: int | None = None
        self._closed = 0

    async def run(self) -> None:
        """Feed the sink until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._link.run())
            group.create_task(self._close_bars())

    # ---- what the session says ----

    def _on_event(self, event: session.PublicEvent) -> None:
        match event:
            case session.Prints(trades):
                self._on_trades(trades)
            case session.TopMoved(quote):
                self.sink.on_quote(quote)
            case session.Ready():
                self._on_ready()
            case session.SystemStatus(system):
                self._on_system(system)
            case session.Listed(instruments):
                self.sink.on_instruments(instruments)
            case session.TradeGap(instrument, last_id, next_id, since, until):
                log.warning("trades_missed", instrument=instrument, last_id=last_id, next_id=next_id)
                self.builder.mark_gap(since, until, instrument)
                self._tell_up(f"missed trades of {instrument}")
            case session.BookLost(instrument, reason, degraded):
                log.warning("book_lost", instrument=instrument, reason=reason, degraded=degraded)
            case session.Refused(channel, instrument, reason):
                log.error("subscription_refused", channel=channel, instrument=instrument, reason=reason)
            case session.Ignored(reason):
                log.warning("frame_ignored", reason=reason)
            case session.Dead():
                pass  # the link acts on it and reports the loss
            case _:
                assert_never(event)

    def _on_trades(self, trades: tuple[Trade, ...]) -> None:
        if not self._up:
            return  # of an unfinished subscription: the gap ends with Ready
        for trade in trades:
            if trade.instrument in self._added:
                self.builder.on_trade(trade)
                self.sink.on_trade(trade)

    def _on_ready(self) -> None:
        now = self.clock.now()
        if self._down_since is not None:
            self.builder.mark_gap(self._down_since, now)
            self._down_since = None
        for symbol in self.session.trading - self._added:
            self.builder.add(symbol, now)
            self._added.add(symbol)
        self._up = True
        self._closed = self._closed or now - now % MINUTE
        self._tell_up("")

    def _tell_up(self, reason: str) -> None:
        if self._up:
            self.sink.on_link(Stream.PUBLIC, True, self._system, reason)

    def _on_system(self, system: str) -> None:
        changed = system != self._system
        self._system = system
        if changed:
            self._tell_up("venue status changed")

    def _on_down(self, reason: str) -> None:
        log.warning("public_link_lost", reason=reason)
        if self._up:
            silent_s = (self.clock.monotonic() - self.session.heard) / SECOND
            self._down_since = self.clock.now() - int(silent_s * self._per_wall_second())
        self._up = False
        self.sink.on_link(Stream.PUBLIC, False, self._system, reason)

    # ---- bars ----

    async def _close_bars(self) -> None:
        """Close each minute a moment after its end, by the clock and not by the next trade."""
        grace = int(GRACE_S * self._per_wall_second())
        while True:
            now = self.clock.now()
            target = now - (now - grace) % MINUTE + MINUTE
            await asyncio.sleep(self.clock.wall_seconds(target - now))
            if self._up:
                self._close(target, grace)

    def _close(self, target: int, grace: int) -> None:
        now = self.clock.now()
        overslept_s = self.clock.wall_seconds(now - target)
        if overslept_s > OVERSLEPT_S:
            log.warning("process_was_frozen", seconds=overslept_s)
            self.builder.mark_gap(self._closed, now)
            self._tell_up(f"the process was frozen for {overslept_s:.0f} s")
        closing = now - grace - (now - grace) % MINUTE
        for ts_close, bars in self.builder.close_until(closing):
            self.sink.on_bars(ts_close, bars)
        self._closed = max(self._closed, closing)

    def _per_wall_second(self) -> float:
        """Give market ns per second of the wall."""
        return SECOND / self.clock.wall_seconds(SECOND)
