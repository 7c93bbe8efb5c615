import json
import zlib
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import MINUTE, SECOND
from venue.prints import TradeGap
from venue.public import Following, Listed, Lost, Prints, PublicSession, Refused
from venue.session import Dead, Ignored, Ready

BTC, ETH = "BTC/USD", "ETH/USD"
STAMP = "2023-09-25T07:49:37.708706Z"


def frame(value):
    return json.dumps(value).encode()


def pair(symbol, *, precision=1, status="online", margin="0.2"):
    base, quote = symbol.split("/")
    return {
        "symbol": symbol,
        "base": base,
        "quote": quote,
        "status": status,
        "qty_precision": 8,
        "qty_increment": 1e-08,
        "price_precision": precision,
        "marginable": margin is not None,
        "margin_initial": float(margin) if margin else None,
        "cost_min": 0.5,
        "price_increment": 0.1,
        "qty_min": 0.0001,
    }


def instruments(*pairs, kind="snapshot"):
    return frame({"channel": "instrument", "type": kind, "data": {"assets": [], "pairs": list(pairs)}})


def ack(channel, symbol, **more):
    return frame(
        {"method": "subscribe", "success": True, "result": {"channel": channel, "symbol": symbol}, **more}
    )


def trade(trade_id, *, symbol=BTC, price=50000.0, qty=0.1, stamp=STAMP):
    row = {
        "symbol": symbol,
        "side": "buy",
        "price": price,
        "qty": qty,
        "trade_id": trade_id,
        "timestamp": stamp,
    }
    return frame({"channel": "trade", "type": "update", "data": [row]})


def checksum_of(bids, asks):
    def text(price, quantity):
        return f"{round(price * 10)}{round(quantity * 10**8)}"

    return zlib.crc32("".join(text(*one) for one in (*asks, *bids)).encode())


def book_frame(
    symbol=BTC, *, bids=((50000.0, 1.0),), asks=((50001.0, 2.0),), kind="snapshot", spoil=0, stamp=STAMP
):
    row = {
        "symbol": symbol,
        "bids": [{"price": price, "qty": quantity} for price, quantity in bids],
        "asks": [{"price": price, "qty": quantity} for price, quantity in asks],
        "checksum": checksum_of(bids, asks) + spoil,
        "timestamp": stamp,
    }
    return frame({"channel": "book", "type": kind, "data": [row]})


def ticker(symbol=BTC, *, bid=50000.0, ask=50001.0):
    row = {"symbol": symbol, "bid": bid, "bid_qty": 1.0, "ask": ask, "ask_qty": 2.0, "timestamp": STAMP}
    return frame({"channel": "ticker", "type": "update", "data": [row]})


def candle(symbol=BTC, *, trades=1, begin="2023-09-25T07:49:00.000000000Z"):
    row = {"symbol": symbol, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "trades": trades}
    row |= {"volume": 1.0, "vwap": 1.0, "interval_begin": begin, "interval": 1, "timestamp": STAMP}
    return frame({"channel": "ohlc", "type": "update", "data": [row]})


def sent(session):
    """Requests since the last look, without the order they are written in."""
    return [json.loads(raw) for raw in session.outgoing()]


def wanted(session):
    requests = [request for request in sent(session) if request["method"] != "ping"]
    return [(r["method"], r["params"]["channel"], r["params"].get("symbol")) for r in requests]


def connected(*symbols, now=0, **options):
    session = PublicSession(symbols or (BTC,), **options)
    session.connected(now)
    return session


def ready(*symbols, now=0, **options):
    symbols = symbols or (BTC,)
    session = connected(*symbols, now=now, **options)
    session.receive(instruments(*map(pair, symbols)), now)
    events = []
    for symbol in symbols:
        session.receive(ack("trade", symbol), now)
        session.receive(ack("book", symbol), now)
        events += session.receive(book_frame(symbol), now)
    assert Ready() in events
    session.outgoing()
    return session


def assert_dead(events, match):
    assert len(events) == 1
    assert isinstance(events[0], Dead)
    assert match in events[0].reason


def test_subscribes_to_instruments_first_and_markets_once_listed():
    session = connected(BTC, ETH)
    assert wanted(session) == [("subscribe", "instrument", None)]
    (listed,) = session.receive(instruments(pair(BTC), pair(ETH), pair("ADA/USD")), 1)
    assert [one.symbol for one in listed.instruments] == [BTC, ETH]
    assert wanted(session) == [("subscribe", "trade", [BTC, ETH]), ("subscribe", "book", [BTC, ETH])]


