"""The live market: every symbol's trades, bars closed by the clock, everything handed to a sink.

Must not know models, orders or the engine. Called by trader.live, whose sink turns what it is told
into events. Symbols are dealt to several connections, and each is judged alone: while one is
repaired, its minutes are held open and the others go on.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, assert_never

import structlog

from core.clock import MINUTE, SECOND, Clock
from core.errors import Recoverable
from core.events import Stream
from core.market import Bar, Depths, Quote, Timeframe, Trade
from feeds.bars import BarBuilder
from feeds.connection import Connection, deal
from feeds.pace import Pace
from feeds.quality import BARS, STOOD_IN, TOP, QualityBoard, Verdict
from feeds.repair import Repairs, TradeSource
from feeds.screen import Fault, Screen
from feeds.sink import FeedSink, Tap
from feeds.witness import Mismatch, Witness, sample
from venue import public
from venue.limits import ConnectionBudget
from venue.link import DELAYS_S
from venue.prints import TradeGap
from venue.session import Dead, Ignored, Ready, SystemStatus

GRACE_S = 0.15
"""Wall time after a minute's end in which its last trades may still arrive."""
PATIENCE_S = 2.0
"""How much longer a connection is waited for that has told of nothing later than the minute's end."""
GLANCE_S = 0.02
OVERSLEPT_S = 3.0
"""A later wake-up than this means that the process or the machine was frozen."""
THAW_S = 1.0
"""Wall time in which what came during a freeze is read, before any minute is closed."""
UNHEARD_S = 2.5
"""A connection that was silent for so long (it beats every second) may hide trades."""
BRIDGED = 15 * MINUTE
"""A longer outage is not made good from trades: history is asked for instead."""
STAGGER_S = 0.25
SAMPLE_EVERY_S = 5.0

log = structlog.get_logger()


class RestSource(TradeSource, Protocol):
    """What the feed asks REST for; venue.client.PublicRest."""

    async def ohlc(self, symbol: str, timeframe: Timeframe) -> list[Bar]:
        """Give closed bars, oldest first."""
        ...


class FeedLimits(NamedTuple):
    """Symbols of one connection, and how many (the first ones) have a verified book at all times."""

    per_connection: int = 200
    booked: int = 100


LIMITS = FeedLimits()


