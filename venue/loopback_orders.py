"""Order requests as clients spell them, over WS and REST, turned into core values.

Must not know connections, accounts or answers. Called by the loopback's private desks. A request
that cannot be read is an error text in Kraken's words, never an exception.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar

from core.clock import SECOND
from core.orders import AmendOrder, OrderType, Purpose, Side, SubmitOrder, TimeInForce
from core.text import parse_iso

E = TypeVar("E", bound=StrEnum)

_DEFAULT_DEADLINE = 5 * SECOND
_CLIENT_ID = re.compile(
    r"[\x21-\x7e]{1,18}|[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
)
_ADD_FIELDS = frozenset(
    {
        "order_type",
        "side",
        "order_qty",
        "symbol",
        "token",
        "limit_price",
        "limit_price_type",
        "triggers",
        "time_in_force",
        "post_only",
        "reduce_only",
        "margin",
        "expire_time",
        "deadline",
        "cl_ord_id",
        "order_userref",
        "fee_preference",
        "stp_type",
        "no_mpp",
        "validate",
        "sender_sub_id",
    }
)
_AMEND_FIELDS = frozenset(
    {
        "order_id",
        "cl_ord_id",
        "order_qty",
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


class BadRequest(Exception):
    """Carries an error text to the edge of this module."""


def ws_submit(params: Mapping[str, Any], account: str, now: int) -> SubmitOrder | str:
    """Read add_order's params."""
    try:
        _only(params, _ADD_FIELDS, "add order")
        return SubmitOrder(
            account=account,
            trader="",
            cl_ord_id=_client_id(params.get("cl_ord_id")),
            instrument=str(params.get("symbol", "")),
            side=_choice(Side, params.get("side"), "side"),
            quantity=_needed(_ws_number(params, "order_qty"), "order_qty"),
            order_type=_choice(OrderType, params.get("order_type"), "order_type"),
            purpose=Purpose.ENTRY,
            time_in_force=_choice(TimeInForce, params.get("time_in_force", "gtc"), "time_in_force"),
            deadline=_time(params.get("deadline")) or now + _DEFAULT_DEADLINE,
            limit_price=_ws_number(params, "limit_price"),
            trigger_price=_trigger_price(params),
            expires=_time(params.get("expire_time")),
            reduce_only=bool(params.get("reduce_only", False)),
            margin=bool(params.get("margin", False)),
            post_only=bool(params.get("post_only", False)),
        )
    except BadRequest as error:
        return str(error)


def ws_amend(params: Mapping[str, Any], account: str, now: int) -> AmendOrder | str:
    """Read amend_order's params; the order id may stand in the client id's place."""
    try:
        _only(params, _AMEND_FIELDS, "amend order")
        return AmendOrder(
            account=account,
            trader="",
            cl_ord_id=str(params.get("cl_ord_id") or params.get("order_id") or ""),
            instrument="",
            deadline=_time(params.get("deadline")) or now + _DEFAULT_DEADLINE,
            quantity=_ws_number(params, "order_qty"),
            limit_price=_ws_number(params, "limit_price"),
            trigger_price=_ws_number(params, "trigger_price"),
        )
    except BadRequest as error:
        return str(error)


def rest_submit(form: Mapping[str, str], symbol: str, account: str, now: int) -> SubmitOrder | str:
    """Read AddOrder's form; `price` is the limit of a limit order and the trigger of a stop."""
    try:
        order_type = _choice(OrderType, form.get("ordertype"), "ordertype")
        price = _rest_number(form, "price")
        flags = form.get("oflags", "").split(",")
        return SubmitOrder(
            account=account,
            trader="",
            cl_ord_id=_client_id(form.get("cl_ord_id")),
            instrument=symbol,
            side=_choice(Side, form.get("type"), "type"),
            quantity=_needed(_rest_number(form, "volume"), "volume"),
            order_type=order_type,
            purpose=Purpose.ENTRY,
            time_in_force=_choice(TimeInForce, form.get("timeinforce", "gtc").lower(), "timeinforce"),
            deadline=_time(form.get("deadline")) or now + _DEFAULT_DEADLINE,
            limit_price=price if order_type is OrderType.LIMIT else None,
            trigger_price=price if order_type in {OrderType.STOP_LOSS, OrderType.TAKE_PROFIT} else None,
            expires=_rest_expiry(form.get("expiretm", "0"), now),
            reduce_only=form.get("reduce_only", "").lower() == "true",
            margin=form.get("leverage", "none") != "none",
            post_only="post" in flags,
        )
    except BadRequest as error:
        return str(error)


def _only(params: Mapping[str, Any], known: frozenset[str], method: str) -> None:
    for name in params:
        if name not in known:
            raise BadRequest(f"Unsupported field: '{name}' for the given msg type: {method}")


def _choice(kind: type[E], value: object, field: str) -> E:
    try:
        return kind(str(value))
    except ValueError:
        raise BadRequest(f"EGeneral:Invalid arguments:{field}") from None


def _needed(value: Decimal | None, field: str) -> Decimal:
    if value is None:
        raise BadRequest(f"EGeneral:Invalid arguments:{field}")
    return value


def _ws_number(params: Mapping[str, Any], field: str) -> Decimal | None:
    value = params.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise BadRequest(f"{field.capitalize()} field must be a number_float")
    return Decimal(value)


def _trigger_price(params: Mapping[str, Any]) -> Decimal | None:
    triggers = params.get("triggers", {})
    if not isinstance(triggers, dict):
        raise BadRequest("EGeneral:Invalid arguments:triggers")
    return _ws_number(triggers, "price")


def _rest_number(form: Mapping[str, str], field: str) -> Decimal | None:
    text = form.get(field)
    if text in (None, ""):
        return None
    try:
        value = Decimal(str(text))
    except InvalidOperation:
        raise BadRequest(f"EGeneral:Invalid arguments:{field}") from None
    if not value.is_finite():
        raise BadRequest(f"EGeneral:Invalid arguments:{field}")
    return value


def _rest_expiry(text: str, now: int) -> int | None:
    if text in ("", "0"):
        return None
    if not text.lstrip("+").isdigit():
        raise BadRequest("EGeneral:Invalid arguments:expiretm")
    seconds = int(text.lstrip("+")) * SECOND
    return now + seconds if text.startswith("+") else seconds


def _client_id(value: object) -> str:
    if value in (None, ""):
        return ""
    if not isinstance(value, str) or not _CLIENT_ID.fullmatch(value):
        raise BadRequest("EGeneral:Invalid arguments:cl_ord_id")
    return value


def _time(text: object) -> int | None:
    if text in (None, ""):
        return None
    try:
        return parse_iso(str(text))
    except ValueError:
        raise BadRequest("EGeneral:Invalid arguments:deadline") from None
