"""What a public session makes of trades, books, quotes and odd frames."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import MINUTE, SECOND
from tests.venue.market_frames import (
    BTC,
    ETH,
    STAMP,
    ack,
    alive,
    beat,
    book_frame,
    candle,
    connected,
    frame,
    instruments,
    pair,
    ready,
    reconnected,
    small,
    snapshot,
    ticker,
    trade,
    wanted,
)
from venue.prints import TradeGap
from venue.public import Following, Lost, Prints
from venue.session import Dead, Ignored, Ready


def test_trades_come_once_and_gaps_are_told():
    session = ready()
    (prints,) = session.receive(trade(7), 1)
    assert prints.trades[0].trade_id == 7
    assert prints.trades[0].price == Decimal(50000)
    assert session.receive(trade(7), 2) == []
    assert session.receive(trade(6), 2) == []
    assert session.counters["repeated trade"] == 2
    gap, prints = session.receive(trade(10), 3)
    assert gap == TradeGap(BTC, 7, 10, 1695628177708706000, 1695628177708706000)
    assert isinstance(prints, Prints)
    assert isinstance(session.receive(trade(11), 4)[0], Prints)


def test_first_snapshot_is_only_where_to_count_from():
    session = ready()
    assert session.receive(snapshot(5, 6), 1) == []
    (gap, _) = session.receive(trade(8), 2)
    assert (gap.last_id, gap.next_id) == (6, 8)


def test_trades_missed_by_a_reconnect_come_with_its_snapshot():
    session = ready()
    session.receive(trade(70), 1)
    events = reconnected(session)
    assert Following(BTC, True) not in events
    assert Ready() not in events
    prints, following, up = session.receive(snapshot(72, 71, 70, 69), 3)
    assert [one.trade_id for one in prints.trades] == [71, 72]
    assert prints.replayed
    assert (following, up) == (Following(BTC, True), Ready())
    (prints,) = session.receive(trade(73), 4)
    assert not prints.replayed


def test_hole_before_the_snapshot_is_told():
    session = ready()
    session.receive(trade(70), 1)
    reconnected(session)
    gap, prints, following, _ = session.receive(snapshot(80, 81), 3)
    assert (gap.last_id, gap.next_id) == (70, 80)
    assert [one.trade_id for one in prints.trades] == [80, 81]
    assert following == Following(BTC, True)


def test_missing_trade_snapshot_is_asked_for_again_and_holds_up_nobody():
    session = ready(BTC, ETH)
    session.receive(trade(70), 1)
    assert Following(ETH, False) in reconnected(session, 1)
    session.outgoing()
    session.on_time(5 * SECOND)
    assert wanted(session) == [("unsubscribe", "trade", [BTC]), ("subscribe", "trade", [BTC])]
    events = beat(session, 20 * SECOND, start=6 * SECOND)
    assert Lost("trade", BTC, "not confirmed in 10 s", False) in events
    assert Ready() in events


def test_ids_that_begin_anew_after_a_reconnect_are_believed_once():
    session = ready()
    session.receive(trade(70), 1)
    session.connected(2)
    later = STAMP.replace("T07", "T08")
    assert session.receive(trade(4), 3) == []  # no newer than what is known: a repetition
    gap, prints = session.receive(trade(5, stamp=later), 3)
    assert (gap.last_id, gap.next_id, prints.trades[0].trade_id) == (0, 5, 5)
    assert session.receive(trade(3, stamp=later), 4) == []


@pytest.mark.parametrize(
    "odd", [{"price": 0.0}, {"qty": -1.0}, {"qty": 0.0}, {"stamp": "soon"}, {"price": 1e300}]
)
def test_impossible_trade_is_dropped_counted_and_told_once(odd):
    session = ready()
    assert [type(event) for event in session.receive(trade(7, **odd), 1)] == [Ignored]
    assert session.receive(trade(8, **odd), 1) == []
    assert session.counters["impossible trade"] == 2


def test_quote_follows_the_verified_book():
    session = ready()
    (top,) = session.receive(book_frame(bids=[(50000.5, 3.0)], asks=[(50001.5, 1.0)]), 1)
    assert (top.quote.bid, top.quote.ask) == (Decimal("50000.5"), Decimal("50001.5"))
    assert top.quote.ts_event == 1695628177708706000


def test_bad_checksum_fetches_that_symbol_only():
    session = ready(BTC, ETH)
    events = session.receive(book_frame(BTC, kind="update", spoil=1), 1)
    assert events == [Lost("book", BTC, "checksum", False)]
    assert wanted(session) == [("unsubscribe", "book", [BTC]), ("subscribe", "book", [BTC])]
    assert session.receive(book_frame(BTC, kind="update"), 2) == []  # of the former subscription
    assert [type(event).__name__ for event in session.receive(book_frame(ETH), 2)] == ["TopMoved"]
    assert [type(event).__name__ for event in session.receive(book_frame(BTC), 3)] == ["TopMoved"]


def test_crossed_book_is_fetched_anew():
    session = ready()
    (lost,) = session.receive(book_frame(bids=[(50002.0, 1.0)], asks=[(50001.0, 1.0)]), 1)
    assert lost == Lost("book", BTC, "crossed", False)


def test_book_that_fails_again_waits_longer_and_is_given_up():
    session = ready()
    now, waits = SECOND, []
    for _ in range(session.max_resyncs):
        (lost,) = session.receive(book_frame(spoil=1), now)
        assert not lost.degraded
        asked = now
        while not any(one[0] == "subscribe" for one in wanted(session)):
            now += SECOND
            session.receive(b'{"channel":"heartbeat"}', now)
            session.on_time(now)
        waits.append((now - asked) // SECOND)
    assert waits == [0, 4, 8, 16, 32]
    (lost,) = session.receive(book_frame(spoil=1), now)
    assert lost.degraded
    assert [one[:2] for one in wanted(session)] == [("unsubscribe", "book"), ("subscribe", "ticker")]
    session.receive(ack("ticker", BTC), now)
    (top,) = session.receive(ticker(), now)  # level 1 stands in
    assert top.quote.bid == 50000
    alive(session, now + 800 * SECOND, start=now)
    assert wanted(session) == []
    alive(session, now + 901 * SECOND, start=now + 800 * SECOND)
    assert wanted(session) == [("subscribe", "book", [BTC])]
    session.receive(book_frame(), now + 901 * SECOND)
    assert wanted(session) == [("unsubscribe", "ticker", [BTC])]


def test_good_minutes_forgive_old_faults():
    session = ready()
    session.receive(book_frame(spoil=1), 1)
    session.receive(book_frame(), 2)
    session.receive(book_frame(kind="update", spoil=1), 11 * MINUTE)
    assert [one[0] for one in wanted(session)] == ["unsubscribe", "subscribe"] * 2


def test_missing_snapshot_after_a_resync_is_a_fault():
    session = ready()
    session.receive(book_frame(spoil=1), 0)
    session.outgoing()
    (lost,) = beat(session, 30 * SECOND)
    assert lost == Lost("book", BTC, "no snapshot in 10 s", False)


@pytest.mark.parametrize(
    "odd, kind",
    [
        (b"<html>520</html>", "malformed"),
        (b'{"channel":"weather","data":[]}', "unknown channel"),
        (b'{"channel":"ohlc","data":[]}', "malformed"),
        (ticker(symbol="ADA/USD"), "stray ticker"),
        (b'{"channel":"executions","type":"update","data":[],"sequence":1}', "private"),
        (book_frame("ADA/USD"), "stray book"),
        (instruments({**pair(BTC), "price_increment": 0.0}, kind="update"), "impossible instrument"),
        (instruments({**pair(BTC), "qty_increment": "NaN"}, kind="update"), "impossible instrument"),
        (instruments({**pair(BTC), "qty_precision": 10**30}, kind="update"), "impossible instrument"),
    ],
)
def test_odd_frames_are_ignored_counted_and_told_once(odd, kind):
    session = ready()
    assert [type(event) for event in session.receive(odd, 1)] == [Ignored]
    assert session.receive(odd, 2) == []
    assert session.counters[kind] == 2


known_frames = st.sampled_from(
    [
        instruments(pair(BTC)),
        ack("trade", BTC),
        ack("book", BTC),
        book_frame(),
        book_frame(spoil=1),
        book_frame(kind="update"),
        trade(1),
        trade(5),
        snapshot(1, 5),
        candle(),
        b'{"channel":"heartbeat"}',
        b"garbage",
        frame({"method": "subscribe", "success": False, "error": "no", "symbol": BTC}),
    ]
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(known_frames, st.integers(0, 4)), max_size=25))
def test_quotes_come_only_from_a_trusted_book(steps):
    """Whatever order frames come in: nothing crashes, and no quote follows a fault unseen."""
    session = connected()
    now, trusted = 0, False
    for raw, seconds in steps:
        now += seconds * SECOND
        events = session.on_time(now) + session.receive(raw, now)
        for event in events:
            if isinstance(event, Lost):
                trusted = False
            elif type(event).__name__ == "TopMoved":
                assert trusted or b"snapshot" in raw
                trusted = True
        if any(isinstance(event, Dead) for event in events):
            session.connected(now)
            trusted = False


def test_promotion_keeps_level_one_until_the_book_speaks():
    session = small(BTC, ETH)
    session.play([BTC])
    assert wanted(session) == [("subscribe", "book", [BTC])]
    assert session.receive(ack("book", BTC), 1) == []
    assert [type(one).__name__ for one in session.receive(ticker(), 1)] == ["TopMoved"]
    assert [type(one).__name__ for one in session.receive(book_frame(), 2)] == ["TopMoved"]
    assert wanted(session) == [("unsubscribe", "ticker", [BTC])]


def test_demotion_keeps_the_book_until_level_one_is_confirmed():
    session = small(BTC, ETH, books=[BTC])
    session.play([])
    assert wanted(session) == [("subscribe", "ticker", [BTC])]
    assert [type(one).__name__ for one in session.receive(book_frame(kind="update"), 1)] == ["TopMoved"]
    session.receive(ack("ticker", BTC), 2)
    assert wanted(session) == [("unsubscribe", "book", [BTC])]
    assert [type(one).__name__ for one in session.receive(ticker(), 3)] == ["TopMoved"]


def test_crossed_level_one_is_no_quote_and_fetched_anew():
    session = small(BTC, ETH)
    assert session.receive(ticker(bid=5.0, ask=4.0), 1) == [Lost("ticker", BTC, "crossed", False)]
    assert wanted(session) == [("unsubscribe", "ticker", [BTC]), ("subscribe", "ticker", [BTC])]


def test_market_without_a_side_has_no_quote():
    session = small(BTC, ETH)
    row = {"symbol": BTC, "bid": 5.0, "bid_qty": 1.0}
    assert session.receive(frame({"channel": "ticker", "type": "update", "data": [row]}), 1) == []