class LiveFeed:
    """Trades, quotes and bars of `symbols`, the most liquid first; runs until cancelled.

    Every instrument is added to `builder` when its trades are first followed. With `rest`, trades
    that were missed are fetched, and closed bars are compared with the venue's by sample.
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
        limits: FeedLimits = LIMITS,
        rest: RestSource | None = None,
        pace: Pace | None = None,
        budget: ConnectionBudget | None = None,
        taps: Sequence[Tap] = (),
        delays_s: tuple[float, ...] = DELAYS_S,
    ) -> None:
        self.symbols = tuple(symbols)
        self.clock = clock
        self.builder = builder
        self.sink = sink
        self.quality = QualityBoard()
        self.witness = Witness()
        self.screen = Screen(self._per_wall_second())
        self._booked = frozenset(self.symbols[: limits.booked])
        self._taps = tuple(taps)
        self._rest = rest
        self._pace = pace or Pace(clock)
        self._repairs = (
            Repairs(rest, self._pace, order=self.symbols, on_done=self._on_repaired) if rest else None
        )
        shared = budget or ConnectionBudget()
        self.connections = [
            Connection(
                url,
                public.PublicSession(dealt, depth=depth, books=self._booked, candles=True),
                clock,
                on_event=self._on_event,
                on_down=self._on_down,
                budget=shared,
                delays_s=delays_s,
            )
            for dealt in deal(self.symbols, limits.per_connection)
        ]
        self._followed: set[str] = set()
        self._lost_since: dict[str, int] = {}
        self._system = "online"
        self._up: bool | None = None  # nothing was told yet

    async def run(self) -> None:
        """Feed the sink until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number, connection in enumerate(self.connections):
                group.create_task(connection.run(number * STAGGER_S))
            group.create_task(self._close_bars())
            if self._repairs is not None:
                group.create_task(self._repairs.run())
                group.create_task(self._sample())

    def play(self, instruments: Iterable[str]) -> None:
        """Keep verified books of these, beside the ones that always have one."""
        wanted = self._booked | frozenset(instruments)
        for connection in self.connections:
            mine = wanted.intersection(connection.session.symbols)
            if mine != connection.session.booked:
                connection.play(mine)

    def depths(self) -> Depths:
        """Give bids and asks, best first, of every instrument whose book is verified now."""
        return {
            symbol: (book.bids, book.asks)
            for connection in self.connections
            for symbol in connection.session.booked
            if (book := connection.session.book(symbol)) is not None
        }

    def repaired(self, instrument: str) -> None:
        """Learn that history was fetched anew: what was wrong with earlier bars is no more."""
        repairing = self._repairs is not None and self._repairs.under_way(instrument)
        self.quality.lift(instrument, BARS - {Verdict.GAP} if repairing else BARS)
        self._tell_quality()

    # ---- what a session says ----

    def _on_event(self, connection: Connection, event: public.PublicEvent) -> None:
        match event:
            case public.Prints(trades, replayed):
                connection.hear(trades[-1].ts_event)
                self._on_trades(trades, replayed=replayed)
                return
            case public.TopMoved(quote, stand_in):
                connection.hear(quote.ts_event)
                self._on_quote(quote, STOOD_IN if stand_in else TOP)
            case public.Candles(rows):
                self.witness.on_candles(rows)
                return
            case Ready():
                self._on_ready(connection)
            case public.Following(instrument, joined):
                self._on_following(instrument, joined)
            case SystemStatus(system):
                self._on_system(system)
            case public.Listed(instruments):
                self.sink.on_instruments(instruments)
            case TradeGap():
                self._on_gap(event)
            case public.Lost():
                self._on_lost(event)
            case public.Refused():
                self._on_refused(event)
            case Ignored(reason):
                log.warning("frame_ignored", reason=reason)
            case Dead():
                pass  # the link acts on it and reports the loss
            case _:
                assert_never(event)
        self._tell_quality()

    def _on_ready(self, connection: Connection) -> None:
        connection.up = True
        if not self._up:
            self._up = True
            self.sink.on_link(Stream.PUBLIC, True, self._system, "")

    def _on_system(self, system: str) -> None:
        changed, self._system = system != self._system, system
        if changed and self._up:
            self.sink.on_link(Stream.PUBLIC, True, system, "venue status changed")

    def _on_down(self, connection: Connection, reason: str) -> None:
        log.warning("public_link_lost", reason=reason, instruments=len(connection.session.symbols))
        silent = int(connection.silent_s * self._per_wall_second())
        connection.up = False
        for instrument in self._followed.intersection(connection.session.symbols):
            self._lose(instrument, self.clock.now() - silent)
        if self._up is not False and not any(one.up for one in self.connections):
            self._up = False
            self.sink.on_link(Stream.PUBLIC, False, self._system, reason)
        self._tell_quality()

    # ---- trades ----

    def _on_trades(self, trades: Iterable[Trade], *, replayed: bool = False) -> None:
        now, followed, repairs = self.clock.now(), self._followed, self._repairs
        taken: list[Trade] = []
        for trade in trades:
            instrument = trade.instrument
            if instrument not in followed:
                continue  # of an unfinished first subscription
            if fault := self.screen.judge(trade, now, replayed=replayed):
                self._find(instrument, Verdict.OUTLIER if fault is Fault.JUMP else Verdict.TIME)
                log.warning("odd_trade", instrument=instrument, fault=str(fault), trade=trade.trade_id)
                if fault is not Fault.JUMP:
                    self.sink.on_hole((instrument,))
                    continue
            taken.append(trade)
            if repairs is not None and repairs.under_way(instrument):
                repairs.keep(trade)
            elif not self.builder.on_trade(trade):
                self._on_late(trade)
            if not replayed:
                self.sink.on_trade(trade)
        for tap in self._taps:
            tap.on_trades(tuple(taken))
        self._tell_quality()

    def _on_late(self, trade: Trade) -> None:
        """Leave the bar as it was told; it is wrong, so history has to be asked for."""
        log.warning("late_trade", instrument=trade.instrument, trade=trade.trade_id)
        self._find(trade.instrument, Verdict.LATE)
        self.sink.on_hole((trade.instrument,))

    def _on_following(self, instrument: str, joined: bool) -> None:
        now = self.clock.now()
        lost_since = self._lost_since.pop(instrument, None)
        self.quality.lift(instrument, (Verdict.DOWN, Verdict.REFUSED))
        if instrument not in self._followed:
            self._followed.add(instrument)
            self.builder.add(instrument, now)
            self.sink.on_hole((instrument,))
        elif lost_since is not None and (not joined or now - lost_since > BRIDGED):
            self._leave_hole(instrument, lost_since, now)
        if not self._busy(instrument):
            self.builder.release(instrument)

    def _on_gap(self, gap: TradeGap) -> None:
        log.warning("trades_missed", instrument=gap.instrument, last_id=gap.last_id, next_id=gap.next_id)
        if gap.instrument not in self._followed:
            return
        if self._repairs is not None and gap.last_id and gap.until - gap.since <= BRIDGED:
            self._find(gap.instrument, Verdict.GAP)
            self.builder.hold((gap.instrument,))
            self._repairs.begin(gap)
        else:
            self._leave_hole(gap.instrument, gap.since, gap.until + 1)

    def _on_repaired(self, instrument: str, trades: list[Trade], holes: list[TradeGap]) -> None:
        """Take the missed trades and those that waited, in order; a hole that stays has no bar."""
        log.info("gap_repaired", instrument=instrument, trades=len(trades), holes=len(holes))
        for hole in holes:
            self._leave_hole(instrument, hole.since, hole.until + 1)
        for tap in self._taps:
            tap.on_trades(tuple(trades))  # those that waited were told before: a trade has its id
        fresh = tuple(trade for trade in trades if self.builder.on_trade(trade))
        if not holes:
            self.quality.lift(instrument, (Verdict.GAP,))
        if len(fresh) < len(trades):
            self._on_late(trades[0])
        if instrument not in self._lost_since:
            self.builder.release(instrument)
        self._tell_quality()

    def _leave_hole(self, instrument: str, since: int, until: int) -> None:
        self.builder.mark_gap(since, until, instrument)
        self._find(instrument, Verdict.GAP)
        self.sink.on_hole((instrument,))

    def _on_lost(self, lost: public.Lost) -> None:
        log.warning("channel_lost", **_fields(lost))
        if lost.channel == "trade":
            self._lose(lost.instrument, self.clock.now())
        elif lost.channel == "ohlc":
            self.witness.forget(lost.instrument)
        elif lost.degraded:
            self._find(lost.instrument, Verdict.DEGRADED)
        else:
            self._find(lost.instrument, _TOP_FAULTS.get(lost.reason, Verdict.BOOK))

    def _on_refused(self, refused: public.Refused) -> None:
        log.error("subscription_refused", **_fields(refused))
        verdict = _REFUSED.get(refused.channel)
        if verdict is not None:
            self._find(refused.instrument, verdict)

    def _lose(self, instrument: str, since: int) -> None:
        """Hold what can no longer be seen; `Following` ends it."""
        self._lost_since.setdefault(instrument, since)
        self._find(instrument, Verdict.DOWN)
        self.builder.hold((instrument,))
        self.witness.forget(instrument)

    def _busy(self, instrument: str) -> bool:
        repairing = self._repairs is not None and self._repairs.under_way(instrument)
        return repairing or instrument in self._lost_since

    def _find(self, instrument: str, verdict: Verdict) -> None:
        self.quality.find(instrument, verdict, self.clock.now())

    def _tell_quality(self) -> None:
        if changes := self.quality.changes():
            self.sink.on_quality(changes)

    # ---- best prices, bars ----

    def _on_quote(self, quote: Quote, lifted: frozenset[Verdict]) -> None:
        self.quality.lift(quote.instrument, lifted)
        self.sink.on_quote(quote)
        for tap in self._taps:
            tap.on_quote(quote)

    async def _close_bars(self) -> None:
        """Close each minute a moment after its end, by the clock and not by the next trade."""
        grace = int(GRACE_S * self._per_wall_second())
        while True:
            now = self.clock.now()
            second = round(self._per_wall_second())  # what was held back is closed within this
            due = min(now + second, now - (now - grace) % MINUTE + MINUTE)
            await asyncio.sleep(self.clock.wall_seconds(due - now))
            overslept_s = self.clock.wall_seconds(self.clock.now() - due)
            if overslept_s > OVERSLEPT_S:
                log.warning("process_was_frozen", seconds=overslept_s)
                await asyncio.sleep(THAW_S)
            await self._close_patiently(grace)

    async def _close_patiently(self, grace: int) -> None:
        """Close what every connection has told of: frames of one come in the order of their time."""
        for _ in range(round(PATIENCE_S / GLANCE_S)):
            behind = self._behind(self.clock.now() - grace)
            self._close(grace, behind)
            if not behind:
                return
            await asyncio.sleep(GLANCE_S)
        self._close(grace)

    def _behind(self, ts: int) -> list[Connection]:
        """Give the connections that have minutes to close and told of nothing later than their end."""
        end = ts - ts % MINUTE
        return [
            one
            for one in self.connections
            if one.up and one.told < end and any(self.builder.closed_until(s) < end for s in self._open(one))
        ]

    def _open(self, connection: Connection) -> list[str]:
        """Give the followed symbols of a connection whose minutes are not held open for another reason."""
        return [s for s in connection.session.symbols if s in self._followed and not self._busy(s)]

    def _close(self, grace: int, behind: Iterable[Connection] = ()) -> None:
        """Close what is due; a connection that is behind, or not heard of late, may hide trades."""
        silent = [one for one in self.connections if one.up and one.silent_s > UNHEARD_S]
        waiting = {symbol for connection in (*silent, *behind) for symbol in self._open(connection)}
        self.builder.hold(waiting)
        now = self.clock.now()
        for ts_close, bars in self.builder.close_until(now - grace):
            self.sink.on_bars(ts_close, bars)
            for mismatch in self.witness.on_bars(b for b in bars if b.timeframe is Timeframe.M1):
                self._on_mismatch(mismatch)
        for symbol in waiting:
            self.builder.release(symbol)
        self.quality.on_time(now)
        self._tell_quality()

    def _on_mismatch(self, mismatch: Mismatch) -> None:
        log.error("bar_mismatch", **mismatch._asdict())
        self._find(mismatch.instrument, Verdict.MISMATCH)
        self.sink.on_hole((mismatch.instrument,))

    async def _sample(self) -> None:
        """Compare one instrument after the other with REST, within the public rate budget."""
        assert self._rest is not None
        turn = 0
        while True:
            await asyncio.sleep(SAMPLE_EVERY_S)
            instrument = sample(self._followed - self.builder.held, turn)
            turn += 1
            if instrument is None:
                continue
            await self._pace.turn()
            try:
                served = await self._rest.ohlc(instrument, Timeframe.M1)
            except Recoverable as error:
                log.warning("sample_not_served", instrument=instrument, reason=str(error))
                continue
            by_open = {bar.ts_open: bar for bar in served}
            for mismatch in self.witness.on_served(self.builder.recent(instrument), by_open)[-1:]:
                self._on_mismatch(mismatch)
            self._tell_quality()

    def _per_wall_second(self) -> float:
        """Give market ns per second of the wall."""
        return SECOND / self.clock.wall_seconds(SECOND)


_REFUSED = {
    "instrument": Verdict.REFUSED,
    "trade": Verdict.REFUSED,
    "book": Verdict.DEGRADED,
    "ticker": Verdict.BOOK,
}
_TOP_FAULTS = {"crossed": Verdict.CROSSED, public.SILENT: Verdict.STALE}


def _fields(event: public.Lost | public.Refused) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__struct_fields__}
