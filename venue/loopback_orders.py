"""Order requests as clients spell them on WS v2, turned into the exchange's values.

Must not know connections, accounts or answers. Called by the loopback's private desk. A request
that cannot be read is an error text in Kraken's words, never an exception. Fields:
https://docs.kraken.com/api/docs/websocket-v2/add_order, /amend_order, /edit_order.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from core.clock import SECOND
from core.orders import AmendOrder, OrderType, Purpose, Side, SubmitOrder, TimeInForce
from venue.exchange_requests import EditOrder, NewOrder
from venue.exchange_terms import PLAIN, TRAILING, CloseTerms, Offset, SelfTrade, Terms
from venue.loopback_reading import (
    BadRequest,
    choice,
    client_id,
    deadline,
    invalid,
    moment,
    needed,
    only,
    user_reference,
    ws_number,
)

_SOONEST = SECOND // 2  # a deadline is at least 500 ms away
_ADD_FIELDS = frozenset(
    {
        "order_type",
        "side",
        "order_qty",
        "cash_order_qty",
        "display_qty",
        "symbol",
        "token",
        "limit_price",
        "limit_price_type",
        "triggers",
        "time_in_force",
        "post_only",
        "reduce_only",
        "margin",
        "effective_time",
        "expire_time",
        "deadline",
        "cl_ord_id",
        "order_userref",
        "conditional",
        "fee_preference",
        "stp_type",
        "no_mpp",
        "validate",
        "sender_sub_id",
        "broker",
    }
)
_AMEND_FIELDS = frozenset(
    {
        "order_id",
        "cl_ord_id",
        "order_qty",
        "display_qty",
        "limit_price",
        "limit_price_type",
        "trigger_price",
        "trigger_price_type",
        "post_only",
        "deadline",
        "symbol",
        "token",
    }
)
_EDIT_FIELDS = frozenset(
    {
        "order_id",
        "symbol",
        "order_qty",
        "limit_price",
        "triggers",
        "display_qty",
        "post_only",
        "reduce_only",
        "order_userref",
        "deadline",
        "validate",
        "fee_preference",
        "no_mpp",
        "token",
    }
)


def ws_submit(params: Mapping[str, Any], account: str, now: int, *, leverage: bool = False) -> NewOrder | str:
    """Read add_order's params. `leverage`: the ratio that is not documented here is taken."""
    try:
        only(params, _ADD_FIELDS | {"leverage"} if leverage else _ADD_FIELDS, "add order")
        order_type = choice(OrderType, params.get("order_type"), "order_type")
        cash = ws_number(params, "cash_order_qty")
        quantity = ws_number(params, "order_qty")
        trigger, trigger_offset, index = _triggers(params, order_type)
        limit, limit_offset = _limit(params, order_type)
        terms = Terms(
            leverage=int(ws_number(params, "leverage") or 0),
            userref=user_reference(params.get("order_userref"), "order_userref"),
            display=ws_number(params, "display_qty"),
            cash=cash,
            limit_offset=limit_offset,
            trigger_offset=trigger_offset,
            index=index,
            self_trade=choice(SelfTrade, params.get("stp_type", SelfTrade.NEWEST), "stp_type"),
            close=_conditional(params.get("conditional")),
            starts=moment(params.get("effective_time"), "effective_time"),
        )
        submit = SubmitOrder(
            account=account,
            trader="",
            cl_ord_id=client_id(params.get("cl_ord_id")),
            instrument=str(params.get("symbol", "")),
            side=choice(Side, params.get("side"), "side"),
            quantity=Decimal(1) if quantity is None and cash is not None else needed(quantity, "order_qty"),
            order_type=order_type,
            purpose=Purpose.ENTRY,
            time_in_force=choice(TimeInForce, params.get("time_in_force", "gtc"), "time_in_force"),
            deadline=deadline(params.get("deadline"), now, _SOONEST),
            limit_price=limit,
            trigger_price=trigger,
            expires=moment(params.get("expire_time"), "expire_time"),
            reduce_only=bool(params.get("reduce_only", False)),
            margin=bool(params.get("margin", False)) or terms.leverage > 0 or _settles(order_type),
            post_only=bool(params.get("post_only", False)),
        )
    except BadRequest as error:
        return str(error)
    return NewOrder(submit, PLAIN if terms == PLAIN else terms)