def test_instrument_is_read_in_our_own_words():
    session = connected(BTC, ETH)
    (listed,) = session.receive(instruments(pair(BTC), pair(ETH, margin=None)), 1)
    btc, eth = listed.instruments
    assert (btc.max_leverage, eth.max_leverage) == (5, 1)
    assert btc.quantity_increment == Decimal("1e-8")
    assert btc.minimum_cost == Decimal("0.5")


@pytest.mark.parametrize(
    "margin, leverage", [("0.3333", 3), ("0.33", 3), ("0.1", 10), ("0.05", 20), ("0.5", 2)]
)
def test_leverage_is_the_inverse_of_initial_margin(margin, leverage):
    (listed,) = connected(BTC).receive(instruments(pair(BTC, margin=margin)), 1)
    assert listed.instruments[0].max_leverage == leverage


def test_ready_waits_for_every_confirmation_and_snapshot():
    session = connected(BTC, ETH)
    session.receive(instruments(pair(BTC), pair(ETH)), 1)
    for one in (ack("trade", BTC), ack("trade", ETH), ack("book", BTC), ack("book", ETH), book_frame(BTC)):
        assert Ready() not in session.receive(one, 2)
    assert Ready() in session.receive(book_frame(ETH), 3)
    assert session.trading == {BTC, ETH}


def test_symbols_are_asked_for_in_chunks():
    symbols = [f"A{i}/USD" for i in range(250)]
    session = connected(*symbols)
    session.outgoing()
    session.receive(instruments(*map(pair, symbols)), 1)
    assert [len(symbols) for _, _, symbols in wanted(session)] == [100, 100, 50, 100, 100, 50]


def test_unlisted_symbol_is_refused_and_the_rest_goes_on():
    session = connected(BTC, "NO/PE")
    events = session.receive(instruments(pair(BTC)), 1)
    assert Refused("instrument", "NO/PE", "not listed") in events
    for one in (ack("trade", BTC), ack("book", BTC)):
        session.receive(one, 1)
    assert Ready() in session.receive(book_frame(BTC), 1)


def test_refused_subscription_is_a_fault_of_that_symbol_only():
    session = connected(BTC, ETH)
    session.receive(instruments(pair(BTC), pair(ETH)), 1)
    book_request = next(r for r in sent(session) if r["params"]["channel"] == "book")
    refusal = {"method": "subscribe", "success": False, "error": "no", "req_id": book_request["req_id"]}
    events = session.receive(frame({**refusal, "symbol": ETH}), 1)
    assert events == [Refused("book", ETH, "no")]
    session.on_time(2)
    assert wanted(session) == [("subscribe", "ticker", [ETH])]  # its best prices come from level 1
    for one in (ack("trade", BTC), ack("book", BTC), ack("trade", ETH), ack("ticker", ETH)):
        session.receive(one, 3)
    assert Ready() in session.receive(book_frame(BTC), 3)


def test_refusal_without_symbol_counts_for_the_whole_request():
    session = connected(BTC)
    session.receive(instruments(pair(BTC)), 1)
    book_request = next(r for r in sent(session) if r["params"]["channel"] == "book")
    refusal = {"method": "subscribe", "success": False, "req_id": book_request["req_id"]}
    events = session.receive(frame({**refusal, "error": "Subscription depth not supported"}), 1)
    assert events == [Refused("book", BTC, "Subscription depth not supported")]


def test_nothing_accepted_cuts_the_link():
    session = connected(BTC)
    events = session.receive(instruments(), 1)
    assert isinstance(events[-1], Dead)


@pytest.mark.parametrize(
    "answer",
    [
        {"Error": "Exceeded msg rate"},
        {"method": "subscribe", "success": False, "error": "Unsupported event", "req_id": 1},
        {"method": "subscribe", "success": False, "error": "unnamed"},
    ],
)
def test_refusal_of_the_ground_cuts_the_link(answer):
    assert_dead(connected(BTC).receive(frame(answer), 1), "refused")


def test_answers_without_consequence():
    session = ready()
    assert session.receive(frame({"method": "pong", "req_id": 9}), 1) == []
    assert session.receive(frame({"method": "unsubscribe", "success": True, "result": {}}), 1) == []
    refused = frame({"method": "unsubscribe", "success": False, "error": "Subscription Not Found"})
    assert [type(event) for event in session.receive(refused, 1)] == [Ignored]


def test_missing_confirmation_cuts_the_link_after_ten_seconds():
    session = connected(BTC)
    session.receive(instruments(pair(BTC)), 0)
    session.receive(ack("trade", BTC), 8 * SECOND)
    assert session.on_time(9 * SECOND) == []
    assert_dead(session.on_time(10 * SECOND), "('book', 'BTC/USD')")


