import asyncio
from decimal import Decimal

import pytest

from core.clock import MINUTE, SECOND, LiveClock, ManualClock, ScaledClock
from core.events import Stream
from core.market import Timeframe, Trade
from core.orders import Side
from feeds.bars import BarBuilder
from feeds.live import LiveFeed
from tests.venue.fake_kraken import fake_kraken, running, told
from tests.venue.test_public import ack, book_frame, instruments, pair, trade
from venue import session

BTC = "BTC/USD"
QUICK = (0.01,)


class Ears:
    """A sink that keeps what it is told in one queue."""

    def __init__(self):
        self.heard = asyncio.Queue()

    def on_trade(self, trade):
        self.heard.put_nowait(("trade", trade))

    def on_quote(self, quote):
        self.heard.put_nowait(("quote", quote))

    def on_bars(self, ts_close, bars):
        self.heard.put_nowait(("bars", ts_close, bars))

    def on_link(self, stream, up, system, reason):
        assert stream is Stream.PUBLIC
        self.heard.put_nowait(("link", up, system, reason))

    def on_instruments(self, instruments):
        self.heard.put_nowait(("instruments", instruments))

    def all(self, kind):
        found = []
        while not self.heard.empty():
            item = self.heard.get_nowait()
            if item[0] == kind:
                found.append(item[1:])
        return found


def answers(request):
    match request["method"], request["params"]["channel"]:
        case "subscribe", "instrument":
            return [instruments(pair(BTC))]
        case "subscribe", "trade":
            return [ack("trade", BTC)]
        case "subscribe", "book":
            return [ack("book", BTC), book_frame()]
    return []


@pytest.mark.e2e
async def test_feed_comes_up_tells_everything_and_comes_back():
    ears = Ears()
    async with fake_kraken(answers) as venue:
        feed = LiveFeed(venue.url, [BTC], LiveClock(), BarBuilder(), ears, delays_s=QUICK)
        async with running(feed.run()):
            assert (await told(ears.heard, lambda item: item[0] == "instruments"))[1][0].symbol == BTC
            assert (await told(ears.heard, lambda item: item[0] == "quote"))[1].bid == 50000
            assert await told(ears.heard, lambda item: item[0] == "link") == ("link", True, "online", "")
            await venue.push(trade(7))
            assert (await told(ears.heard, lambda item: item[0] == "trade"))[1].trade_id == 7
            await venue.drop()
            assert not (await told(ears.heard, lambda item: item[0] == "link"))[1]
            assert (await told(ears.heard, lambda item: item[0] == "link"))[1]


GARBAGE = (
    b"<html>520</html>",
    b"\x00",
    b"[[[[",
    b'{"channel":"trade","type":"update","data":[{"price":"dear"}]}',
    b'{"channel":"book","type":"update","data":null}',
    b'{"method":"subscribe","success":"perhaps"}',
    b'{"channel":"weather","data":["rain"]}',
)


@pytest.mark.e2e
async def test_garbage_on_the_wire_costs_neither_the_link_nor_what_follows():
    ears = Ears()
    async with fake_kraken(answers) as venue:
        feed = LiveFeed(venue.url, [BTC], LiveClock(), BarBuilder(), ears, delays_s=QUICK)
        async with running(feed.run()):
            await told(ears.heard, lambda item: item[0] == "link")
            await venue.push(*GARBAGE, trade(7))
            item = await told(ears.heard, lambda item: item[0] in {"trade", "link"})
    assert item[0] == "trade"
    assert item[1].trade_id == 7
    assert venue.connections == 1
    assert feed.session.counters.total() == len(GARBAGE)