def ws_amend(params: Mapping[str, Any], account: str, now: int) -> tuple[AmendOrder, Terms] | str:
    """Read amend_order's params; the order id may stand in the client id's place."""
    try:
        only(params, _AMEND_FIELDS, "amend order")
        display = ws_number(params, "display_qty")
        amend = AmendOrder(
            account=account,
            trader="",
            cl_ord_id=str(params.get("cl_ord_id") or params.get("order_id") or ""),
            instrument="",
            deadline=deadline(params.get("deadline"), now, _SOONEST),
            quantity=ws_number(params, "order_qty"),
            limit_price=ws_number(params, "limit_price"),
            trigger_price=ws_number(params, "trigger_price"),
        )
    except BadRequest as error:
        return str(error)
    return amend, Terms(display=display, post_only=bool(params.get("post_only", False)))


def ws_edit(params: Mapping[str, Any], account: str, now: int) -> EditOrder | str:
    """Read edit_order's params."""
    try:
        only(params, _EDIT_FIELDS, "edit order")
        if not params.get("order_id"):
            raise invalid("order_id")
        trigger, _, _ = _triggers(params, OrderType.STOP_LOSS)
        reference = params.get("order_userref")
        return EditOrder(
            account=account,
            key=str(params["order_id"]),
            deadline=deadline(params.get("deadline"), now, _SOONEST),
            quantity=ws_number(params, "order_qty"),
            limit_price=ws_number(params, "limit_price"),
            trigger_price=trigger,
            display=ws_number(params, "display_qty"),
            post_only=bool(params["post_only"]) if "post_only" in params else None,
            userref=None if reference is None else user_reference(reference, "order_userref"),
        )
    except BadRequest as error:
        return str(error)


def _settles(order_type: OrderType) -> bool:
    return order_type is OrderType.SETTLE_POSITION


def _triggers(params: Mapping[str, Any], order_type: OrderType) -> tuple[Decimal | None, Offset | None, bool]:
    """Give a trigger as price or as offset, and whether it looks at the index."""
    triggers = params.get("triggers", {})
    if not isinstance(triggers, dict) or triggers.get("reference", "last") not in ("last", "index"):
        raise invalid("triggers")
    price, offset = _priced(triggers, "price", "static")
    if order_type in TRAILING and price is not None:
        raise invalid("triggers")
    return price, offset, triggers.get("reference") == "index"


def _limit(params: Mapping[str, Any], order_type: OrderType) -> tuple[Decimal | None, Offset | None]:
    trailing = order_type is OrderType.TRAILING_STOP_LIMIT
    price, offset = _priced(params, "limit_price", "quote" if trailing else "static")
    if offset is not None and not trailing:
        raise invalid("limit_price_type")
    return price, offset


def _conditional(value: object) -> CloseTerms | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid("conditional")
    trigger, trigger_offset = _priced(value, "trigger_price", "static")
    limit, limit_offset = _priced(value, "limit_price", "static")
    return CloseTerms(
        order_type=choice(OrderType, value.get("order_type"), "conditional"),
        limit_price=limit,
        trigger_price=trigger,
        limit_offset=limit_offset,
        trigger_offset=trigger_offset,
    )


def _priced(params: Mapping[str, Any], field: str, default: str) -> tuple[Decimal | None, Offset | None]:
    """Read a price whose `..._type` says static, pct or quote."""
    value, kind = ws_number(params, field), params.get(f"{field}_type", default)
    if kind not in ("static", "pct", "quote"):
        raise invalid(f"{field}_type")
    if value is None or kind == "static":
        return value, None
    return None, Offset(value, percent=kind == "pct")
