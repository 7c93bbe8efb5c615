"""Order requests as clients spell them over REST, turned into the exchange's values.

Must not know HTTP, accounts or answers. Called by the loopback's REST desk. A form that cannot be
read is an error text in Kraken's words. Fields: https://docs.kraken.com/api/docs/rest-api/add-order,
/add-order-batch, /amend-order, /edit-order.
"""

import json
from collections.abc import Mapping
from decimal import Decimal

from core.clock import SECOND
from core.orders import AmendOrder, OrderType, Purpose, Side, SubmitOrder, TimeInForce
from venue.exchange_requests import EditOrder, NewOrder
from venue.exchange_terms import LIMITED, PLAIN, TRIGGERED, CloseTerms, Offset, SelfTrade, Terms
from venue.loopback_reading import (
    BadRequest,
    choice,
    client_id,
    deadline,
    invalid,
    needed,
    rest_number,
    text_number,
    user_reference,
)

Form = Mapping[str, str]
_SOONEST = 2 * SECOND
_BATCH = range(2, 16)


def rest_submit(form: Form, symbol: str, account: str, now: int) -> NewOrder | str:
    """Read AddOrder's form."""
    try:
        return _submit(form, symbol, account, now)
    except BadRequest as error:
        return str(error)


def rest_batch(form: Form, symbol: str, account: str, now: int) -> list[NewOrder] | str:
    """Read AddOrderBatch's list; `deadline` counts for all of it."""
    try:
        rows = json.loads(form.get("orders", ""))
    except (ValueError, RecursionError):
        rows = None
    if (
        not isinstance(rows, list)
        or not all(isinstance(row, dict) for row in rows)
        or len(rows) not in _BATCH
    ):
        return "EGeneral:Invalid arguments:orders"
    try:
        shared = {"deadline": form.get("deadline", "")}
        return [_submit(flat(row) | shared, symbol, account, now) for row in rows]
    except BadRequest as error:
        return str(error)


def rest_amend(form: Form, account: str, now: int) -> tuple[AmendOrder, Terms] | str:
    """Read AmendOrder's form."""
    try:
        display = rest_number(form, "display_qty")
        amend = AmendOrder(
            account=account,
            trader="",
            cl_ord_id=form.get("cl_ord_id") or form.get("txid") or "",
            instrument="",
            deadline=deadline(form.get("deadline"), now, _SOONEST),
            quantity=rest_number(form, "order_qty"),
            limit_price=rest_number(form, "limit_price"),
            trigger_price=rest_number(form, "trigger_price"),
        )
    except BadRequest as error:
        return str(error)
    return amend, Terms(display=display, post_only=form.get("post_only", "").lower() == "true")


def rest_edit(form: Form, account: str, now: int, order_type: OrderType) -> EditOrder | str:
    """Read EditOrder's form; `price` means what it means for the order's type."""
    try:
        price, second = rest_number(form, "price"), rest_number(form, "price2")
        triggered = order_type in TRIGGERED
        flags = form.get("oflags")
        return EditOrder(
            account=account,
            key=form.get("txid", ""),
            deadline=deadline(form.get("deadline"), now, _SOONEST),
            quantity=rest_number(form, "volume"),
            limit_price=second if triggered else price,
            trigger_price=price if triggered else None,
            display=rest_number(form, "displayvol"),
            post_only=None if flags is None else "post" in flags.split(","),
            userref=user_reference(form.get("userref"), "userref") if form.get("userref") else None,
        )
    except BadRequest as error:
        return str(error)


def flat(row: Mapping[str, object]) -> dict[str, str]:
    """Give one order of a JSON list as the form of a single order."""
    form: dict[str, str] = {}
    for name, value in row.items():
        parts = {f"{name}[{k}]": v for k, v in value.items()} if isinstance(value, dict) else {name: value}
        form |= {key: json.dumps(v) if isinstance(v, bool) else str(v) for key, v in parts.items()}
    return form


def asks_for_check(form: Form) -> bool:
    """Tell whether `validate` is set. Clients send `False` as text and mean it."""
    return form.get("validate", "false").lower() not in ("", "0", "false")


