"""Requests: spelt as documented, refused at birth where the venue would surely refuse them."""

import json
import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.orders import OrderType, Purpose, Side, SubmitOrder, TimeInForce
from venue import wire_requests as requests
from venue.wire_requests import (
    AmendParams,
    BatchAdd,
    BatchCancel,
    CancelAll,
    CancelAllAfter,
    CancelParams,
    Conditional,
    EditParams,
    OrderParams,
    Trigger,
)

ONE = Decimal(1)
LIMIT = {"order_type": "limit", "side": Side.BUY, "symbol": "BTC/USD", "order_qty": ONE, "limit_price": ONE}


def sent(params, req_id=None):
    return json.loads(requests.request(params, "T", req_id))


def test_everything_that_an_order_may_say_is_spelt_as_documented():
    order = OrderParams(
        order_type="trailing-stop-limit",
        side=Side.SELL,
        symbol="BTC/USD",
        order_qty=Decimal("1.2"),
        limit_price=Decimal(-10),
        limit_price_type="quote",
        triggers=Trigger(Decimal("1.5"), reference="index", price_type="pct"),
        time_in_force="gtd",
        expire_time="2026-11-27T13:00:00Z",
        effective_time="2026-11-27T12:00:00Z",
        deadline="2026-11-27T12:00:05.000Z",
        order_userref=7,
        reduce_only=True,
        margin=True,
        post_only=False,
        stp_type="cancel_both",
        fee_preference="quote",
        conditional=Conditional(
            "stop-loss-limit", trigger_price=Decimal(28410), limit_price=Decimal("28400.5")
        ),
        validate=False,
        sender_sub_id="desk",
    )
    assert sent(order, 9) == {
        "method": "add_order",
        "params": {
            "order_type": "trailing-stop-limit",
            "side": "sell",
            "symbol": "BTC/USD",
            "order_qty": 1.2,
            "limit_price": -10.0,
            "limit_price_type": "quote",
            "triggers": {"price": 1.5, "reference": "index", "price_type": "pct"},
            "time_in_force": "gtd",
            "expire_time": "2026-11-27T13:00:00Z",
            "effective_time": "2026-11-27T12:00:00Z",
            "deadline": "2026-11-27T12:00:05.000Z",
            "order_userref": 7,
            "reduce_only": True,
            "margin": True,
            "post_only": False,
            "stp_type": "cancel_both",
            "fee_preference": "quote",
            "conditional": {
                "order_type": "stop-loss-limit",
                "trigger_price": 28410.0,
                "limit_price": 28400.5,
            },
            "validate": False,
            "sender_sub_id": "desk",
            "token": "T",
        },
        "req_id": 9,
    }


def test_iceberg_and_cash_orders():
    iceberg = OrderParams(**{**LIMIT, "order_type": "iceberg"}, display_qty=Decimal("0.1"))
    assert sent(iceberg)["params"]["display_qty"] == 0.1
    cash = OrderParams(order_type="market", side=Side.BUY, symbol="BTC/USD", cash_order_qty=Decimal(10))
    assert b'"cash_order_qty":10.0' in requests.request(cash, "T")


@pytest.mark.parametrize(
    "params, expected",
    [
        (
            AmendParams(order_id="O", limit_price=ONE, post_only=True),
            {"order_id": "O", "limit_price": 1.0, "post_only": True},
        ),
        (AmendParams(cl_ord_id="c", order_qty=ONE), {"cl_ord_id": "c", "order_qty": 1.0}),
        (
            EditParams(order_id="O", symbol="BTC/USD", order_qty=ONE),
            {"order_id": "O", "symbol": "BTC/USD", "order_qty": 1.0},
        ),
        (CancelParams(order_id=("A", "B")), {"order_id": ["A", "B"]}),
        (CancelParams(cl_ord_id=("c",)), {"cl_ord_id": ["c"]}),
        (CancelParams(order_userref=(7,)), {"order_userref": [7]}),
        (CancelAll(), {}),
        (CancelAllAfter(60), {"timeout": 60}),
        (BatchCancel(orders=("A", "B")), {"orders": ["A", "B"]}),
        (BatchCancel(orders=("A",), cl_ord_id=("c",)), {"orders": ["A"], "cl_ord_id": ["c"]}),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, dict) else "",
)
def test_other_requests_are_spelt_as_documented(params, expected):
    assert sent(params, 1) == {"method": params.method, "params": {**expected, "token": "T"}, "req_id": 1}


def test_a_batch_names_its_symbol_once():
    leg = OrderParams(**{name: value for name, value in LIMIT.items() if name != "symbol"})
    params = sent(BatchAdd(orders=(leg, leg), symbol="BTC/USD", deadline="D"))["params"]
    assert (params["symbol"], params["deadline"]) == ("BTC/USD", "D")
    assert params["orders"] == 2 * [
        {"order_type": "limit", "side": "buy", "order_qty": 1.0, "limit_price": 1.0}
    ]