def test_silence_cuts_the_link_and_heartbeats_prevent_it():
    session = ready()
    for second in range(1, 12):
        assert session.receive(b'{"channel":"heartbeat"}', second * SECOND) == []
        assert session.on_time(second * SECOND) == []
    assert session.heard == 11 * SECOND
    assert session.on_time(17 * SECOND) == []
    assert_dead(session.on_time(17 * SECOND + 1), "nothing heard for 6.0 s")


def test_pings_keep_the_connection():
    session = ready()
    session.receive(b'{"channel":"heartbeat"}', 19 * SECOND)
    session.on_time(19 * SECOND)
    assert sent(session) == []
    session.on_time(20 * SECOND)
    assert [request["method"] for request in sent(session)] == ["ping"]
    session.on_time(21 * SECOND)
    assert sent(session) == []


def test_request_ids_never_start_again():
    session = ready()
    session.connected(MINUTE)
    (request,) = sent(session)
    assert request["req_id"] > 3


def beat(session, until, step=5 * SECOND, start=0):
    """Heartbeats only: the socket lives, the channels say nothing."""
    for now in range(start, until, step):
        session.receive(b'{"channel":"heartbeat"}', now)
        if events := session.on_time(now):
            return events
    return []


def alive(session, until, step=5 * SECOND, start=0):
    """Time in which level 1 says the same again and again."""
    for now in range(start, until, step):
        session.receive(ticker(), now)
        session.on_time(now)


def test_channel_that_went_quiet_on_a_live_socket_cuts_the_link():
    assert beat(ready(), 60 * SECOND) == []
    assert_dead(beat(ready(), 70 * SECOND), "book channel silent for 65 s")
    assert_dead(beat(ready(book_stale_s=9e9, trade_stale_s=20.0), 70 * SECOND), "trade channel silent")


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


def snapshot(*ids, symbol=BTC):
    rows = [json.loads(trade(number, symbol=symbol))["data"][0] for number in ids]
    return frame({"channel": "trade", "type": "snapshot", "data": rows})


def reconnected(session, now=1, *symbols):
    """A new connection with everything acknowledged but trade snapshots."""
    session.connected(now)
    symbols = symbols or session.symbols
    events = session.receive(instruments(*map(pair, symbols)), now)
    for symbol in symbols:
        for one in (ack("trade", symbol), ack("book", symbol), book_frame(symbol)):
            events += session.receive(one, now)
    return events


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


def test_changed_grid_is_told_and_changed_precision_fetches_the_book():
    session = ready()
    (listed,) = session.receive(instruments(pair(BTC, status="reduce_only"), kind="update"), 1)
    assert isinstance(listed, Listed)
    assert wanted(session) == []
    _, lost = session.receive(instruments(pair(BTC, precision=2), kind="update"), 2)
    assert lost == Lost("book", BTC, "precision changed", False)
    assert wanted(session) == [("unsubscribe", "book", [BTC]), ("subscribe", "book", [BTC])]
    assert session.receive(instruments(kind="update"), 3) == []


@pytest.mark.parametrize("margin, leverage", [("NaN", 1), (1e-300, 1), (0, 1), (0.3333, 3), (None, 1)])
def test_leverage_follows_from_a_margin_that_can_be(margin, leverage):
    listed = instruments({**pair(BTC), "margin_initial": margin})
    events = connected().receive(listed, 1)
    assert events[0].instruments[0].max_leverage == leverage


def test_status_word_is_passed_on():
    status = {
        "channel": "status",
        "type": "update",
        "data": [{"system": "cancel_only", "connection_id": 2**63 + 1}],
    }
    assert [event.system for event in connected().receive(frame(status), 1)] == ["cancel_only"]


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


def small(*symbols, books=(), **options):
    """A session with level 1 for all but `books`, and candles, everything acknowledged."""
    session = connected(*symbols, books=books, candles=True, **options)
    session.receive(instruments(*map(pair, symbols)), 0)
    events = []
    for symbol in symbols:
        for channel in ("trade", "ohlc", "book" if symbol in books else "ticker"):
            events += session.receive(ack(channel, symbol), 0)
        events += session.receive(book_frame(symbol) if symbol in books else ticker(symbol), 0)
    assert Ready() in events
    session.outgoing()
    return session


def test_only_symbols_in_play_have_a_book_and_candles_come_on_request():
    session = connected(BTC, ETH, books=[ETH], candles=True)
    session.receive(instruments(pair(BTC), pair(ETH)), 1)
    assert wanted(session)[1:] == [
        ("subscribe", "trade", [BTC, ETH]),
        ("subscribe", "ticker", [BTC]),
        ("subscribe", "book", [ETH]),
        ("subscribe", "ohlc", [BTC, ETH]),
    ]


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


