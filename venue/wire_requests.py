"""Kraken WS v2 requests: every order request as a value that cannot be spelt wrongly, and its bytes.

Must not know sockets, sessions or why an order is sent. Called by venue.session and venue.private
through venue.wire; the request values themselves by whoever needs more than the daemon sends.

Source: https://docs.kraken.com/api/docs/websocket-v2/ (add_order, amend_order, edit_order,
cancel_order, cancel_all, cancel_after, batch_add, batch_cancel; read 2026-11). A value checks at
birth what the venue would surely refuse, for that refusal costs a round trip and rate counter.
"""

from decimal import Decimal
from typing import Any, ClassVar, Literal

import msgspec

from core.orders import AmendOrder, Side, SubmitOrder
from venue.wire_values import deadline_text, number, second_text

WireOrderType = Literal[
    "limit",
    "market",
    "iceberg",
    "stop-loss",
    "stop-loss-limit",
    "take-profit",
    "take-profit-limit",
    "trailing-stop",
    "trailing-stop-limit",
    "settle-position",
]
PriceType = Literal["static", "pct", "quote"]

_TRIGGERED = ("stop-loss", "take-profit", "trailing-stop")
_LIMITED = frozenset({"limit", "iceberg", "stop-loss-limit", "take-profit-limit", "trailing-stop-limit"})
_MOST_LEGS = 15
_MOST_CANCELS = 50
_DAY_S = 86_400
_ICEBERG_PARTS = 15


def _expect(holds: object, what: str, found: object) -> None:
    if not holds:
        raise ValueError(f"expected {what}, found {found}")


