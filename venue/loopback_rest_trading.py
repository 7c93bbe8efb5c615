"""Order requests over private REST, which wait for the exchange's answer.

Must not know HTTP or signatures. Called by venue.loopback_rest_private. Orders take the same road
as on WS; https://docs.kraken.com/api/docs/rest-api/add-order and its neighbours.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from core.clock import SECOND, Clock
from core.instrument import Instrument
from core.orders import CancelOrder
from venue.exchange import Exchange
from venue.exchange_orders import Change
from venue.exchange_requests import NewOrder
from venue.exchange_rules import UNAVAILABLE
from venue.loopback_ask import amend_id
from venue.loopback_changes import Changes
from venue.loopback_names import find_pair
from venue.loopback_private_orders import switch_result
from venue.loopback_reading import named_reference
from venue.loopback_rest_orders import asks_for_check, rest_amend, rest_batch, rest_edit, rest_submit
from venue.loopback_rest_public import RestError
from venue.loopback_rest_rows import close_text, described, lots

_UNTIL = 86_400
_BATCH_CANCEL = 50
Form = Mapping[str, str]


class TradingAnswers:
    """Places, changes and cancels orders of the account that calls."""

    def __init__(self, exchange: Exchange, changes: Changes, clock: Clock, wake: Callable[[], None]) -> None:
        self._exchange = exchange
        self._changes = changes
        self._clock = clock
        self._wake = wake
        self.methods: dict[str, Callable[[str, Form], Awaitable[Any]]] = {
            "AddOrder": self._add,
            "AddOrderBatch": self._add_batch,
            "AmendOrder": self._amend,
            "EditOrder": self._edit,
            "CancelOrder": self._cancel,
            "CancelOrderBatch": self._cancel_batch,
            "CancelAll": self._cancel_all,
            "CancelAllOrdersAfter": self._cancel_after,
        }

    # ---- new orders ----

    async def _add(self, account: str, form: Form) -> Any:
        pair, now = self._pair(form), self._clock.now()
        new = rest_submit(form, pair.symbol, account, now)
        if isinstance(new, str):
            raise RestError(new)
        descr = {"descr": _sentences(new, pair)}
        if asks_for_check(form):
            self._check([new])
            return descr
        change = await self._one(self._exchange.submit(new.submit, now, new.terms))
        return descr | {"txid": [change.order.order_id] if change.order is not None else []}

    async def _add_batch(self, account: str, form: Form) -> Any:
        pair, now = self._pair(form), self._clock.now()
        orders = rest_batch(form, pair.symbol, account, now)
        if isinstance(orders, str):
            raise RestError(orders)
        rows = [_batch_row(new, pair) for new in orders]
        if asks_for_check(form):
            self._check(orders)
            return {"orders": rows}
        changes = await self._all(self._exchange.submit_together(orders, now))
        if all(change.error for change in changes):
            raise RestError(changes[0].error)
        return {"orders": [_placed(row, change) for row, change in zip(rows, changes, strict=True)]}

    def _check(self, orders: Sequence[NewOrder]) -> None:
        for new in orders:
            if error := self._exchange.check(new.submit, new.terms):
                raise RestError(error)

    # ---- changes ----

    async def _amend(self, account: str, form: Form) -> Any:
        read = rest_amend(form, account, self._clock.now())
        if isinstance(read, str):
            raise RestError(read)
        amend, terms = read
        return {"amend_id": amend_id(await self._one(self._exchange.amend(amend, self._clock.now(), terms)))}

    async def _edit(self, account: str, form: Form) -> Any:
        pair, now = self._pair(form), self._clock.now()
        order = self._exchange.account(account).find(form.get("txid", ""))
        if order is None:
            raise RestError("EOrder:Unknown order")
        edit = rest_edit(form, account, now, order.submit.order_type)
        if isinstance(edit, str):
            raise RestError(edit)
        change = await self._one(self._exchange.edit(edit, now))
        if change.order is None:
            raise RestError("EOrder:Unknown order")
        placed = change.order
        return {
            "status": "ok",
            "txid": placed.order_id,
            "originaltxid": order.order_id,
            "volume": lots(placed.quantity, pair),
            "price": f"{placed.limit_price or placed.trigger_price or 0:f}",
            "orders_cancelled": 1,
            "descr": {"order": described(placed.submit, placed.terms, pair)},
        }

    # ---- cancels ----

    async def _cancel(self, account: str, form: Form) -> Any:
        key = form.get("txid") or form.get("cl_ord_id") or ""
        keys = self._referred(account, key)
        if len(keys) == 1:
            await self._one(self._exchange.cancel(CancelOrder(account, "", keys[0], ""), self._clock.now()))
            return {"count": 1}
        return {"count": await self._cancel_keys(account, keys)}

    async def _cancel_batch(self, account: str, form: Form) -> Any:
        named = [*_listed(form, "orders"), *_listed(form, "cl_ord_ids")]
        if not 1 <= len(named) <= _BATCH_CANCEL:
            raise RestError("EGeneral:Invalid arguments:orders")
        keys = [key for name in named for key in self._referred(account, name)]
        return {"count": await self._cancel_keys(account, keys)}

    async def _cancel_keys(self, account: str, keys: Sequence[str]) -> int:
        now = self._clock.now()
        numbers = [self._exchange.cancel(CancelOrder(account, "", key, ""), now) for key in keys]
        changes = await self._all(numbers)
        if changes[0].error == UNAVAILABLE:
            raise RestError(UNAVAILABLE)
        return sum(not change.error for change in changes)

    def _referred(self, account: str, key: str) -> list[str]:
        """Give the orders that a user reference names; any other key names itself."""
        number = named_reference(key)
        if number is None:
            return [key]
        found = self._exchange.account(account).referring(number)
        return [order.order_id for order in found] or [key]

    async def _cancel_all(self, account: str, form: Form) -> Any:
        change = await self._one(self._exchange.cancel_all(account, self._clock.now()))
        return {"count": change.count}

    async def _cancel_after(self, account: str, form: Form) -> Any:
        text = form.get("timeout", "")
        if not (text.isascii() and text.isdigit()) or len(text) > 5 or int(text) >= _UNTIL:
            raise RestError("EGeneral:Invalid arguments:timeout")
        number = self._exchange.cancel_all_after(account, int(text) * SECOND, self._clock.now())
        return switch_result((await self._one(number)).ts, int(text))

    # ---- waiting ----

    def _pair(self, form: Form) -> Instrument:
        pair = find_pair(form.get("pair", ""), self._exchange.instruments)
        if pair is None:
            raise RestError("EQuery:Unknown asset pair")
        return pair

    async def _one(self, request: int) -> Change:
        (change,) = await self._all([request])
        if change.error:
            raise RestError(change.error)
        return change

    async def _all(self, requests: Sequence[int]) -> list[Change]:
        answer: asyncio.Future[list[Change]] = asyncio.get_running_loop().create_future()
        self._changes.expect_all(
            requests, lambda changes: None if answer.done() else answer.set_result(changes)
        )
        self._wake()
        return await answer


def _sentences(new: NewOrder, pair: Instrument) -> dict[str, str]:
    close = close_text(new.terms.close)
    return {"order": described(new.submit, new.terms, pair)} | ({"close": close} if close else {})


def _batch_row(new: NewOrder, pair: Instrument) -> dict[str, Any]:
    close = close_text(new.terms.close)
    row: dict[str, Any] = {"descr": {"order": described(new.submit, new.terms, pair)}}
    return row | ({"close": close} if close else {})


def _placed(row: dict[str, Any], change: Change) -> dict[str, Any]:
    if change.error or change.order is None:
        return {"error": change.error}
    return {"txid": change.order.order_id, **row}


def _listed(form: Form, field: str) -> list[str]:
    """Read a JSON list of ids; some clients send them with commas between."""
    text = form.get(field, "")
    if not text.startswith("["):
        return [part for part in text.split(",") if part]
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise RestError(f"EGeneral:Invalid arguments:{field}") from None
    return [str(part.get("txid", "")) if isinstance(part, dict) else str(part) for part in found]
