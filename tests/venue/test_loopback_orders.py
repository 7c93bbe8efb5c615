"""Order requests as REST spells them."""

from decimal import Decimal

import pytest

from core.clock import SECOND
from core.orders import OrderType, Side, TimeInForce
from core.text import parse_iso
from venue.loopback_orders import ws_amend
from venue.loopback_rest_orders import rest_submit

FORM = {"type": "buy", "ordertype": "limit", "volume": "1.5", "price": "10.5"}
NOW = parse_iso("2024-06-14T12:00:00Z")


def test_limit_order_reads_price_as_limit():
    form = FORM | {"leverage": "3", "oflags": "post,fciq", "cl_ord_id": "me"}
    order = rest_submit(form, "X/Y", "a", NOW).submit
    assert (order.instrument, order.account, order.side, order.quantity) == (
        "X/Y",
        "a",
        Side.BUY,
        Decimal("1.5"),
    )
    assert (order.limit_price, order.trigger_price) == (Decimal("10.5"), None)
    assert (order.margin, order.post_only, order.cl_ord_id) == (True, True, "me")
    assert (order.time_in_force, order.deadline) == (TimeInForce.GTC, NOW + 5 * SECOND)


def test_stop_reads_price_as_trigger_and_market_has_none():
    stop = rest_submit(FORM | {"ordertype": "stop-loss", "reduce_only": "true"}, "X/Y", "a", NOW).submit
    assert (stop.order_type, stop.limit_price, stop.trigger_price) == (
        OrderType.STOP_LOSS,
        None,
        Decimal("10.5"),
    )
    assert (stop.margin, stop.reduce_only) == (False, True)
    market = rest_submit({"type": "sell", "ordertype": "market", "volume": "1"}, "X/Y", "a", NOW).submit
    assert (market.limit_price, market.trigger_price) == (None, None)


@pytest.mark.parametrize(
    "text,expires", [("0", None), ("", None), ("+30", NOW + 30 * SECOND), ("1718366500", 1718366500 * SECOND)]
)
def test_expiry_is_relative_or_unix(text, expires):
    order = rest_submit(FORM | {"timeinforce": "GTD", "expiretm": text}, "X/Y", "a", NOW).submit
    assert order.expires == expires


@pytest.mark.parametrize(
    "change,field",
    [
        ({"volume": "many"}, "volume"),
        ({"volume": "NaN"}, "volume"),
        ({"volume": "1e999999999"}, "volume"),
        ({"volume": "1e-999999999"}, "volume"),
        ({"price": "#1e999999999%"}, "price"),
        ({"volume": ""}, "volume"),
        ({"ordertype": "iceberg-ish"}, "ordertype"),
        ({"expiretm": "soon"}, "expiretm"),
        ({"cl_ord_id": "with space"}, "cl_ord_id"),
        ({"deadline": "x"}, "deadline"),
    ],
)
def test_unreadable_forms(change, field):
    assert rest_submit(FORM | change, "X/Y", "a", NOW) == f"EGeneral:Invalid arguments:{field}"


def test_amend_reads_either_id_and_refuses_unknown_fields():
    amend, _ = ws_amend(
        {"order_id": "O1", "trigger_price": Decimal(3), "deadline": "2024-06-14T12:00:01.500Z"}, "a", NOW
    )
    assert (amend.cl_ord_id, amend.trigger_price, amend.deadline) == ("O1", Decimal(3), NOW + 3 * SECOND // 2)
    assert (
        ws_amend({"colour": 1}, "a", NOW) == "Unsupported field: 'colour' for the given msg type: amend order"
    )
