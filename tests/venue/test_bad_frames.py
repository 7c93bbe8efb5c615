"""What bad input gets: an answer with a name, never a crash, never a wrong figure, never growth."""

from decimal import Decimal

import msgspec
import pytest

from core.errors import VenueError
from core.market import Timeframe
from tests.venue import market_frames as market
from tests.venue import test_private as account
from tests.venue.loopback_client import XRP, Client, margin_order, public, rows, venue_at
from venue import rest, wire
from venue.loopback_connection import read_request
from venue.loopback_rest_public import RestError
from venue.private import MOST_ORDERS
from venue.public import Prints
from venue.session import Dead, Ignored
from venue.wire_values import countable, datable

BTC = market.BTC


# ---- public ----


@pytest.mark.parametrize(
    "odd, kind",
    [
        (market.trade(5, symbol="ADA/USD"), "stray trade"),
        (market.trade(5, stamp="2300-01-01T00:00:00Z"), "impossible trade"),
        (market.trade(5, stamp="1969-12-31T23:59:59Z"), "impossible trade"),
        (market.trade(5, price="NaN"), "impossible trade"),
        (market.trade(5, qty="sNaN"), "impossible trade"),
        (market.trade(5, price=1e-300), "impossible trade"),
        (market.trade(2**63), "malformed"),
        (b'{"channel":"level3","type":"update","data":[]}', "private"),
        (market.frame({"channel": "ohlc", "type": "update", "data": []}), "stray candle"),
    ],
)
def test_impossible_and_unwanted_news_is_counted_and_told_once(odd, kind):
    session = market.ready()
    assert [type(event) for event in session.receive(odd, 1)] == [Ignored]
    assert session.receive(odd, 2) == []
    assert session.counters[kind] == 2


def test_wanted_rows_of_a_mixed_frame_are_kept():
    session = market.ready()
    good, stray = (
        msg["data"][0] for msg in map(market.json.loads, (market.trade(5), market.trade(6, symbol="X/Y")))
    )
    events = session.receive(market.frame({"channel": "trade", "type": "update", "data": [stray, good]}), 1)
    assert [type(event) for event in events] == [Ignored, Prints]
    assert [trade.instrument for trade in events[1].trades] == [BTC]


def test_a_session_keeps_nothing_of_names_that_strangers_made_up():
    session = market.ready()

    def kept():
        return sum(len(inner) for inner in vars(session).values() if isinstance(inner, dict | set | list))

    session.receive(market.trade(5, symbol="X/Y"), 1)
    before = kept()
    for number in range(500):
        session.receive(market.trade(5, symbol=f"X{number}/Y"), 1)
        session.receive(market.ack("trade", f"X{number}/Y"), 1)
        session.receive(market.book_frame(f"X{number}/Y"), 1)
        session.receive(market.frame({"channel": f"news{number}"}), 1)
    assert kept() <= before + 5


def test_a_giant_name_is_cut():
    (event,) = market.ready().receive(market.frame({"channel": "x" * 100_000}), 1)
    assert len(event.reason) < 200
    refusal = wire.decode(market.frame({"method": "subscribe", "success": False, "error": "E" * 100_000}))
    assert len(refusal.error) == 400


# ---- answers ----


def test_an_outcome_is_never_guessed():
    assert isinstance(
        wire.decode(b'{"method":"add_order","result":{"order_id":"A"},"req_id":1}'), wire.Malformed
    )
    assert isinstance(wire.decode(b'{"success":true}'), wire.Malformed)
    assert wire.decode(b'{"method":"pong","req_id":1}').success


def test_an_id_that_cannot_be_read_spoils_the_answer_and_a_new_field_does_not():
    odd = b'{"method":"add_order","result":{"order_id":7},"success":true,"req_id":1}'
    assert isinstance(wire.decode(odd), wire.Malformed)
    new = b'{"method":"add_order","result":{"order_id":"A","warnings":"text"},"success":true,"req_id":1}'
    assert wire.decode(new).result == wire.AckResult(order_id="A")


