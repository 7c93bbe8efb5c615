"""The private WS desk: every order method, and what executions and balances tell of it."""

from decimal import Decimal

import msgspec
import pytest

from core.clock import HOUR, SECOND
from core.text import iso
from tests.venue.loopback_client import (
    SETTINGS,
    START,
    Client,
    ManualClock,
    margin_order,
    rest,
    rows,
    top,
    venue_at,
)
from venue.exchange_limits import TIERS
from venue.exchange_positions import MarginRules
from venue.exchange_settings import KRAKEN
from venue.loopback import build
from venue.loopback_switches import PrivateSwitches

DEEP = 0.4  # a price that nobody reaches


def switched(**changes):
    clock = ManualClock(START)
    return build(msgspec.structs.replace(SETTINGS, **changes), clock), clock


@pytest.fixture
def client():
    return subscribed(*venue_at())


def subscribed(venue, clock, **params):
    one = Client(venue, clock, account="paper")
    one.subscribed("executions", **params)
    return one


def answered(client, method, **params):
    """Ask, let time pass, and give (acks, execution rows)."""
    frames = client.ask(method, 1, **params) + client.wait(SECOND // 10)
    return [f for f in frames if "method" in f], rows(frames)


def placed(client, **more):
    (ack,), _ = answered(client, "add_order", **margin_order(limit_price=DEEP) | more)
    assert ack["success"], ack
    return ack["result"]


def test_user_references_are_answered_and_cancel_several(client):
    found = [placed(client, order_userref=7) for _ in range(2)] + [placed(client, order_userref=8)]
    assert [r["order_userref"] for r in found] == [7, 7, 8]
    acks, news = answered(client, "cancel_order", order_userref=[7])
    assert [a["result"]["order_id"] for a in acks] == [r["order_id"] for r in found[:2]]
    assert {r["order_userref"] for r in news} == {7}
    acks, _ = answered(client, "cancel_order", order_userref=[7], order_id=[found[2]["order_id"]])
    assert [(a["success"], a["req_id"]) for a in acks] == [(True, 1), (False, 1)]


def test_edit_answers_with_both_ids(client):
    old = placed(client)["order_id"]
    (ack,), news = answered(client, "edit_order", order_id=old, symbol="XRP/USDT", limit_price=0.39)
    assert ack["result"]["original_order_id"] == old
    assert ack["result"]["order_id"] != old
    assert [(r["exec_type"], r["order_id"] == old) for r in news] == [
        ("canceled", True),
        ("pending_new", False),
        ("new", False),
    ]
    assert news[1]["ord_ref_id"] == old
    (ack,), _ = answered(client, "edit_order", order_id=old, symbol="XRP/USDT")
    assert ack["error"] == "EOrder:Unknown order"
    (ack,) = client.ask("edit_order", 1, symbol="XRP/USDT")
    assert ack["error"] == "EGeneral:Invalid arguments:order_id"


LEGS = [
    {"order_type": "limit", "side": "buy", "order_qty": 50.0, "limit_price": DEEP, "cl_ord_id": f"leg{n}"}
    for n in range(3)
]


@pytest.mark.parametrize("as_object", [False, True])
def test_a_batch_answers_as_the_switch_says(as_object):
    client = subscribed(*switched(switches=PrivateSwitches(batch_object=as_object)))
    (ack,), news = answered(client, "batch_add", symbol="XRP/USDT", orders=LEGS)
    legs = ack["result"]["orders"] if as_object else ack["result"]
    assert [leg["cl_ord_id"] for leg in legs] == ["leg0", "leg1", "leg2"]
    assert [r["exec_type"] for r in news] == ["pending_new", "new"] * 3
    (ack,), _ = answered(client, "batch_cancel", orders=[legs[0]["order_id"]], cl_ord_id=["leg1", "nobody"])
    assert ack["result"] == {"count": 2}


def test_a_batch_tells_which_leg_could_not_be_paid(client):
    rich = {**LEGS[1], "order_qty": 10_000_000.0}
    (ack,), _ = answered(client, "batch_add", symbol="XRP/USDT", orders=[LEGS[0], rich])
    assert ack["success"]
    assert ack["result"][1] == {"error": "EOrder:Insufficient funds", "cl_ord_id": "leg1"}
    (ack,), news = answered(client, "batch_add", symbol="XRP/USDT", orders=[rich, {**rich, "cl_ord_id": "x"}])
    assert (ack["error"], news) == ("EOrder:Insufficient funds", [])


@pytest.mark.parametrize(
    "method,params,error",
    [
        ("batch_add", {"orders": LEGS[:1]}, "EGeneral:Invalid arguments:orders"),
        ("batch_add", {"orders": LEGS * 6}, "EGeneral:Invalid arguments:orders"),
        ("batch_add", {"orders": [LEGS[0], 5]}, "EGeneral:Invalid arguments:orders"),
        ("batch_add", {"orders": [LEGS[0], {**LEGS[1], "side": "up"}]}, "EGeneral:Invalid arguments:side"),
        ("batch_cancel", {"orders": ["O1"]}, "EGeneral:Invalid arguments:orders"),
        ("batch_cancel", {"orders": "O1"}, "EGeneral:Invalid arguments:orders"),
        ("cancel_order", {"order_userref": 5}, "EGeneral:Invalid arguments:order_id"),
        ("cancel_all_orders_after", {"timeout": 86_400}, "EGeneral:Invalid arguments:timeout"),
        ("edit_order", {"order_id": "O1", "colour": 1}, None),
        ("add_order", {"conditional": 5}, None),
    ],
)
def test_requests_that_cannot_be_read(client, method, params, error):
    (ack,) = client.ask(method, 1, symbol="XRP/USDT", **params)
    assert not ack["success"]
    assert error in (None, ack["error"])


def test_a_batch_may_be_checked_alone(client):
    (ack,) = client.ask("batch_add", 1, symbol="XRP/USDT", orders=LEGS[:2], validate=True)
    assert ack["result"] == [{"order_id": ""}] * 2
    bad = [LEGS[0], {**LEGS[1], "limit_price": 0.400001}]
    (ack,) = client.ask("batch_add", 1, symbol="XRP/USDT", orders=bad, validate=True)
    assert ack["error"] == "EOrder:Tick size check failed"
    (ack,) = client.ask("add_order", 1, **margin_order(limit_price=0.400001, validate=True))
    assert ack["error"] == "EOrder:Tick size check failed"
    assert client.wait(SECOND) == []


@pytest.mark.parametrize("allowed", [False, True])
def test_leverage_over_the_socket_is_a_switch(allowed):
    client = subscribed(*switched(switches=PrivateSwitches(ws_leverage=allowed)))
    frames = client.ask("add_order", 1, **margin_order(limit_price=DEEP, leverage=2)) + client.wait(SECOND)
    ack = next(f for f in frames if "method" in f)
    assert ack["success"] is allowed
    if allowed:
        (row,) = rest(client.venue, "OpenOrders")["open"].values()
        assert row["descr"]["leverage"] == "2:1"


@pytest.mark.parametrize("wait,error", [(0.1, True), (0.5, False), (60, False), (61, True)])
def test_a_deadline_lies_half_a_second_to_a_minute_ahead(client, wait, error):
    text = iso(client.clock.now() + int(wait * SECOND))
    frames = client.ask("add_order", 1, **margin_order(limit_price=DEEP, deadline=text)) + client.wait(SECOND)
    ack = next(f for f in frames if "method" in f)
    assert ack.get("error") == ("EGeneral:Invalid arguments:deadline" if error else None)


def test_a_conditional_close_is_shown_and_placed_with_the_fill(client):
    _, ask = top(client.venue)
    price = round(float(ask) + 0.01, 4)
    close = {"order_type": "stop-loss-limit", "trigger_price": 0.41, "limit_price": 0.4}
    _, news = answered(client, "add_order", **margin_order(limit_price=price, conditional=close))
    assert news[0]["contingent"] == {
        "order_type": "stop-loss-limit",
        "trigger_price": Decimal("0.41"),
        "trigger_price_type": "static",
        "limit_price": Decimal("0.4"),
        "limit_price_type": "static",
    }
    child = news[-1]
    assert (child["side"], child["order_qty"], child["ord_ref_id"]) == ("sell", 100, news[0]["order_id"])
    assert (child["exec_type"], child["triggers"]["status"]) == ("pending_new", "untriggered")


def test_trailing_stops_icebergs_and_cash_show_their_terms(client):
    stop = {"order_type": "trailing-stop", "triggers": {"price": 5.0, "price_type": "pct"}}
    _, news = answered(client, "add_order", **margin_order(side="sell", **stop))
    triggers = news[0]["triggers"]
    assert (triggers["price"], triggers["price_type"]) == (5, "pct")
    assert triggers["actual_price"] < triggers["peak_price"]
    iceberg = margin_order(order_type="iceberg", limit_price=DEEP, display_qty=10.0)
    _, news = answered(client, "add_order", **iceberg)
    assert (news[0]["display_qty"], news[0]["display_qty_remain"]) == (10, 10)
    cash = {"order_type": "market", "side": "buy", "symbol": "XRP/USDT", "cash_order_qty": 50.0}
    _, news = answered(client, "add_order", **cash)
    assert news[0]["cash_order_qty"] == 50
    filled = next(row for row in news if row["exec_type"] == "filled")
    assert Decimal(49) < filled["cum_cost"] <= 50


def test_only_turning_points_without_order_status():
    client = subscribed(*venue_at(), order_status=False)
    _, ask = top(client.venue)
    _, news = answered(client, "add_order", **margin_order(limit_price=float(ask) + 0.01))
    assert [r["exec_type"] for r in news] == ["new", "filled"]


def test_the_rate_counter_is_told_where_it_is_asked_for():
    client = subscribed(*venue_at(), ratecounter=True)
    _, news = answered(client, "add_order", **margin_order(limit_price=DEEP, cl_ord_id="x"))
    assert {row["ratecount"] for row in news} == {1}
    _, news = answered(client, "cancel_order", cl_ord_id=["x"])
    assert 8 < news[0]["ratecount"] < 9


@pytest.mark.parametrize("tier,most", [("starter", 60), ("pro", 180), (None, 125)])
def test_the_subscription_tells_the_threshold(tier, most):
    rules = msgspec.structs.replace(KRAKEN, tier=TIERS[tier] if tier else None)
    client = Client(*switched(rules=rules), account="paper")
    client.frames()
    ack = client.ask("subscribe", channel="executions")[0]
    assert ack["result"]["maxratecount"] == most


def test_a_rollover_is_a_ledger_line_and_no_execution():
    rules = MarginRules()
    client = Client(*venue_at(), account="paper")
    client.subscribed("executions")
    client.subscribed("balances")
    _, ask = top(client.venue)
    frames = client.ask("add_order", **margin_order(limit_price=float(ask) + 0.01)) + client.wait(SECOND)
    (bought,) = rows(frames, "balances")
    frames = client.wait(4 * HOUR)
    (line,) = rows(frames, "balances")
    assert (line["type"], line["category"], line["amount"]) == ("rollover", "marginrollover", 0)
    cost = next(iter(rest(client.venue, "OpenPositions").values()))["cost"]
    assert abs(line["fee"] - Decimal(cost) * rules.rate("USDT")) < Decimal("1E-7")
    assert line["balance"] == bought["balance"] - line["fee"]
    assert rows(frames) == []


def test_a_scheduled_order_is_new_at_its_time(client):
    start = iso(client.clock.now() + 5 * SECOND)
    _, news = answered(client, "add_order", **margin_order(limit_price=DEEP, effective_time=start))
    assert [r["exec_type"] for r in news] == ["pending_new"]
    assert next(iter(rest(client.venue, "OpenOrders")["open"].values()))["status"] == "pending"
    assert [r["exec_type"] for r in rows(client.wait(6 * SECOND))] == ["new"]


def test_every_amend_has_an_id_of_its_own(client):
    placed(client, cl_ord_id="a")
    ids = set()
    for price in (0.41, 0.42):
        (ack,), _ = answered(client, "amend_order", cl_ord_id="a", limit_price=price)
        ids.add(ack["result"]["amend_id"])
    assert len(ids) == 2