def order(**changes):
    values = {**LIMIT, **changes}
    return OrderParams(**{name: value for name, value in values.items() if value is not None})


LEG = order(symbol=None)


@pytest.mark.parametrize(
    "make, expected",
    [
        (lambda: order(order_qty=None), "order_qty or cash_order_qty"),
        (lambda: order(cash_order_qty=ONE), "order_qty or cash_order_qty"),
        (lambda: order(order_qty=None, cash_order_qty=ONE), "market buy without margin"),
        (lambda: order(limit_price=None), "a limit price on limit"),
        (lambda: order(order_type="stop-loss"), "a trigger price on stop-loss"),
        (lambda: order(order_type="trailing-stop", triggers=Trigger(ONE)), "positive pct or quote"),
        (lambda: order(order_type="trailing-stop", triggers=Trigger(-ONE, price_type="pct")), "positive pct"),
        (lambda: order(time_in_force="gtd"), "an expire_time with gtd"),
        (lambda: order(expire_time="2026-11-27T13:00:00Z"), "an expire_time with gtd"),
        (lambda: order(cl_ord_id="c", order_userref=1), "one of cl_ord_id and order_userref"),
        (lambda: order(cl_ord_id="c", conditional=Conditional("limit", limit_price=ONE)), "no cl_ord_id"),
        (lambda: order(display_qty=ONE), "an iceberg showing a fifteenth"),
        (lambda: order(order_type="iceberg", display_qty=Decimal("0.01")), "an iceberg showing a fifteenth"),
        (lambda: requests.request(LEG, "T"), "a symbol on an order of its own"),
        (AmendParams, "either order_id or cl_ord_id"),
        (lambda: AmendParams(order_id="O", cl_ord_id="c"), "either order_id or cl_ord_id"),
        (CancelParams, "an order to cancel"),
        (lambda: CancelAllAfter(86_400), "a timeout of 0 to 86399 s"),
        (lambda: CancelAllAfter(-1), "a timeout of 0 to 86399 s"),
        (lambda: BatchAdd(orders=(LEG,), symbol="BTC/USD"), "2 to 15 orders"),
        (lambda: BatchAdd(orders=(LEG,) * 16, symbol="BTC/USD"), "2 to 15 orders"),
        (lambda: BatchAdd(orders=(LEG, order()), symbol="BTC/USD"), "symbol, deadline and validate"),
        (lambda: BatchCancel(orders=("A",)), "2 to 50 orders"),
        (lambda: BatchCancel(orders=("A",) * 51), "2 to 50 orders"),
    ],
)
def test_what_the_venue_would_refuse_is_never_built(make, expected):
    with pytest.raises(ValueError, match=f"expected .*{expected}"):
        make()


NUMBER = re.compile(rb'":(-?[0-9][^,}\]]*)')
amounts = st.decimals(min_value="1e-12", max_value="1e12", allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(
        [OrderType.LIMIT, OrderType.MARKET, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT]
    ),  # what the daemon sends
    side=st.sampled_from(Side),
    quantity=amounts,
    price=amounts,
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_numbers_of_any_order_are_plain_and_exact(kind, side, quantity, price, flags):
    waits = kind.startswith(("stop-loss", "take-profit"))
    limited = kind.endswith("limit") or kind is OrderType.ICEBERG
    submit = SubmitOrder(
        account="main",
        trader="a",
        cl_ord_id="SMaa1",
        instrument="BTC/USD",
        side=side,
        quantity=quantity,
        order_type=kind,
        purpose=Purpose.ENTRY,
        time_in_force=TimeInForce.IOC,
        deadline=1_717_409_100_123_999_999,
        limit_price=price if limited else None,
        trigger_price=price if waits else None,
        margin=flags[0],
        reduce_only=flags[1],
        post_only=flags[2],
    )
    frame = requests.add_order(1, "T", submit)
    numbers = [token for token in NUMBER.findall(frame) if token != b"1"]
    assert numbers
    assert all(b"." in token and b"e" not in token.lower() for token in numbers)
    params = json.loads(frame, parse_float=Decimal)["params"]
    assert params["order_qty"] == quantity
    if waits:
        assert params["triggers"]["price"] == price
        assert "time_in_force" not in params
    assert params.get("limit_price") == (price if limited else None)


def test_a_trailing_order_of_ours_cannot_be_spelt():
    with pytest.raises(ValueError, match="expected a positive pct or quote offset"):
        requests.order_params(
            SubmitOrder(
                account="main",
                trader="a",
                cl_ord_id="SMaa1",
                instrument="BTC/USD",
                side=Side.SELL,
                quantity=ONE,
                order_type=OrderType.TRAILING_STOP,
                purpose=Purpose.STOP,
                time_in_force=TimeInForce.GTC,
                deadline=1_717_409_100_123_999_999,
                trigger_price=ONE,
            )
        )