@pytest.mark.e2e
async def test_bars_close_by_the_clock_without_any_trade():
    ears = Ears()
    wall = LiveClock().now()
    clock = ScaledClock(market_epoch=10 * MINUTE, wall_epoch=wall, speed=600.0)
    async with fake_kraken(answers) as venue:
        builder = BarBuilder((Timeframe.M1,))
        async with running(LiveFeed(venue.url, [BTC], clock, builder, ears, delays_s=QUICK).run()):
            await told(ears.heard, lambda item: item[0] == "link")
            now = clock.now()
            builder.on_trade(Trade(BTC, now, Decimal(5), Decimal(1), Side.BUY, 1))
            _, first, bars = await told(ears.heard, lambda item: item[0] == "bars")
            _, second, _ = await told(ears.heard, lambda item: item[0] == "bars")
    assert second == first + MINUTE
    assert first > now
    assert (bars[0].trades, bars[0].close) == (0, 5.0)


class Story:
    """A feed driven by hand: events in, no socket, no wall clock."""

    def __init__(self):
        self.clock = ManualClock(10 * MINUTE)
        self.ears = Ears()
        self.builder = BarBuilder((Timeframe.M1,))
        self.feed = LiveFeed("ws://127.0.0.1:9", [BTC], self.clock, self.builder, self.ears)
        self.feed.session.connected(self.clock.monotonic())
        for frame in (instruments(pair(BTC)), ack("trade", BTC), ack("book", BTC), book_frame()):
            self.receive(frame)

    def receive(self, frame):
        for event in self.feed.session.receive(frame, self.clock.monotonic()):
            self.feed._on_event(event)

    def prints(self, *seconds):
        for at in seconds:
            one = Trade(BTC, at * SECOND, Decimal(100), Decimal(1), Side.BUY, at)
            self.feed._on_event(session.Prints((one,)))

    def close_at(self, second):
        self.clock.advance_to(second * SECOND)
        self.feed._close(second * SECOND, grace=0)


def test_minutes_of_a_gap_have_no_bar():
    story = Story()
    story.prints(601, 659)
    story.close_at(660)
    story.clock.advance_to(725 * SECOND)
    story.feed.session._heard = 725 * SECOND
    story.feed._on_down("cut")
    story.prints(730)  # of an unfinished subscription
    story.clock.advance_to(790 * SECOND)
    story.feed._on_event(session.Ready())
    story.prints(845)
    story.close_at(900)
    closes = [ts_close // SECOND for ts_close, _ in story.ears.all("bars")]
    assert closes == [660, 720, 900]


def test_first_minute_is_not_invented():
    story = Story()
    story.clock.advance_to(601 * SECOND)
    story.builder.add(BTC, 601 * SECOND)
    story.prints(602, 661)
    story.close_at(720)
    assert [ts_close // SECOND for ts_close, _ in story.ears.all("bars")] == [720]


def test_frozen_process_marks_what_it_slept_through():
    story = Story()
    story.prints(601)
    story.close_at(660)
    story.prints(661)
    story.ears.all("link")
    story.clock.advance_to(900 * SECOND)
    story.feed._close(720 * SECOND, grace=0)
    assert story.ears.all("link") == [(True, "online", "the process was frozen for 180 s")]
    story.prints(901)
    story.close_at(960)
    assert [ts_close // SECOND for ts_close, _ in story.ears.all("bars")] == [960]


def test_missed_trades_spoil_their_minute_only_and_are_told():
    story = Story()
    story.prints(601, 661)
    story.ears.all("link")
    story.feed._on_event(session.TradeGap(BTC, 5, 9, 662 * SECOND, 663 * SECOND))
    assert story.ears.all("link") == [(True, "online", f"missed trades of {BTC}")]
    story.prints(721)
    story.close_at(660)
    story.close_at(720)
    story.close_at(780)
    assert [ts_close // SECOND for ts_close, _ in story.ears.all("bars")] == [660, 780]


def test_status_word_is_told_while_up():
    story = Story()
    story.ears.all("link")
    story.feed._on_event(session.SystemStatus("cancel_only"))
    story.feed._on_event(session.SystemStatus("cancel_only"))
    assert story.ears.all("link") == [(True, "cancel_only", "venue status changed")]


def test_oddities_are_logged_and_survived():
    story = Story()
    for event in (
        session.BookLost(BTC, "checksum", False),
        session.Refused("book", BTC, "no"),
        session.Ignored("odd"),
        session.Dead("gone"),
    ):
        story.feed._on_event(event)
