"""How a live feed comes up, closes bars, and mends the holes of outages."""

import json
from decimal import Decimal

import pytest

from core.clock import MINUTE, SECOND, LiveClock, ScaledClock
from core.market import Timeframe, Trade
from core.orders import Side
from core.text import iso
from feeds.bars import BarBuilder
from feeds.live import FeedLimits, LiveFeed
from feeds.quality import Verdict
from tests.feeds.live_story import BTC, Ears, Kept, Served, Story, traded
from tests.venue.fake_kraken import fake_kraken, running, told
from tests.venue.market_frames import ack, book_frame, instruments, pair, snapshot, trade

QUICK = (0.01,)


def stamp():
    return iso(LiveClock().now())


def answers(request):
    match request["method"], request["params"]["channel"]:
        case "subscribe", "instrument":
            return [instruments(pair(BTC))]
        case "subscribe", "trade":
            return [ack("trade", BTC), snapshot(6)]
        case "subscribe", "ohlc":
            return [ack("ohlc", BTC)]
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
            await venue.push(trade(7, stamp=stamp()))
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
            await venue.push(*GARBAGE, trade(7, stamp=stamp()))
            item = await told(ears.heard, lambda item: item[0] in {"trade", "link"})
    assert item[0] == "trade"
    assert item[1].trade_id == 7
    assert venue.connections == 1
    assert feed.connections[0].session.counters.total() == len(GARBAGE)


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


def test_outage_without_a_known_trade_leaves_minutes_without_a_bar():
    story = Story()
    story.close_at(660)
    story.to(725)
    story.receive(b'{"channel":"heartbeat"}')
    story.down()
    assert story.verdicts() == ("down",)
    story.to(790)
    story.connect()
    assert story.verdicts() == ("gap",)
    story.prints(790, 795)
    story.close_at(840)
    story.prints(845)
    story.close_at(900)
    assert story.closes() == [(900, 1)]
    assert story.ears.heard.empty()
    story.feed.repaired(BTC)
    assert story.verdicts() == ()


def test_minutes_of_an_outage_are_made_of_the_trades_that_its_snapshot_brings():
    story = Story()
    story.prints(600, 604)
    story.close_at(660)
    story.to(725)
    story.receive(b'{"channel":"heartbeat"}')
    story.down()
    story.close_at(785)
    assert story.closes() == [(660, 2)]
    story.to(790)
    story.connect(story.replay((2, 604), (3, 730), (4, 784)))
    assert story.verdicts() == ()
    story.close_at(790)
    story.number[BTC] = 4
    story.prints(791)
    story.close_at(840)
    assert story.closes() == [(720, 0), (780, 1), (840, 2)]
    assert story.builder.late == 0


async def test_hole_between_snapshot_and_last_known_trade_is_fetched_and_what_follows_waits():
    rest = Served(*(traded(number, 600 + 20 * number) for number in range(1, 12)))
    tap = Kept()
    story = Story(rest=rest, taps=(tap,))
    story.to(620)
    story.prints(620)  # number 1
    story.down()
    story.to(790)
    story.connect(story.replay((8, 760), (9, 780)))
    assert story.verdicts() == ("gap",)
    story.feed._find(BTC, Verdict.MISMATCH)
    story.feed.repaired(BTC)  # history is in: only the hole itself is left to repair
    assert story.verdicts() == ("gap",)
    story.number[BTC] = 9
    story.prints(790)
    story.close_at(840)
    assert story.closes() == []
    await story.feed._repairs._repair(BTC)
    assert story.verdicts() == ()
    story.close_at(841)
    assert story.closes() == [(660, 2), (720, 3), (780, 3), (840, 2)]
    assert rest.asked[0] == (BTC, 620 * SECOND - 1)
    assert sorted(tap.trades) == list(range(1, 11))  # what is recorded has no hole either


async def test_hole_that_rest_cannot_fill_leaves_its_minutes_without_a_bar():
    story = Story(rest=Served(traded(2, 662)))
    story.feed._repairs.again_s = 0.0
    story.prints(601, 604)
    story.to(664)
    story.number[BTC] = 4
    story.ears.all("hole")
    story.prints(664)  # number 5: 3 and 4 are missing
    await story.feed._repairs._repair(BTC)
    assert story.ears.all("hole") == [((BTC,),)]
    story.to(721)
    story.prints(721)
    story.close_at(780)
    assert story.closes() == [(780, 1)]
    assert story.verdicts() == ("gap",)
    story.feed.repaired(BTC)
    assert story.verdicts() == ()