class Trigger(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a resting order wakes; `pct` and `quote` are offsets from the reference."""

    price: Decimal
    reference: Literal["last", "index"] | None = None
    price_type: PriceType | None = None


class Conditional(msgspec.Struct, frozen=True, omit_defaults=True):
    """The close order that the venue sends for each fill, on the opposite side and of its size."""

    order_type: WireOrderType
    trigger_price: Decimal | None = None
    trigger_price_type: PriceType | None = None
    limit_price: Decimal | None = None
    limit_price_type: PriceType | None = None


class OrderParams(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A new order, alone (with its symbol) or as a leg of a batch (without)."""

    method: ClassVar[str] = "add_order"

    order_type: WireOrderType
    side: Side
    symbol: str | None = None
    order_qty: Decimal | None = None
    cash_order_qty: Decimal | None = None
    limit_price: Decimal | None = None
    limit_price_type: PriceType | None = None
    triggers: Trigger | None = None
    time_in_force: Literal["gtc", "gtd", "ioc", "fok"] | None = None
    post_only: bool | None = None
    reduce_only: bool | None = None
    margin: bool | None = None
    effective_time: str | None = None
    expire_time: str | None = None
    deadline: str | None = None
    cl_ord_id: str | None = None
    order_userref: int | None = None
    conditional: Conditional | None = None
    display_qty: Decimal | None = None
    fee_preference: Literal["base", "quote"] | None = None
    stp_type: Literal["cancel_newest", "cancel_oldest", "cancel_both"] | None = None
    validate: bool | None = None
    sender_sub_id: str | None = None

    def __post_init__(self) -> None:
        kind, name = self.order_type, self.cl_ord_id or self.order_userref or "an unnamed order"
        quantities = (self.order_qty is None) + (self.cash_order_qty is None)
        _expect(quantities == 1, "either order_qty or cash_order_qty", f"{2 - quantities} of them: {name}")
        cash = self.cash_order_qty is None or (kind == "market" and self.side is Side.BUY and not self.margin)
        _expect(cash, "cash_order_qty on a market buy without margin only", f"{kind} {self.side}: {name}")
        _expect(
            not (self.cl_ord_id and self.order_userref),
            "one of cl_ord_id and order_userref",
            f"both: {name}",
        )
        _expect(not (self.cl_ord_id and self.conditional), "no cl_ord_id with a conditional", f"both: {name}")
        if kind.startswith(_TRIGGERED):
            _expect(self.triggers is not None, f"a trigger price on {kind}", f"none: {name}")
        if kind.startswith("trailing") and self.triggers is not None:
            offset = self.triggers.price_type in {"pct", "quote"} and self.triggers.price > 0
            _expect(offset, f"a positive pct or quote offset on {kind}", f"{self.triggers}: {name}")
        if kind in _LIMITED:
            _expect(self.limit_price is not None, f"a limit price on {kind}", f"none: {name}")
        _expect(
            (self.time_in_force == "gtd") == (self.expire_time is not None),
            "an expire_time with gtd and with nothing else",
            f"{self.time_in_force} and {self.expire_time}: {name}",
        )
        if self.display_qty is not None and self.order_qty is not None:
            shown = kind == "iceberg" and self.display_qty * _ICEBERG_PARTS >= self.order_qty
            _expect(shown, "an iceberg showing a fifteenth or more", f"{kind} {self.display_qty}: {name}")


class AmendParams(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A change in place; the order keeps its ids."""

    method: ClassVar[str] = "amend_order"

    order_id: str | None = None
    cl_ord_id: str | None = None
    order_qty: Decimal | None = None
    limit_price: Decimal | None = None
    limit_price_type: PriceType | None = None
    trigger_price: Decimal | None = None
    trigger_price_type: PriceType | None = None
    display_qty: Decimal | None = None
    post_only: bool | None = None
    deadline: str | None = None
    symbol: str | None = None

    def __post_init__(self) -> None:
        one = (self.order_id is None) != (self.cl_ord_id is None)
        _expect(one, "either order_id or cl_ord_id", f"{self.order_id} and {self.cl_ord_id}")


class EditParams(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Cancel and replace under a new id; loses the queue place, so prefer an amend."""

    method: ClassVar[str] = "edit_order"

    order_id: str
    symbol: str
    order_qty: Decimal | None = None
    limit_price: Decimal | None = None
    triggers: Trigger | None = None
    display_qty: Decimal | None = None
    post_only: bool | None = None
    reduce_only: bool | None = None
    order_userref: int | None = None
    deadline: str | None = None
    validate: bool | None = None
    fee_preference: Literal["base", "quote"] | None = None


class CancelParams(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Orders to take back, by whichever ids; each is answered on its own."""

    method: ClassVar[str] = "cancel_order"

    order_id: tuple[str, ...] = ()
    cl_ord_id: tuple[str, ...] = ()
    order_userref: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _expect(self.order_id or self.cl_ord_id or self.order_userref, "an order to cancel", "none")


class CancelAll(msgspec.Struct, frozen=True):
    """Every open order of the account, those that wait for a trigger included."""

    method: ClassVar[str] = "cancel_all"


class CancelAllAfter(msgspec.Struct, frozen=True):
    """The dead man's switch: seconds until every order goes; 0 disarms it."""

    method: ClassVar[str] = "cancel_all_orders_after"

    timeout: int

    def __post_init__(self) -> None:
        _expect(0 <= self.timeout < _DAY_S, "a timeout of 0 to 86399 s", self.timeout)


class BatchAdd(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Two to fifteen orders of one symbol, refused together if one of them is misspelt."""

    method: ClassVar[str] = "batch_add"

    orders: tuple[OrderParams, ...]
    symbol: str
    deadline: str | None = None
    validate: bool | None = None

    def __post_init__(self) -> None:
        _expect(2 <= len(self.orders) <= _MOST_LEGS, f"2 to {_MOST_LEGS} orders", len(self.orders))
        own = [leg for leg in self.orders if leg.symbol or leg.deadline or leg.validate is not None]
        _expect(not own, "symbol, deadline and validate on the batch", f"{len(own)} legs with their own")


class BatchCancel(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Two to fifty orders to take back in one request, with one answer that counts them."""

    method: ClassVar[str] = "batch_cancel"

    orders: tuple[str, ...]
    cl_ord_id: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.orders) + len(self.cl_ord_id)
        _expect(2 <= count <= _MOST_CANCELS, f"2 to {_MOST_CANCELS} orders", count)


Request = (
    OrderParams
    | AmendParams
    | EditParams
    | CancelParams
    | CancelAll
    | CancelAllAfter
    | BatchAdd
    | BatchCancel
)

# ---- bytes ----

_encoder = msgspec.json.Encoder()


def request(params: Request, token: str, req_id: int | None = None) -> bytes:
    """Write an order request."""
    if isinstance(params, OrderParams):
        _expect(params.symbol, "a symbol on an order of its own", "none")
    plain = msgspec.to_builtins(params, builtin_types=(Decimal,))
    return _envelope(params.method, {**_numbers(plain), "token": token}, req_id)


def ping(req_id: int) -> bytes:
    """Ask for a pong; `params` would be refused."""
    return _encoder.encode({"method": "ping", "req_id": req_id})


def subscribe(req_id: int | None, channel: str, **params: Any) -> bytes:
    """Ask for a channel; `params` as the channel documents them."""
    return _envelope("subscribe", {"channel": channel, **params}, req_id)


def unsubscribe(req_id: int | None, channel: str, **params: Any) -> bytes:
    """Leave a channel; `depth` and the like must equal the subscription's."""
    return _envelope("unsubscribe", {"channel": channel, **params}, req_id)


def _envelope(method: str, params: dict[str, Any], req_id: int | None) -> bytes:
    body = {"method": method, "params": params}
    return _encoder.encode(body if req_id is None else {**body, "req_id": req_id})


def _numbers(value: Any) -> Any:
    """Replace every Decimal by its number text; counts and references stay integers."""
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, dict):
        return {key: _numbers(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(inner) for inner in value]
    return value


# ---- what the daemon asks for ----


def add_order(req_id: int, token: str, order: SubmitOrder) -> bytes:
    """Ask for a new order."""
    return request(order_params(order), token, req_id)


def amend_order(req_id: int, token: str, amend: AmendOrder) -> bytes:
    """Ask for a change in place, by client order id."""
    params = AmendParams(
        cl_ord_id=amend.cl_ord_id,
        deadline=deadline_text(amend.deadline),
        order_qty=amend.quantity,
        limit_price=amend.limit_price,
        trigger_price=amend.trigger_price,
    )
    return request(params, token, req_id)


def cancel_order(req_id: int, token: str, cl_ord_id: str) -> bytes:
    """Take one order back, by client order id."""
    return request(CancelParams(cl_ord_id=(cl_ord_id,)), token, req_id)


def order_params(order: SubmitOrder) -> OrderParams:
    """Spell an order of ours as the venue does; raises ValueError for one that it cannot be.

    A trailing order is among these: its trigger is an offset, which an order of ours cannot say.
    """
    waits = order.order_type.value.startswith(_TRIGGERED)
    if waits and order.trigger_price is None:
        raise ValueError(f"expected a trigger price on {order.order_type}, found none: {order.cl_ord_id}")
    trigger = None
    if waits and order.trigger_price is not None:
        trigger = Trigger(order.trigger_price, reference="last", price_type="static")
    return OrderParams(
        order_type=order.order_type.value,
        side=order.side,
        symbol=order.instrument,
        order_qty=order.quantity,
        limit_price=order.limit_price,
        triggers=trigger,
        time_in_force=None if waits else order.time_in_force.value,
        expire_time=None if order.expires is None else second_text(order.expires),
        deadline=deadline_text(order.deadline),
        cl_ord_id=order.cl_ord_id,
        margin=order.margin or None,
        reduce_only=order.reduce_only or None,
        post_only=order.post_only or None,
    )
