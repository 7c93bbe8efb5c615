"""What the exchange refuses, in Kraken's own error texts.

Must not know queues, time or listeners: values in, error text out (empty = allowed). Called by
the exchange at arrival of a request and again when an order is about to fill.
"""

from collections.abc import Mapping
from decimal import Decimal

from core.instrument import Instrument
from core.orders import OrderType, Side, SubmitOrder, TimeInForce
from venue.exchange_account import ExchangeAccount, leverage
from venue.exchange_orders import ZERO, ExchangeOrder

NO_POSITION = "EOrder:Reduce only:No position exists"
UNKNOWN_ORDER = "EOrder:Unknown order"
DEADLINE = "EService:Deadline elapsed"
UNKNOWN_PAIR = "EQuery:Unknown asset pair"
_TRIGGERS = frozenset({OrderType.STOP_LOSS, OrderType.TAKE_PROFIT})


def malformed(order: SubmitOrder, instrument: Instrument) -> str:
    """Check what can be seen from the order and the instrument alone."""
    if order.quantity <= 0 or order.quantity % instrument.quantity_increment != 0:
        return "EGeneral:Invalid arguments:volume"
    if (order.order_type is OrderType.LIMIT) is (order.limit_price is None):
        return "EGeneral:Invalid arguments:price"
    if (order.order_type in _TRIGGERS) is (order.trigger_price is None):
        return "EGeneral:Invalid arguments:trigger"
    if order.post_only and (
        order.order_type is not OrderType.LIMIT or order.time_in_force is TimeInForce.IOC
    ):
        return "EGeneral:Invalid arguments:post only"
    if order.reduce_only and not order.margin:
        return "EGeneral:Invalid arguments:reduce_only"
    if (order.time_in_force is TimeInForce.GTD) is (order.expires is None):
        return "EGeneral:Invalid arguments:expiretm"
    return off_grid(order.limit_price, order.trigger_price, instrument)


def off_grid(limit: Decimal | None, trigger: Decimal | None, instrument: Instrument) -> str:
    """Check prices against the tick grid."""
    for price in (limit, trigger):
        if price is not None and price <= 0:
            return "EOrder:Invalid price"
        if price is not None and price % instrument.price_increment != 0:
            return "EOrder:Tick size check failed"
    return ""


def market_closed(order: SubmitOrder, status: str) -> str:
    """Check the trading mode of the instrument."""
    match status:
        case "online":
            return ""
        case "post_only" if order.post_only:
            return ""
        case "limit_only" if order.order_type is OrderType.LIMIT:
            return ""
        case "reduce_only" if order.reduce_only:
            return ""
        case _:
            return f"EService:Market in {status} mode"


def too_small(order: SubmitOrder, quantity: Decimal, price: Decimal | None, instrument: Instrument) -> str:
    """Check minimums; an order that can only shrink a position may be of any size.

    Kraken documents no exemption, but a remainder below the minimum must have some way out
    (there it is `volume 0`), and this is the simplest one.
    """
    if order.reduce_only:
        return ""
    if quantity < instrument.minimum_quantity:
        return "EOrder:Order minimum not met"
    if price is not None and quantity * price < instrument.minimum_cost:
        return "EOrder:Cost minimum not met"
    return ""


def unaffordable(
    order: ExchangeOrder,
    account: ExchangeAccount,
    price: Decimal,
    quantity: Decimal,
    *,
    instruments: Mapping[str, Instrument],
    marks: Mapping[str, Decimal],
    taker_fee: Decimal,
) -> str:
    """Check free margin for the part that opens, or balances for a spot order.

    An order that is already open counts its own hold as available.
    """
    submit, instrument = order.submit, instruments[order.submit.instrument]
    if submit.margin:
        opening = quantity - min(quantity, account.closable(submit.instrument, submit.side))
        if opening == 0:
            return ""
        if instrument.max_leverage <= 1:
            return "EOrder:Cannot open position"
        needed = opening * price / leverage(instrument) + opening * price * taker_fee
        return "" if needed <= account.free_margin(instruments, marks) else "EOrder:Insufficient margin"
    own = order.remaining if order.order_id in account.open else ZERO
    if submit.side is Side.SELL:
        free = account.assets.get(instrument.base, ZERO) - account.holds(instrument.base, instruments) + own
        return "" if quantity <= free else "EOrder:Insufficient funds"
    free = account.portfolio.cash - account.holds(instrument.quote, instruments)
    free += own * (order.limit_price or ZERO)
    return "" if quantity * price * (1 + taker_fee) <= free else "EOrder:Insufficient funds"
