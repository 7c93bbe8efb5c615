"""The loopback's own templates against Kraken's documented samples, key by key."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from core.clock import MINUTE, SECOND
from tests.venue.fault_client import Guest
from tests.venue.loopback_client import XRP, Client, public, rest, top, venue_at
from venue.exchange_listing import listed
from venue.loopback_templates import book, checksum, number, units
from venue.market_model import Ladder, Level

SAMPLES = Path(__file__).parents[1] / "golden" / "kraken"


def sample(name):
    return json.loads((SAMPLES / f"{name}.json").read_text())


def keys(value, depth=3):
    """Every key of an object and of the objects inside, lists by their first element."""
    if isinstance(value, list):
        return keys(value[0], depth) if value else set()
    if not isinstance(value, dict) or depth == 0:
        return set()
    inner = {f"{name}.{key}" for name, body in value.items() for key in keys(body, depth - 1)}
    return set(value) | inner


def assert_shaped(ours, name, *, pick=lambda body: body, without=frozenset()):
    missing = keys(pick(sample(name))) - keys(ours) - set(without)
    assert not missing, f"{name}: documented keys that the loopback leaves out: {sorted(missing)}"


def traded_client():
    venue, clock = venue_at()
    client = Client(venue, clock, account="paper")
    snapshot = client.subscribed("executions")
    client.ask("subscribe", channel="balances")
    _, ask = top(venue)
    order = {"order_type": "limit", "side": "buy", "symbol": XRP, "order_qty": 50.0, "margin": True}
    client.ask("add_order", 1, **order, limit_price=float(ask) + 0.01, time_in_force="ioc")
    client.ask("add_order", 2, **order, limit_price=0.4, cl_ord_id="rest")
    return venue, client, snapshot, client.wait(SECOND)


@pytest.mark.parametrize(
    "channel,name",
    [
        ("book", "ws_book_update"),
        ("ticker", "ws_ticker_update"),
        ("trade", "ws_trade_update"),
        ("ohlc", "ws_ohlc_update"),
    ],
)
def test_public_updates(channel, name):
    client = Client(*venue_at())
    client.subscribed(channel, symbol=[XRP])
    update = next(f for f in client.wait(MINUTE) if f.get("channel") == channel)
    assert_shaped(update, name)


@pytest.mark.parametrize("channel,params", [("book", {}), ("trade", {"snapshot": True}), ("instrument", {})])
def test_acks_and_snapshots(channel, params):
    client = Client(*venue_at())
    request = params if channel == "instrument" else {"symbol": [XRP], **params}
    ack, snapshot = client.subscribed(channel, **request)
    first = sample(f"ws_{channel}_subscribe_ack")
    assert_shaped(
        ack,
        f"ws_{channel}_subscribe_ack",
        pick=lambda b: b[0] if isinstance(first, list) else b,
        without={"req_id"},
    )
    assert_shaped(snapshot, f"ws_{channel}_snapshot")


def test_status_heartbeat_and_pong():
    client = Guest(*venue_at())
    (status,) = client.frames()
    assert_shaped(status, "ws_status")
    client.subscribed("instrument")
    client.venue.public.heartbeat()
    assert client.frames() == [sample("ws_heartbeat")]


def test_private_frames():
    _, client, snapshot, frames = traded_client()
    assert_shaped(snapshot[0], "ws_executions_subscribe_ack")
    ack = next(f for f in frames if f.get("method") == "add_order")
    assert_shaped(ack, "ws_add_order_response", without={"result.order_userref"})
    reports = [f for f in frames if f.get("channel") == "executions"]
    for number_of, kind in enumerate(("pending_new", "new", "trade")):
        ours = next(f for f in reports if f["data"][0]["exec_type"] == kind)
        assert_shaped(
            ours,
            "ws_executions_updates",
            pick=lambda body, n=number_of: body[n],
            without={"data.stop_price", "data.order_type"},
        )
    line = next(f for f in frames if f.get("channel") == "balances")
    assert_shaped(line, "ws_balances_updates_trade")
    client.ask("cancel_order", 3, cl_ord_id=["rest"])
    assert_shaped(client.wait(SECOND)[0], "ws_cancel_order_responses")
    client.ask("add_order", 4, order_type="limit", side="buy", symbol=XRP, order_qty=1e9, limit_price=0.4)
    assert_shaped(client.wait(SECOND)[0], "ws_add_order_response_error")


@pytest.mark.parametrize(
    "method,name,row",
    [
        ("OpenOrders", "rest_open_orders", "open"),
        ("ClosedOrders", "rest_closed_orders", "closed"),
        ("TradesHistory", "rest_trades_history", "trades"),
        ("OpenPositions", "rest_open_positions", None),
        ("GetWebSocketsToken", "rest_get_websockets_token", None),
    ],
)
def test_private_rest(method, name, row):
    venue, *_ = traded_client()
    ours, theirs = rest(venue, method, docalcs="true"), sample(name)["result"]
    if row:
        ours, theirs = ours[row], theirs[row]
    if method != "GetWebSocketsToken":
        ours, theirs = next(iter(ours.values())), next(iter(theirs.values()))
    assert keys(theirs) - keys(ours) <= {"trigger", "trades"}


def test_public_rest():
    venue, _ = venue_at()
    theirs = sample("rest_asset_pairs")["result"]["XXBTZUSD"]
    assert set(theirs) <= set(public(venue, "AssetPairs")["XRPUSDT"])
    assert set(sample("rest_time")["result"]) == set(public(venue, "Time"))
    row = next(iter(sample("rest_ohlc")["result"].values()))[0]
    ours = public(venue, "OHLC", pair=XRP)["XRPUSDT"][0]
    assert [type(value) for value in ours] == [type(value) for value in row]


def test_checksum_is_the_documented_one():
    frame = sample("ws_book_snapshot")["data"][0]

    def levels(side):
        return tuple(Level(round(v["price"] * 10**4), round(v["qty"] * 10**8)) for v in frame[side])

    assert checksum(Ladder(0, levels("bids"), levels("asks"))) == frame["checksum"]


def test_update_removes_what_left_the_middle_and_fills_in_what_entered():
    xrp = listed([XRP])[XRP]
    asks = (Level(200, 5), Level(201, 5), Level(202, 5))
    before = Ladder(0, (Level(100, 1), Level(99, 2), Level(98, 3)), asks)
    gone = json.loads(book(xrp, Ladder(1, (Level(99, 2), Level(98, 3)), asks), 2, before))["data"][0]
    assert gone["bids"] == [{"price": 0.01, "qty": 0.0}, {"price": 0.0098, "qty": 3e-08}]
    assert gone["asks"] == []
    better = (Level(101, 9), Level(100, 1), Level(99, 2))
    pushed = json.loads(book(xrp, Ladder(1, better, asks), 2, before))["data"][0]
    assert pushed["bids"] == [{"price": 0.0101, "qty": 9e-08}]
    assert book(xrp, before, 2, before) == ""


def test_numbers_keep_their_digits_and_never_have_exponents():
    assert bytes(number(Decimal("0E-8"))) == b"0.00000000"
    assert bytes(number(Decimal(5))) == b"5.0"
    assert [units(5, 8), units(123456, 2), units(12, 0)] == ["0.00000005", "1234.56", "12"]
