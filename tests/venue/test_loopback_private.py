"""The loopback venue's private desk: orders, executions, balances and tokens, without sockets."""

from decimal import Decimal

import pytest

from core.clock import MINUTE, SECOND
from core.text import parse_iso
from tests.venue.loopback_client import (
    Client,
    margin_order,
    rest,
    rows,
    top,
    venue_at,
)


def test_order_lifecycle_is_told_in_deltas_with_a_sequence():
    venue, clock = venue_at()
    client = Client(venue, clock, account="paper")
    frames = client.subscribed("executions")
    assert frames[-1] == {"channel": "executions", "type": "snapshot", "data": [], "sequence": 1}
    _, ask = top(venue)
    order = margin_order(limit_price=float(ask) + 0.01, cl_ord_id="mine", time_in_force="ioc")
    assert client.ask("add_order", 5, **order) == []
    ack, *news = client.wait(SECOND // 10)
    assert (ack["req_id"], ack["success"], ack["result"]["cl_ord_id"]) == (5, True, "mine")
    assert [frame["sequence"] for frame in news] == list(range(2, 2 + len(news)))
    pending, new, fill, done = rows(news)
    assert (pending["exec_type"], pending["cl_ord_id"], pending["time_in_force"]) == (
        "pending_new",
        "mine",
        "IOC",
    )
    assert set(new) == {"order_id", "order_userref", "timestamp", "exec_type", "order_status"}
    assert (fill["exec_type"], fill["order_status"]) == ("trade", "partially_filled")
    assert (fill["last_qty"], fill["liquidity_ind"], fill["fees"][0]["asset"]) == (100, "t", "USDT")
    assert "cl_ord_id" not in fill
    assert (done["exec_type"], done["order_status"], done["cum_qty"]) == ("filled", "filled", 100)


def test_orders_and_positions_outlive_the_client():
    venue, clock = venue_at()
    client = Client(venue, clock, account="paper")
    client.subscribed("executions")
    bid, ask = top(venue)
    client.ask("add_order", **margin_order(limit_price=float(ask) + 0.01, time_in_force="ioc"))
    client.ask(
        "add_order",
        **margin_order(
            side="sell",
            order_type="stop-loss",
            triggers={"price": round(float(bid) * 0.9, 4)},
            reduce_only=True,
            cl_ord_id="stop",
        ),
    )
    client.wait(SECOND)
    venue.private.closed(client.connection)
    again = Client(venue, clock, account="paper")
    (row,) = rows(again.subscribed("executions", snap_trades=False))
    assert (row["cl_ord_id"], row["exec_type"], row["triggers"]["status"]) == (
        "stop",
        "pending_new",
        "untriggered",
    )
    (held,) = rest(venue, "OpenPositions").values()
    assert (held["type"], Decimal(held["vol"]), held["pair"]) == ("buy", 100, "XRPUSDT")
    fills = rows(again.ask("subscribe", channel="executions", snap_trades=True, snap_orders=False))
    assert [f["order_status"] for f in fills] == ["filled"]
    assert Client(venue, clock, account="other").subscribed("executions")[-1]["data"] == []


def test_cancel_answers_once_per_order_and_unknown_ids_fail():
    venue, clock = venue_at()
    client = Client(venue, clock, account="paper")
    client.subscribed("executions")
    for cid in ("a", "b"):
        client.ask("add_order", **margin_order(limit_price=0.4, cl_ord_id=cid))
    client.wait(SECOND)
    client.ask("cancel_order", 9, cl_ord_id=["a", "b", "c"])
    frames = client.wait(SECOND)
    acks = [f for f in frames if "method" in f]
    assert [(a["req_id"], a["success"]) for a in acks] == [(9, True), (9, True), (9, False)]
    assert acks[2]["error"] == "EOrder:Unknown order"
    assert [r["reason"] for r in rows(frames)] == ["User requested"] * 2


def test_amend_cancel_all_and_the_switch():
    venue, clock = venue_at()
    client = Client(venue, clock, account="paper")
    client.subscribed("executions")
    client.ask("add_order", **margin_order(limit_price=0.4, cl_ord_id="a"))
    client.wait(SECOND)
    client.ask("amend_order", 3, cl_ord_id="a", limit_price=0.41)
    ack, change = client.wait(SECOND)
    assert (ack["req_id"], ack["result"]["cl_ord_id"]) == (3, "a")
    assert (rows([change])[0]["exec_type"], rows([change])[0]["limit_price"]) == ("amended", Decimal("0.41"))
    client.ask("cancel_all_orders_after", 4, timeout=5)
    (armed,) = client.wait(SECOND)
    assert parse_iso(armed["result"]["triggerTime"]) - parse_iso(armed["result"]["currentTime"]) == 5 * SECOND
    assert rows(client.wait(6 * SECOND))[0]["reason"] == "CancelAllOrdersAfter Timeout"
    client.ask("add_order", **margin_order(limit_price=0.4))
    client.wait(SECOND)
    client.ask("cancel_all", 6)
    counted = [f for f in client.wait(SECOND) if "method" in f]
    assert counted[0]["result"] == {"count": 1}


@pytest.mark.parametrize(
    "change,error",
    [
        ({"leverage": 2}, "Unsupported field: 'leverage' for the given msg type: add order"),
        ({"order_qty": "100"}, "Order_qty field must be a number_float"),
        ({"order_qty": None}, "EGeneral:Invalid arguments:order_qty"),
        ({"side": "up"}, "EGeneral:Invalid arguments:side"),
        ({"cl_ord_id": "nineteen-characters"}, "EGeneral:Invalid arguments:cl_ord_id"),
        ({"deadline": "soon"}, "EGeneral:Invalid arguments:deadline"),
        ({"token": "stolen"}, "ESession:Invalid session"),
    ],
)
def test_unreadable_orders_are_refused_at_once(change, error):
    client = Client(*venue_at(), account="paper")
    client.frames()
    (ack,) = client.ask("add_order", 1, **margin_order(limit_price=0.4) | change)
    assert (ack["success"], ack["error"]) == (False, error)


def test_odd_private_requests_are_refused_with_an_ack():
    client = Client(*venue_at(), account="paper")
    client.frames()
    for method, params in [
        ("cancel_order", {}),
        ("cancel_order", {"order_id": "OXXXXX"}),
        ("cancel_all_orders_after", {"timeout": "60"}),
        ("add_order", {"triggers": 5}),
        ("subscribe", {"channel": "weather"}),
        ("unsubscribe", {"channel": "executions"}),
        ("dance", {}),
    ]:
        (ack,) = client.ask(method, **params)
        assert (ack["method"], ack["success"]) == (method, False)


def test_refused_by_the_exchange_is_an_ack_and_no_execution():
    client = Client(*venue_at(), account="paper")
    client.subscribed("executions")
    client.ask("add_order", 1, **margin_order(limit_price=0.4, order_qty=1e9))
    (ack,) = client.wait(SECOND)
    assert ack["error"] == "EOrder:Insufficient margin"


def test_validate_checks_and_places_nothing():
    client = Client(*venue_at(), account="paper")
    client.frames()
    (ack,) = client.ask("add_order", **margin_order(limit_price=0.4, validate=True))
    assert ack["result"] == {"order_id": ""}
    assert client.wait(SECOND) == []


def test_balances_tell_cash_after_every_trade():
    venue, clock = venue_at()
    client = Client(venue, clock, account="paper")
    (row,) = rows(client.subscribed("balances"), "balances")
    assert (row["asset"], row["balance"]) == ("USDT", 10_000)
    _, ask = top(venue)
    client.ask("add_order", **margin_order(limit_price=float(ask) + 0.01))
    (line,) = rows(client.wait(SECOND), "balances")
    assert (line["category"], line["amount"]) == ("margin-trade", 0)
    assert line["balance"] == 10_000 - line["fee"]


def test_a_spot_trade_moves_two_balances():
    venue, clock = venue_at()
    client = Client(venue, clock, account="paper")
    client.subscribed("balances")
    _, ask = top(venue)
    client.ask("add_order", **margin_order(limit_price=float(ask) + 0.01, margin=False))
    base, quote = rows(client.wait(SECOND), "balances")
    assert (base["asset"], base["amount"], base["balance"]) == ("XRP", 100, 100)
    assert (quote["asset"], quote["ref_id"]) == ("USDT", base["ref_id"])
    assert quote["balance"] == 10_000 + quote["amount"] - quote["fee"]


def test_a_stop_that_fires_says_so_before_it_fills():
    venue, clock = venue_at()
    client = Client(venue, clock, account="paper")
    _, ask = top(venue)
    client.ask("add_order", **margin_order(limit_price=float(ask) + 0.01))
    client.wait(SECOND)
    client.subscribed("executions")
    stop = {"order_type": "stop-loss", "triggers": {"price": float(ask) + 0.01}, "reduce_only": True}
    client.ask("add_order", **margin_order(side="sell", cl_ord_id="stop", **stop))
    told = [row["exec_type"] for row in rows(client.wait(SECOND))]
    assert told == ["pending_new", "status", "new", "trade", "filled"]
    assert rest(venue, "OpenPositions") == {}


def test_tokens_live_fifteen_minutes_unless_held():
    venue, clock = venue_at()
    held, idle = Client(venue, clock, account="paper"), Client(venue, clock, account="paper")
    held.subscribed("executions")
    idle.frames()
    clock.advance_to(clock.now() + 16 * MINUTE)
    assert held.ask("add_order", **margin_order(limit_price=0.4)) == []
    (ack,) = idle.ask("add_order", **margin_order(limit_price=0.4))
    assert ack["error"] == "ESession:Invalid session"
