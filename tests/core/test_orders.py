"""Orders: what is left of one, and when nothing can happen to it any more."""

from decimal import Decimal

from core.orders import Order, OrderState, OrderType, Purpose, Side, SubmitOrder, TimeInForce


def test_what_remains_is_what_did_not_fill():
    submit = SubmitOrder(
        "a",
        "t",
        "SM1",
        "BTC/USD",
        Side.BUY,
        Decimal(3),
        OrderType.LIMIT,
        Purpose.ENTRY,
        TimeInForce.IOC,
        0,
        limit_price=Decimal(1),
    )
    order = Order(submit, OrderState.WORKING, 0, quantity=Decimal(3), filled=Decimal("0.5"))
    assert order.remaining == Decimal("2.5")


def test_four_states_are_final():
    final = {OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED, OrderState.REJECTED}
    assert {state for state in OrderState if state.terminal} == final