def _submit(form: Form, symbol: str, account: str, now: int) -> NewOrder:
    order_type = choice(OrderType, form.get("ordertype"), "ordertype")
    flags = form.get("oflags", "").split(",")
    volume = needed(rest_number(form, "volume"), "volume")
    leverage = _leverage(form.get("leverage", ""))
    settles = order_type is OrderType.SETTLE_POSITION
    cash = volume if "viqc" in flags else None
    trigger, limit = _prices(form, order_type)
    terms = Terms(
        leverage=leverage,
        userref=user_reference(form.get("userref"), "userref"),
        display=rest_number(form, "displayvol"),
        cash=cash,
        limit_offset=limit if isinstance(limit, Offset) else None,
        trigger_offset=trigger if isinstance(trigger, Offset) else None,
        index=form.get("trigger", "last") == "index",
        self_trade=choice(SelfTrade, form.get("stptype", SelfTrade.NEWEST).replace("-", "_"), "stptype"),
        close=_close(form),
        starts=_time(form.get("starttm", "0"), now, "starttm"),
        whole_position=volume == 0 and (leverage > 0 or settles),
    )
    submit = SubmitOrder(
        account=account,
        trader="",
        cl_ord_id=client_id(form.get("cl_ord_id")),
        instrument=symbol,
        side=choice(Side, form.get("type"), "type"),
        quantity=volume,
        order_type=order_type,
        purpose=Purpose.ENTRY,
        time_in_force=choice(TimeInForce, form.get("timeinforce", "gtc").lower(), "timeinforce"),
        deadline=deadline(form.get("deadline"), now, _SOONEST),
        limit_price=limit if isinstance(limit, Decimal) else None,
        trigger_price=trigger if isinstance(trigger, Decimal) else None,
        expires=_time(form.get("expiretm", "0"), now, "expiretm"),
        reduce_only=form.get("reduce_only", "").lower() == "true",
        margin=leverage > 0 or settles,
        post_only="post" in flags,
    )
    return NewOrder(submit, PLAIN if terms == PLAIN else terms)


_Price = Decimal | Offset | None


def _prices(
    form: Form, order_type: OrderType, first: str = "price", second: str = "price2"
) -> tuple[_Price, _Price]:
    """Give trigger and limit: `price` is the limit of a limit order and the trigger of a stop."""
    one, two = _price(form, first), _price(form, second)
    if order_type not in TRIGGERED:
        return None, one if order_type in LIMITED else None
    return one, two if order_type in LIMITED else None


def _price(form: Form, field: str) -> _Price:
    """Read a price; `+n`, `-n`, `#n` and a closing `%` make it relative."""
    text = form.get(field, "").strip()
    if not text:
        return None
    percent, directed = text.endswith("%"), text.startswith("#")
    number = text_number(text.removeprefix("#").removesuffix("%"), field)
    if percent or directed or text[0] in "+-":
        return Offset(number, percent, directed)
    return number or None  # clients write 0 where a price does not apply


def _close(form: Form) -> CloseTerms | None:
    if not form.get("close[ordertype]"):
        return None
    order_type = choice(OrderType, form["close[ordertype]"], "close")
    trigger, limit = _prices(form, order_type, "close[price]", "close[price2]")
    return CloseTerms(
        order_type=order_type,
        limit_price=limit if isinstance(limit, Decimal) else None,
        trigger_price=trigger if isinstance(trigger, Decimal) else None,
        limit_offset=limit if isinstance(limit, Offset) else None,
        trigger_offset=trigger if isinstance(trigger, Offset) else None,
    )


def _leverage(text: str) -> int:
    """Read `5`, `5:1` or `none`."""
    ratio = text.partition(":")[0].strip()
    if ratio in ("", "none", "None"):
        return 0
    if not (ratio.isascii() and ratio.isdigit()) or len(ratio) > 3:
        raise invalid("leverage")
    return int(ratio)


def _time(text: str, now: int, field: str) -> int | None:
    """Read a time: 0 for none, `+n` seconds from now, or unix seconds."""
    if text in ("", "0"):
        return None
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 12:
        raise invalid(field)
    seconds = int(digits) * SECOND
    return now + seconds if text.startswith("+") else seconds
