"""History between the feed and the features: one by one, and what one lacks is no other's loss."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from core.clock import MINUTE, SECOND, ManualClock
from core.errors import LinkLost
from core.events import Prediction, RequestOpinion
from core.market import Bar, Timeframe, Trade
from core.orders import Side
from feeds.bars import BarBuilder, quiet
from feeds.pace import Pace
from tests.venue.fake_kraken import running
from trader import history
from trader.history import HistoryGate, Wanted

BTC, ETH, OLD = "BTC/USDT", "ETH/USDT", "OLD/USDT"
NOW = 100 * MINUTE


class Venue:
    """Serves one bar before the newest minute; `broken` instruments are not served so many times."""

    def __init__(self, **broken: int) -> None:
        self.broken = broken
        self.asked: list[str] = []
        self.newest = NOW

    async def ohlc(self, symbol: str, timeframe: Timeframe) -> list[Bar]:
        self.asked.append(symbol)
        base = symbol.partition("/")[0]
        if self.broken.get(base, 0):
            self.broken[base] -= 1
            raise LinkLost("no")
        return [quiet(symbol, timeframe, self.newest - timeframe.ns, 1.0)]


class Thread:
    """What the gate hands on, in order."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, list[str]]] = []
        self.has_room = True

    def warm(self, bars: Sequence[Bar]) -> bool:
        self.seen.append(("warm", sorted({bar.instrument for bar in bars})))
        return self.has_room

    def on_bars(self, ts_close: int, bars: Sequence[Bar]) -> bool:
        self.seen.append(("bars", [bar.instrument for bar in bars]))
        return self.has_room

    def request(self, request: RequestOpinion) -> None:
        self.seen.append(("request", list(request.instruments)))

    def stop(self) -> None:
        self.seen.append(("stop", []))


class Told:
    def __init__(self) -> None:
        self.ready: list[str] = []
        self.counts: list[tuple[int, int]] = []

    def on_history(self, instrument: str, bars: Sequence[Bar]) -> None:
        assert [bar.ts_close for bar in bars] == sorted(bar.ts_close for bar in bars)
        self.ready.append(instrument)

    def on_readiness(self, ready: int, wanted: int, cold_start_s: float | None) -> None:
        self.counts.append((ready, wanted))


class Desk:
    """A gate with everything around it."""

    def __init__(self, *instruments: str, venue: Venue | None = None) -> None:
        self.clock = ManualClock(NOW)
        self.venue = venue or Venue()
        self.thread, self.told = Thread(), Told()
        self.builder = BarBuilder()
        self.answers: list[Prediction] = []
        self.gate = HistoryGate(
            Wanted(instruments, frozenset({Timeframe.M1, Timeframe.M5})),
            self.venue,
            self.thread,  # type: ignore[arg-type]
            builder=self.builder,
            pace=Pace(self.clock, burst=1000),
            clock=self.clock,
            told=self.told,
            deliver=self.answers.append,
        )

    def follow(self, *instruments: str) -> None:
        for instrument in instruments:
            self.builder.add(instrument, NOW)
        self.gate.on_hole(instruments)

    async def settle(self) -> None:
        """Let the minute pass and the gate do everything that is due then."""
        self.clock.advance_to(self.clock.now() + MINUTE + SECOND)
        async with running(self.gate.run()):
            for _ in range(200):
                await asyncio.sleep(0)


def bar(instrument: str, minute: int) -> Bar:
    return quiet(instrument, Timeframe.M1, NOW + minute * MINUTE, 1.0)


def request(*instruments: str) -> RequestOpinion:
    return RequestOpinion("a", "a1", Timeframe.M5, NOW, instruments)


async def test_instruments_become_ready_in_the_order_of_their_rank():
    desk = Desk(BTC, ETH, OLD)
    desk.follow(OLD, ETH, BTC)
    await desk.settle()
    assert desk.told.ready == [BTC, ETH, OLD]
    assert desk.told.counts == [(1, 3), (2, 3), (3, 3)]
    assert desk.gate.cold_start_s is not None


async def test_what_a_full_thread_lost_is_fetched_again():
    desk = Desk(BTC, ETH)
    desk.follow(BTC, ETH)
    await desk.settle()
    desk.thread.has_room = False
    desk.gate.on_bars(NOW + 2 * MINUTE, (bar(BTC, 1),))
    assert desk.gate.cold == {BTC}
    await desk.settle()
    assert desk.thread.seen[-1] == ("warm", [BTC])
    assert desk.gate.cold == {BTC}, "its history was lost as well"
    desk.thread.has_room = True
    await desk.settle()
    assert desk.gate.cold == frozenset()
    assert desk.told.ready == [BTC, ETH, BTC]


