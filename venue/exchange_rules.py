"""What the exchange refuses, in Kraken's own error texts.

Must not know queues, time or listeners: values in, error text out (empty = allowed). Called by
the exchange at arrival of a request and again when an order is about to fill. Texts:
https://docs.kraken.com/exchange/guides/general/errors; fields: WS v2 `add_order`, REST `AddOrder`.
"""

from collections.abc import Mapping
from decimal import Decimal

from core.instrument import Instrument
from core.orders import OrderType, Side, SubmitOrder, TimeInForce
from venue.exchange_account import ExchangeAccount, leverage
from venue.exchange_orders import ZERO, ExchangeOrder
from venue.exchange_terms import LIMITED, RESTING, TRAILING, TRIGGERED, Terms

NO_POSITION = "EOrder:Reduce only:No position exists"
UNKNOWN_ORDER = "EOrder:Unknown order"
UNKNOWN_POSITION = "EOrder:Unknown position"
DEADLINE = "EService:Deadline elapsed"
UNKNOWN_PAIR = "EQuery:Unknown asset pair"
UNAVAILABLE = "EService:Unavailable"
POST_ONLY = "EOrder:Post only order"
NO_INDEX = "EGeneral:Invalid arguments:Index unavailable"
NO_FUNDS = "EOrder:Insufficient funds"
NO_MARGIN = "EOrder:Insufficient margin"
LEVEL_TOO_LOW = "EOrder:Margin level too low"
FUNDING = frozenset({NO_FUNDS, NO_MARGIN, LEVEL_TOO_LOW})
"""Refusals that cost a batch one order and not all of them."""
_ICEBERG_PARTS = 15


def malformed(order: SubmitOrder, terms: Terms, instrument: Instrument) -> str:
    """Check what can be seen from the order and the instrument alone."""
    return (
        _bad_quantity(order, terms, instrument)
        or _bad_prices(order, terms)
        or _bad_options(order, terms)
        or _bad_leverage(order, instrument)
        or off_grid(order.limit_price, order.trigger_price, instrument)
    )


def _bad_quantity(order: SubmitOrder, terms: Terms, instrument: Instrument) -> str:
    if order.quantity <= 0 or order.quantity % instrument.quantity_increment != 0:
        return "EGeneral:Invalid arguments:volume"
    if (order.order_type is OrderType.ICEBERG) is (terms.display is None):
        return "EGeneral:Invalid arguments:display_qty"
    return "" if terms.display is None else bad_display(terms.display, order.quantity, instrument)


def bad_display(display: Decimal, quantity: Decimal, instrument: Instrument) -> str:
    """Check what an iceberg shows: at least a fifteenth of it, on the grid of quantities."""
    on_grid = display > 0 and display % instrument.quantity_increment == 0
    allowed = on_grid and quantity <= display * _ICEBERG_PARTS and display <= quantity
    return "" if allowed else "EGeneral:Invalid arguments:display_qty"


def _bad_prices(order: SubmitOrder, terms: Terms) -> str:
    kind = order.order_type
    open_limit = kind in TRAILING and terms.limit_offset is not None
    if (kind in LIMITED) is (order.limit_price is None) and not open_limit:
        return "EGeneral:Invalid arguments:price"
    if kind in TRAILING:
        offset = terms.trigger_offset
        return "" if offset is not None and offset.value > 0 else "EGeneral:Invalid arguments:trigger"
    return (
        "EGeneral:Invalid arguments:trigger" if (kind in TRIGGERED) is (order.trigger_price is None) else ""
    )


def _bad_options(order: SubmitOrder, terms: Terms) -> str:
    kind, force = order.order_type, order.time_in_force
    if order.post_only and (kind not in RESTING or force in {TimeInForce.IOC, TimeInForce.FOK}):
        return "EGeneral:Invalid arguments:post only"
    if order.reduce_only and not order.margin:
        return "EGeneral:Invalid arguments:reduce_only"
    if (force is TimeInForce.GTD) is (order.expires is None):
        return "EGeneral:Invalid arguments:expiretm"
    if force is TimeInForce.FOK and kind is not OrderType.LIMIT:
        return "EGeneral:Invalid arguments:timeinforce"
    if order.cl_ord_id and terms.userref:
        return "EGeneral:Invalid arguments:cl_ord_id and userref are mutually exclusive"
    if order.cl_ord_id and terms.close is not None:
        return "EGeneral:Invalid arguments:cl_ord_id with conditional close"
    if terms.cash is not None and (kind is not OrderType.MARKET or order.side is Side.SELL or order.margin):
        return "EGeneral:Invalid arguments:cash_order_qty"
    return ""


def _bad_leverage(order: SubmitOrder, instrument: Instrument) -> str:
    if order.leverage is None:
        return ""
    allowed = order.margin and 2 <= order.leverage <= instrument.max_leverage
    return "" if allowed else "EGeneral:Invalid arguments:leverage"


def off_grid(limit: Decimal | None, trigger: Decimal | None, instrument: Instrument) -> str:
    """Check prices against the tick grid."""
    for price in (limit, trigger):
        if price is not None and price <= 0:
            return "EOrder:Invalid price"
        if price is not None and price % instrument.price_increment != 0:
            return "EOrder:Tick size check failed"
    return ""


def market_closed(order: SubmitOrder, status: str) -> str:
    """Check a new order against the trading mode of the instrument, or of the whole exchange."""
    match status:
        case "online":
            return ""
        case "maintenance":
            return UNAVAILABLE
        case "post_only" if order.post_only:
            return ""
        case "limit_only" if order.order_type in RESTING:
            return ""
        case "reduce_only" if order.reduce_only:
            return ""
        case _:
            return f"EService:Market in {status} mode"


def change_closed(system: str) -> str:
    """Check an amend against the trading mode of the whole exchange: cancel_only takes none.

    https://docs.kraken.com/api/docs/websocket-v2/status
    """
    match system:
        case "online" | "post_only":
            return ""
        case "maintenance":
            return UNAVAILABLE
        case _:
            return f"EService:Market in {system} mode"


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


def ratio(order: SubmitOrder, instrument: Instrument) -> int:
    """Give the leverage of an order: the chosen one, else the pair's as `margin: true` caps it."""
    return order.leverage or leverage(instrument)


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
        free, level = account.margin_left(instruments, marks)
        if account.margin is not None:
            if level is not None and level <= account.margin.open_level:
                return LEVEL_TOO_LOW
            taker_fee += account.margin.rate(lent(submit.side, instrument))
        needed = opening * price / ratio(submit, instrument) + opening * price * taker_fee
        return "" if needed <= free else NO_MARGIN
    own = order.remaining if order.order_id in account.open else ZERO
    if submit.side is Side.SELL:
        free = account.assets.get(instrument.base, ZERO) - account.holds(instrument.base, instruments) + own
        return "" if quantity <= free else NO_FUNDS
    free = account.portfolio.cash - account.holds(instrument.quote, instruments)
    free += own * (order.limit_price or ZERO)
    return "" if quantity * price * (1 + taker_fee) <= free else NO_FUNDS


def lent(side: Side, instrument: Instrument) -> str:
    """Give the asset that is borrowed: quote for a long, base for a short."""
    return instrument.quote if side is Side.BUY else instrument.base