@pytest.mark.parametrize(
    "result",
    [
        b'[{"order_id":"A"},{"error":"EOrder:x","success":false}]',
        b'{"orders":[{"order_id":"A"},{"error":"EOrder:x","success":false}]}',
    ],
)
def test_both_shapes_of_a_batch_answer_name_their_legs(result):
    ack = wire.decode(b'{"method":"batch_add","result":' + result + b',"success":true,"req_id":1}')
    assert [(leg.order_id, leg.error) for leg in ack.legs] == [("A", ""), ("", "EOrder:x")]


# ---- private ----


@pytest.mark.parametrize("balance", ["NaN", "Infinity", "sNaN", "1e999999999", "1e-999999999", 10**30])
def test_a_balance_that_is_no_amount_ends_the_connection(balance):
    session = account.ready()
    frame = account.balances({"asset": "USDT", "balance": balance}, sequence=2, kind="update")
    (event,) = session.receive(frame, 1)
    assert isinstance(event, Dead)
    assert "expected amounts" in event.reason


@pytest.mark.parametrize("field", ["order_qty", "cum_qty", "limit_price"])
def test_an_order_with_figures_that_cannot_be_ends_the_connection(field):
    session = account.ready()
    (event,) = session.receive(account.executions(account.full(**{field: "NaN"}), sequence=2), 1)
    assert isinstance(event, Dead)


def test_more_orders_than_an_account_may_have_end_the_connection():
    session = account.ready()
    crowd = [account.full(order_id=f"O{number}", cl_ord_id=f"c{number}") for number in range(MOST_ORDERS + 1)]
    assert isinstance(session.receive(account.executions(*crowd, sequence=2), 1)[-1], Dead)


def test_an_order_keeps_its_first_name():
    session = account.ready()
    for number in range(50):
        session.receive(account.executions(account.full(cl_ord_id=f"c{number}"), sequence=number + 2), 1)
    assert len(session._ids) == 1


def test_channels_that_we_never_asked_for_do_not_make_the_session_ready():
    session = account.connected()
    for channel in ("news", "trade"):
        assert session.receive(account.ack(channel), 1) == []
    assert not session.ready


# ---- REST ----


@pytest.mark.parametrize(
    "body", [b'{"error":[],"result":{"ZUSD":"1\xff"}}', b'{"error":[],"result":' + b"[" * 5000]
)
def test_rest_bytes_that_are_no_answer_blame_the_venue(body):
    with pytest.raises(VenueError, match="expected"):
        rest.result_of(body, dict[str, Decimal])


@pytest.mark.parametrize("amount", ["NaN", "-Infinity", "1e999999999"])
def test_amounts_that_cannot_be_counted_blame_the_venue(amount):
    rows = [[1, "1", "1", "1", amount, "1", "1", 1]] * 2
    with pytest.raises(VenueError, match="expected finite amounts in bars of BTC/USD"):
        rest.bars(BTC, Timeframe.M1, msgspec.convert(rows, list[rest.OhlcRow]))
    with pytest.raises(VenueError, match="expected finite amounts in Balance"):
        rest.vetted({"ZUSD": Decimal(amount)}, "Balance")
    position = {"pair": "XBTUSD", "type": "buy", "vol": "1", "cost": amount}
    with pytest.raises(VenueError, match="expected finite amounts in OpenPositions"):
        rest.vetted({"T": msgspec.convert(position, rest.PositionRow)}, "OpenPositions")


def test_pairs_with_more_decimals_than_a_number_has_are_not_listed():
    pair = b'{"altname":"XY","wsname":"X/Y","ordermin":"1","pair_decimals":%d,"lot_decimals":8}'
    for places in (10**30, 19, -1):
        body = b'{"error":[],"result":{"XY":' + pair % places + b"}}"
        assert rest.instruments(rest.result_of(body, dict[str, rest.Pair])) == {}
    body = b'{"error":[],"result":{"XY":' + pair % 4 + b"}}"
    assert list(rest.instruments(rest.result_of(body, dict[str, rest.Pair]))) == ["X/Y"]


