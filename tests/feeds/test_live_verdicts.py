"""What a live feed says about the quality of its instruments' data."""

from core.clock import SECOND
from core.market import Bar, Timeframe
from tests.feeds.live_story import BTC, Served, Story
from tests.venue.market_frames import ack, book_frame, candle, instruments, ticker


def test_trades_that_cannot_be_are_no_part_of_a_bar():
    story = Story()
    story.to(1000)
    story.prints(1006, 700, 1000)
    story.prints(999)  # a little before the last one is nothing odd
    story.prints(990)
    assert story.verdicts() == ("time",)
    story.close_at(1020)
    assert story.closes()[-1] == (1020, 2)
    assert {str(k): v for k, v in story.feed.screen.counters.items()} == {
        "trade from the future": 1,
        "trade from far past": 1,
        "trade before the last one": 1,
    }


def test_price_far_from_the_last_one_is_kept_and_told_for_a_while():
    story = Story()
    story.prints(601)
    story.prints(602, price=40.0)
    assert story.verdicts() == ("outlier",)
    story.close_at(660)
    assert story.closes() == [(660, 2)]
    story.close_at(960)
    assert story.verdicts() == ()


def test_bar_that_is_not_the_venues_own_is_told_a_minute_later():
    story = Story()
    story.prints(600, 604, price=1.0)
    story.receive(candle(trades=3, begin="1970-01-01T00:10:00.000000000Z"))
    story.close_at(660)
    assert story.verdicts() == ()
    story.close_at(720)
    assert story.verdicts() == ("mismatch",)
    story.feed.repaired(BTC)
    assert story.verdicts() == ()


def test_best_prices_pass_and_lift_verdicts():
    story = Story()
    story.receive(book_frame(bids=[(50002.0, 1.0)], asks=[(50001.0, 1.0)]))
    assert story.verdicts() == ("crossed",)
    story.receive(book_frame())
    assert story.verdicts() == ()
    story.receive(book_frame(kind="update", spoil=1))
    assert story.verdicts() == ("book",)


def test_degraded_book_is_said_though_level_one_stands_in():
    story = Story()
    for _ in range(8):
        story.receive(book_frame(spoil=1))
    assert "degraded" in story.verdicts()
    story.receive(ack("ticker", BTC))
    story.receive(ticker())
    assert story.verdicts() == ("degraded",)
    assert story.ears.all("quote")[-1][0].bid == 50000
    story.receive(book_frame())
    assert story.verdicts() == ()


def test_dead_trade_channel_is_down_until_it_is_followed_again():
    story = Story()
    story.prints(601)
    story.to(605)
    connection = story.of(BTC)
    for event in connection.session._renew("trade", BTC, "silent"):
        story.feed._on_event(connection, event)
    assert story.verdicts() == ("down",)
    story.receive(ack("trade", BTC))
    story.receive(story.replay((1, 601), (2, 603)))
    assert story.verdicts() == ()
    story.close_at(660)
    assert story.closes() == [(660, 2)]


def test_refused_symbol_is_named():
    story = Story(followed=False)
    session = story.of(BTC).session
    session.connected(0)
    story.receive(instruments())
    assert story.verdicts() == ("refused",)


async def test_sample_of_rest_finds_a_bar_that_differs():
    bar = Bar(BTC, Timeframe.M1, 600 * SECOND, 1.0, 1.0, 1.0, 1.0, 2.0, 1.0, 2)
    story = Story(rest=Served(bars=[bar]))
    story.prints(601, price=1.0)
    story.close_at(660)
    own = story.builder.recent(BTC)
    assert story.feed.witness.on_served(own, {bar.ts_open: bar})[0].detail == "expected 2 trades, found 1"
    assert story.feed.witness.on_served(own, {}) == []


def test_late_trade_changes_no_closed_bar_and_is_told():
    story = Story()
    story.prints(601)
    story.close_at(660)
    story.ears.all("hole")
    story.to(661)
    story.prints(659)
    assert story.builder.late == 1
    assert story.verdicts() == ("late",)
    assert story.closes() == []
    story.close_at(661)
    assert story.closes() == []