async def test_one_instrument_under_repair_holds_up_no_other():
    eth = "ETH/USD"
    story = Story(BTC, eth, rest=Served(), limits=FeedLimits(per_connection=1))
    assert len(story.feed.connections) == 2
    story.prints(601)
    story.prints(601, symbol=eth)
    story.number[BTC] += 5
    story.to(602)
    story.prints(602)
    story.close_at(660)
    bars = [bar.instrument for _, bars in story.ears.all("bars") for bar in bars]
    assert bars == [eth]
    story.down(eth)
    assert (story.verdicts(), story.verdicts(eth)) == (("gap",), ("down",))


def test_link_is_down_only_once_no_connection_is_left():
    eth = "ETH/USD"
    story = Story(BTC, eth, limits=FeedLimits(per_connection=1))
    story.down(BTC)
    assert [up for up, *_ in story.ears.all("link")] == [True]
    story.down(eth)
    assert [up for up, *_ in story.ears.all("link")] == [False]


def test_first_minute_is_not_invented():
    story = Story(followed=False)
    story.to(601)
    story.connect()
    assert story.ears.all("hole") == [((BTC,),)]
    story.prints(602)
    story.to(661)
    story.prints(661)
    story.close_at(720)
    assert story.closes() == [(720, 1)]


def test_connection_that_was_not_heard_of_late_closes_nothing():
    story = Story()
    story.prints(601)
    story.to(664)
    story.feed._close(grace=0)  # the last frame is 64 s old
    assert story.closes() == []
    story.prints(602)
    story.close_at(665)
    assert story.closes() == [(660, 2)]


def test_connection_that_told_of_nothing_later_than_the_minute_is_waited_for():
    eth = "ETH/USD"
    story = Story(BTC, eth, limits=FeedLimits(per_connection=1))
    for symbol in (BTC, eth):
        story.prints(601, symbol=symbol)
    story.to(660)
    story.receive(book_frame(stamp=iso(660 * SECOND)))  # BTC's connection has passed the minute
    story.receive(b'{"channel":"heartbeat"}', eth)
    behind = story.feed._behind(story.clock.now())
    assert [one.session.symbols for one in behind] == [(eth,)]
    story.feed._close(0, behind)
    assert story.closes() == [(660, 1)]
    story.prints(602, symbol=eth)  # what was under way still counts
    story.feed._close(0)
    assert story.closes(eth) == [(660, 2)]
    assert story.feed._behind(story.clock.now()) == []


def test_down_is_told_once_however_often_the_venue_refuses():
    story = Story()
    for _ in range(3):
        story.down()
    assert [up for up, *_ in story.ears.all("link")] == [True, False]


def test_missed_trades_spoil_their_minute_only():
    story = Story()
    story.prints(601)
    story.to(662)
    story.number[BTC] = 3
    story.prints(662)
    story.to(722)
    story.prints(722)
    story.close_at(780)
    assert story.closes() == [(780, 1)]
    assert story.verdicts() == ("gap",)


def test_status_word_is_told_while_up():
    story = Story()
    story.ears.all("link")
    status = {"channel": "status", "type": "update", "data": [{"system": "cancel_only"}]}
    story.receive(json.dumps(status).encode())
    story.receive(json.dumps(status).encode())
    assert story.ears.all("link") == [(True, "cancel_only", "venue status changed")]


def test_play_promotes_beside_the_ones_that_always_have_a_book():
    symbols = [f"A{i}/USD" for i in range(4)]
    story = Story(*symbols, followed=False, limits=FeedLimits(per_connection=2, booked=1))
    story.feed.play(["A3/USD"])
    booked = frozenset().union(*(one.session.booked for one in story.feed.connections))
    assert booked == {"A0/USD", "A3/USD"}


def test_depths_are_told_of_verified_books_only():
    symbols = ("A0/USD", "A1/USD", "A2/USD")
    story = Story(*symbols, limits=FeedLimits(per_connection=2, booked=2))
    depths = story.feed.depths()
    assert set(depths) == {"A0/USD", "A1/USD"}
    bids, asks = depths["A0/USD"]
    assert [price for price, _ in bids] == sorted((price for price, _ in bids), reverse=True)
    assert bids[0][0] < asks[0][0]
    story.of("A0/USD").session.connected(story.clock.monotonic())
    assert "A0/USD" not in story.feed.depths()


def test_symbols_are_dealt_in_turn():
    story = Story(*(f"A{i}/USD" for i in range(5)), followed=False, limits=FeedLimits(per_connection=2))
    assert [one.session.symbols for one in story.feed.connections] == [
        ("A0/USD", "A3/USD"),
        ("A1/USD", "A4/USD"),
        ("A2/USD",),
    ]