async def test_bars_of_a_cold_instrument_wait_for_its_history_and_others_pass():
    desk = Desk(BTC, ETH)
    desk.follow(BTC)
    await desk.settle()
    desk.thread.seen.clear()
    desk.gate.on_bars(NOW + MINUTE, (bar(BTC, 0), bar(ETH, 0)))
    assert desk.thread.seen == [("bars", [BTC])]
    desk.follow(ETH)
    await desk.settle()
    assert desk.thread.seen[-1] == ("warm", [ETH])
    desk.gate.on_bars(NOW + 2 * MINUTE, (bar(BTC, 1), bar(ETH, 1)))
    assert desk.thread.seen[-1] == ("bars", [BTC, ETH])


async def test_history_that_is_not_served_is_asked_for_again_and_holds_up_nobody():
    desk = Desk(BTC, ETH, venue=Venue(BTC=2))
    desk.gate.retry_s = 0.0
    desk.follow(BTC, ETH)
    await desk.settle()
    assert set(desk.told.ready) == {ETH, BTC}


async def test_hole_makes_an_instrument_cold_again():
    desk = Desk(BTC, ETH)
    desk.follow(BTC, ETH)
    await desk.settle()
    desk.gate.on_hole((BTC,))
    assert desk.gate.cold == {BTC}
    desk.gate.on_bars(NOW + MINUTE, (bar(BTC, 0), bar(ETH, 0)))
    assert desk.thread.seen[-1] == ("bars", [ETH])


def test_requests_are_answered_at_once_while_nothing_is_ready():
    desk = Desk(BTC)
    desk.gate.request(request(BTC))
    assert desk.answers[0].error == history.WARMING


async def test_requests_pass_once_anything_is_ready():
    desk = Desk(BTC, ETH)
    desk.follow(BTC)
    await desk.settle()
    desk.gate.request(request(BTC, ETH))
    assert desk.thread.seen[-1] == ("request", [BTC, ETH])


async def test_an_instrument_that_the_venue_refuses_to_stream_ends_the_cold_start():
    desk = Desk(BTC, OLD)
    desk.gate.leave_out(OLD)
    assert desk.gate.cold_start_s is None
    desk.follow(BTC)
    await desk.settle()
    assert desk.gate.cold_start_s is not None
    assert desk.told.counts[-1] == (1, 2)


async def test_the_minute_in_which_the_feed_began_is_waited_for():
    desk = Desk(BTC)
    desk.follow(BTC)
    async with running(desk.gate.run()):
        for _ in range(5):
            await asyncio.sleep(0)
        assert desk.venue.asked == []


async def test_a_minute_that_history_tells_of_first_is_still_told_by_the_feed():
    desk = Desk(BTC)
    desk.venue.newest = NOW + MINUTE
    desk.follow(BTC)
    desk.builder.on_trade(Trade(BTC, NOW + 1, Decimal(2), Decimal(1), Side.BUY, 1))
    desk.clock.advance_to(NOW + MINUTE + SECOND)
    async with running(desk.gate.run()):
        for _ in range(50):
            await asyncio.sleep(0)
        assert desk.venue.asked
        assert desk.told.ready == []
        ((ts_close, bars),) = desk.builder.close_until(NOW + MINUTE)
        assert [(one.timeframe, one.close) for one in bars] == [(Timeframe.M1, 2.0)]
        desk.gate.on_bars(ts_close, bars)
        for _ in range(50):
            await asyncio.sleep(0)
    assert desk.told.ready == [BTC]


async def test_a_minute_that_the_feed_never_closes_keeps_history_waiting_for_a_moment_only():
    desk = Desk(BTC)
    desk.gate.closing_s = 0.01
    desk.venue.newest = NOW + MINUTE
    desk.follow(BTC)
    desk.clock.advance_to(NOW + MINUTE + SECOND)
    async with running(desk.gate.run()):
        await asyncio.sleep(0.05)
    assert desk.told.ready == [BTC]


async def test_the_first_in_rank_that_are_never_served_do_not_starve_the_others():
    desk = Desk(
        "A/USDT", "B/USDT", "C/USDT", "D/USDT", "E/USDT", BTC, venue=Venue(A=10**6, B=10**6, C=10**6, D=10**6)
    )
    desk.follow("A/USDT", "B/USDT", "C/USDT", "D/USDT", "E/USDT", BTC)
    await desk.settle()
    assert desk.told.ready == ["E/USDT", BTC]
