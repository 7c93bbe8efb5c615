"""How a public session subscribes, is refused, and notices a dead channel or connection."""

from decimal import Decimal

import pytest

from core.clock import MINUTE, SECOND
from tests.venue.market_frames import (
    BTC,
    ETH,
    ack,
    assert_dead,
    beat,
    book_frame,
    candle,
    connected,
    frame,
    instruments,
    pair,
    ready,
    sent,
    small,
    ticker,
    trade,
    wanted,
)
from venue.public import Listed, Lost, Refused
from venue.session import Dead, Ignored, Ready


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


def test_channel_that_went_quiet_on_a_live_socket_cuts_the_link():
    assert beat(ready(), 60 * SECOND) == []
    assert_dead(beat(ready(), 70 * SECOND), "book channel silent for 65 s")
    assert_dead(beat(ready(book_stale_s=9e9, trade_stale_s=20.0), 70 * SECOND), "trade channel silent")


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


def test_only_symbols_in_play_have_a_book_and_candles_come_on_request():
    session = connected(BTC, ETH, books=[ETH], candles=True)
    session.receive(instruments(pair(BTC), pair(ETH)), 1)
    assert wanted(session)[1:] == [
        ("subscribe", "trade", [BTC, ETH]),
        ("subscribe", "ticker", [BTC]),
        ("subscribe", "book", [ETH]),
        ("subscribe", "ohlc", [BTC, ETH]),
    ]


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