def test_trade_channel_that_candles_prove_dead_is_fetched_anew_alone():
    session = small(BTC, ETH)
    session.receive(trade(7, symbol=ETH), 1)
    session.receive(candle(ETH), 1)
    session.receive(candle(BTC), 1)
    session.receive(candle(BTC), 2)  # the same candle again is no news
    assert beat(session, 9 * SECOND, step=SECOND) == []
    events = beat(session, 12 * SECOND, step=SECOND, start=9 * SECOND)
    assert events == [Lost("trade", BTC, "silent while other channels tell of trades", False)]
    assert wanted(session) == [("unsubscribe", "trade", [BTC]), ("subscribe", "trade", [BTC])]


def test_repeated_trade_shows_that_its_channel_lives():
    session = small(BTC, ETH)
    session.receive(trade(7), 1)
    session.receive(candle(BTC, trades=1), 1)
    later = 15 * SECOND
    assert beat(session, later, step=SECOND) == []
    session.receive(trade(7), later)  # it was in the snapshot, too
    session.receive(candle(BTC, trades=2), later)
    assert beat(session, later + 12 * SECOND, step=SECOND, start=later) == []


def test_candles_that_trades_prove_dead_are_fetched_anew():
    session = small(BTC, ETH)
    session.receive(trade(7), 1)
    (lost,) = beat(session, 12 * SECOND, step=SECOND)
    assert (lost.channel, lost.instrument) == ("ohlc", BTC)


def test_symbol_that_stays_dead_costs_the_connection_but_not_again_and_again():
    session = small(BTC, ETH, trade_stale_s=9e9, book_stale_s=9e9)
    now, cuts, lost = 0, 0, 0
    for number in range(1, 8):
        session.receive(candle(BTC, trades=number), now)
        events = beat(session, now + 12 * SECOND, step=SECOND, start=now)
        cuts += sum(isinstance(event, Dead) for event in events)
        lost += sum(isinstance(event, Lost) for event in events)
        now += 40 * SECOND
        session.receive(ack("trade", BTC), now)
    assert (cuts, lost >= 4) == (1, True)


def test_many_dead_channels_at_once_are_a_dead_connection():
    symbols = [f"A{i}/USD" for i in range(4)]
    session = small(*symbols)
    for symbol in symbols[:3]:
        session.receive(candle(symbol), 1)
    assert_dead(beat(session, 12 * SECOND, step=SECOND), "3 subscriptions acknowledged but silent")


def test_top_of_book_that_never_moves_under_many_trades_is_fetched_anew():
    session = small(BTC, ETH)
    for number in range(1, 60):
        session.receive(trade(number), number * SECOND)
        session.receive(candle(trades=number), number * SECOND)
        session.receive(ticker(ETH), number * SECOND)
        assert session.on_time(number * SECOND) == []
    session.receive(ticker(ETH), 61 * SECOND)
    (lost,) = session.on_time(61 * SECOND)
    assert (lost.channel, lost.instrument) == ("ticker", BTC)


def test_message_rate_refusal_is_survived_and_asked_again():
    session = connected(BTC)
    session.receive(instruments(pair(BTC)), 0)
    session.receive(ack("trade", BTC), 0)
    session.outgoing()
    assert [type(one) for one in session.receive(frame({"Error": "Exceeded msg rate"}), 1)] == [Ignored]
    session.on_time(4 * SECOND)
    assert wanted(session) == [("subscribe", "book", [BTC])]


def test_subscribing_a_whole_venue_is_spread_over_time():
    symbols = [f"A{i}/USD" for i in range(1500)]
    session = connected(*symbols)
    session.receive(instruments(*map(pair, symbols)), 0)
    assert len(sent(session)) == 1 + 20
    session.on_time(SECOND)
    assert len(wanted(session)) == 10


def test_symbol_whose_book_never_checks_holds_up_nobody():
    session = connected(BTC, ETH)
    session.receive(instruments(pair(BTC), pair(ETH)), 0)
    for one in (ack("trade", BTC), ack("trade", ETH), ack("book", ETH), book_frame(ETH)):
        session.receive(one, 0)
    events = session.receive(book_frame(BTC, spoil=1), 0)
    assert events == [Lost("book", BTC, "checksum", False), Ready()]


def test_few_unconfirmed_symbols_do_not_cut_the_connection():
    symbols = [f"A{i}/USD" for i in range(4)]
    session = connected(*symbols, books=[])
    session.receive(instruments(*map(pair, symbols)), 0)
    for symbol in symbols:
        session.receive(ack("trade", symbol), 0)
    for symbol in symbols[1:]:
        session.receive(ack("ticker", symbol), 0)
    events = beat(session, 12 * SECOND, step=SECOND)
    assert events == [Refused("ticker", "A0/USD", "not confirmed in 10 s"), Ready()]
