"""Prices that an order leaves open until it arrives: relative ones, trailing ones, cash amounts.

Must not know accounts, books or time. Called by the exchange's requests and by its matcher.
Rules: WS v2 `add_order` (`triggers.price_type`, `limit_price_type`, `cash_order_qty`) and REST
`AddOrder` (`price`, `price2` with +, -, # and %), https://docs.kraken.com/api/docs/rest-api/add-order.
"""

from decimal import Decimal

import msgspec

from core.instrument import Instrument
from core.orders import SubmitOrder
from venue.exchange_orders import ExchangeOrder
from venue.exchange_terms import PROFIT, TRAILING, TRIGGERED, Offset, Terms

NO_REFERENCE = "EGeneral:Invalid arguments:price"
"""A relative price before the market has shown any."""


def resolved(
    submit: SubmitOrder, terms: Terms, reference: Decimal | None, instrument: Instrument
) -> SubmitOrder | str:
    """Give the order with absolute prices, or the error text. Trailing prices stay open."""
    trigger, limit = submit.trigger_price, submit.limit_price
    trailing = submit.order_type in TRAILING
    if terms.trigger_offset is not None and not trailing:
        if reference is None:
            return NO_REFERENCE
        away = -submit.side.sign if submit.order_type in PROFIT else submit.side.sign
        trigger = relative(reference, terms.trigger_offset, away, instrument)
    if terms.limit_offset is not None and not trailing:
        base = trigger if submit.order_type in TRIGGERED else reference
        if base is None:
            return NO_REFERENCE
        away = submit.side.sign if submit.order_type in TRIGGERED else -submit.side.sign
        limit = relative(base, terms.limit_offset, away, instrument)
    if (trigger, limit) == (submit.trigger_price, submit.limit_price):
        return submit
    return msgspec.structs.replace(submit, trigger_price=trigger, limit_price=limit)


def relative(base: Decimal, offset: Offset, away: int, instrument: Instrument) -> Decimal:
    """Give a price on the grid at a distance from `base`; `away` is the sign of a `#` distance."""
    distance = offset.distance(base)
    return instrument.price_down(base + (abs(distance) * away if offset.directed else distance))


def follow(order: ExchangeOrder, reference: Decimal, instrument: Instrument) -> bool:
    """Let a trailing trigger follow a better price; tell whether it moved.

    A sell trails below the highest price since it came, a buy above the lowest.
    """
    offset, sign = order.terms.trigger_offset, order.submit.side.sign
    if offset is None or (order.peak is not None and (reference - order.peak) * sign >= 0):
        return False
    order.peak = reference
    trigger = instrument.price_down(reference + abs(offset.distance(reference)) * sign)
    moved, order.trigger_price = trigger != order.trigger_price, trigger
    return moved


def move_trigger(order: ExchangeOrder, price: Decimal, instrument: Instrument) -> None:
    """Set a trigger; of a trailing order the number is its new distance from the best price."""
    offset = order.terms.trigger_offset
    if order.submit.order_type not in TRAILING or offset is None:
        order.trigger_price = price
        return
    wider = Offset(price, offset.percent)
    order.terms = msgspec.structs.replace(order.terms, trigger_offset=wider)
    if order.peak is not None:
        away = abs(wider.distance(order.peak)) * order.submit.side.sign
        order.trigger_price = instrument.price_down(order.peak + away)


def set_trailing_limit(order: ExchangeOrder, instrument: Instrument) -> None:
    """Fix the limit of a trailing-stop-limit order that has just fired."""
    offset, trigger = order.terms.limit_offset, order.trigger_price
    if order.submit.order_type in TRAILING and offset is not None and trigger is not None:
        order.limit_price = relative(trigger, offset, order.submit.side.sign, instrument)


def affordable_with(cash: Decimal, price: Decimal, instrument: Instrument) -> Decimal:
    """Give the quantity that a market buy of this much cash asks for."""
    return instrument.quantity_down(cash / price)