def test_rest_answers_that_are_none_are_told_apart():
    assert rest.errors_of(b'{"a":' * 5000) is None
    assert rest.errors_of(b'{"error":["\xff"]}') is None


# ---- the loopback ----


@pytest.mark.parametrize(
    "text",
    [
        '{"method":"\\ud800"}',
        '{"method":"ping","req_id":NaN}',
        '{"method":"add_order","params":{"order_qty":1e999999999}}',
        '{"method":"add_order","params":{"order_qty":1e-999999999}}',
        '{"method":"add_order","params":{"triggers":{"price":1%s}}}' % ("0" * 30),
        '{"method":"add_order","params":{"order_qty":[1%s]}}' % ("0" * 400),
        *('{"method":"ping","params":' + '{"a":' * deep + "7" + "}" * (deep + 1) for deep in (700, 900, 990)),
        "[" * 50_000,
        '{"params":' * 50_000,
        '{"method":"ping","params":[]}',
        '{"method":"ping","req_id":"1"}',
        '{"method":7}',
        "7",
    ],
)
def test_what_is_no_request_is_none(text):
    assert read_request(text) is None


def test_requests_keep_the_digits_of_their_numbers():
    request = read_request('{"method":"add_order","params":{"order_qty":0.10000000,"limit_price":1}}')
    assert str(request["params"]["order_qty"]) == "0.10000000"
    assert request["params"]["limit_price"] == 1


def test_an_order_of_an_unknown_pair_is_refused_while_others_listen():
    venue, clock = venue_at()
    client = Client(venue, clock, account="paper")
    client.subscribed("executions")
    client.ask("add_order", 5, **margin_order(symbol="NO/SUCH", limit_price=1.0))
    frames = client.wait(100_000_000)
    assert [frame["success"] for frame in frames if "success" in frame] == [False]
    assert all(row["exec_type"] != "new" for row in rows(frames))


@pytest.mark.parametrize("reference", ["9" * 5000, "\u00b2", "-", ""])
def test_a_reference_that_is_no_number_names_no_order(reference):
    venue, clock = venue_at()
    client = Client(venue, clock, account="paper")
    client.subscribed("executions")
    client.ask("cancel_order", 5, order_userref=[reference])
    client.ask("batch_cancel", 6, orders=[reference, "O1"])
    answers = [frame for frame in client.wait(100_000_000) if "success" in frame]
    assert all(not frame["success"] or frame["result"].get("count") == 0 for frame in answers)


def test_a_moment_that_is_no_number_is_refused():
    venue, _ = venue_at()
    for since in ("9" * 5000, "\u00b2", "1.\u0661"):
        with pytest.raises(RestError):
            public(venue, "Trades", pair=XRP, since=since)


def test_a_symbol_named_often_is_subscribed_once():
    venue, clock = venue_at()
    frames = Client(venue, clock).subscribed("ohlc", symbol=[XRP] * 300, interval=5)
    assert [frame["method"] for frame in frames if "method" in frame] == ["subscribe"]


def test_true_is_no_interval():
    venue, clock = venue_at()
    (answer,) = Client(venue, clock).subscribed("ohlc", symbol=[XRP], interval=True)
    assert not answer["success"]


# ---- the rules themselves ----


@pytest.mark.parametrize(
    "text, verdict",
    [
        ("0", True),
        ("0E-8", True),
        ("-12.5", True),
        ("1e17", True),
        ("1e18", False),
        ("1e-31", False),
        ("0e999999999", False),
        ("NaN", False),
        ("-Infinity", False),
    ],
)
def test_amounts_that_can_be_counted(text, verdict):
    assert countable(Decimal(text)) is verdict


def test_no_amount_can_be_counted():
    assert countable(None)


def test_market_events_are_of_this_era():
    assert datable(1)
    assert datable(1_717_409_100_123_999_999)
    assert not datable(0)
    assert not datable(-1)
    assert not datable(2**63)
