"""Order requests on the private WS v2: new, amended, edited and cancelled orders, and batches.

Must not know connections, subscriptions or REST. Called by the private desk, which has checked who
asks. Answers come when the exchange has them. Methods:
https://docs.kraken.com/api/docs/websocket-v2/add_order and its neighbours.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

import msgspec

from core.clock import SECOND
from core.orders import CancelOrder, OrderType
from core.text import iso
from venue.exchange import Exchange
from venue.exchange_orders import Change
from venue.exchange_requests import NewOrder
from venue.exchange_rules import UNAVAILABLE
from venue.loopback_ask import Ask, ids
from venue.loopback_changes import Changes
from venue.loopback_orders import ws_amend, ws_edit, ws_submit
from venue.loopback_reading import named_reference
from venue.loopback_switches import PrivateSwitches

_UNTIL = 86_400
_BATCH_ADD = range(2, 16)
_BATCH_CANCEL = range(2, 51)
Params = Mapping[str, Any]


class OrderDesk:
    """Passes requests on to the exchange. Owns nothing."""

    def __init__(
        self,
        exchange: Exchange,
        changes: Changes,
        switches: PrivateSwitches,
        wake: Callable[[], None],
    ) -> None:
        self._exchange = exchange
        self._changes = changes
        self._switches = switches
        self._wake = wake  # something was sent to the exchange and waits for time to pass
        self.methods: dict[str, Callable[[str, Params, Ask], None]] = {
            "add_order": self._add,
            "amend_order": self._amend,
            "edit_order": self._edit,
            "cancel_order": self._cancel,
            "cancel_all": self._cancel_all,
            "cancel_all_orders_after": self._cancel_after,
            "batch_add": self._batch_add,
            "batch_cancel": self._batch_cancel,
        }

    def _add(self, account: str, params: Params, ask: Ask) -> None:
        new = self._read(params, account, ask.now)
        if isinstance(new, str):
            ask.refuse(new)
        elif not params.get("validate"):
            self._expect(self._exchange.submit(new.submit, ask.now, new.terms), ask.identified)
        elif error := self._exchange.check(new.submit, new.terms):
            ask.refuse(error)
        else:
            ask.succeed({"order_id": ""})

    def _read(self, params: Params, account: str, now: int) -> NewOrder | str:
        """Read one order; uncapped, `margin: true` stands for the most that its pair lends."""
        new = ws_submit(params, account, now, leverage=self._switches.ws_leverage)
        if isinstance(new, str) or not self._switches.margin_uncapped or not new.submit.margin:
            return new
        pair = self._exchange.instruments.get(new.submit.instrument)
        chosen = new.submit.leverage is not None or new.submit.order_type is OrderType.SETTLE_POSITION
        if chosen or pair is None or pair.max_leverage <= 1:
            return new
        submit = msgspec.structs.replace(new.submit, leverage=pair.max_leverage)
        return msgspec.structs.replace(new, submit=submit)

    def _amend(self, account: str, params: Params, ask: Ask) -> None:
        read = ws_amend(params, account, ask.now)
        if isinstance(read, str):
            ask.refuse(read)
            return
        amend, terms = read
        self._expect(self._exchange.amend(amend, ask.now, terms), ask.identified)

    def _edit(self, account: str, params: Params, ask: Ask) -> None:
        edit = ws_edit(params, account, ask.now)
        if isinstance(edit, str):
            ask.refuse(edit)
            return
        original = edit.key

        def answer(change: Change) -> None:
            if change.error or change.order is None:
                ask.refuse(change.error)
            else:
                ask.succeed({"order_id": change.order.order_id, "original_order_id": original})

        self._expect(self._exchange.edit(edit, ask.now), answer)

    def _cancel(self, account: str, params: Params, ask: Ask) -> None:
        """Cancel by any id; every order has an answer of its own, all with the same req_id."""
        named = [params.get("order_id", []), params.get("cl_ord_id", [])]
        references = params.get("order_userref", [])
        if not all(isinstance(keys, list) for keys in (*named, references)):
            ask.refuse("EGeneral:Invalid arguments:order_id")
            return
        keys = [str(key) for part in named for key in part] + self._referred(account, references)
        if not keys:
            ask.refuse("EGeneral:Invalid arguments:order_id")
        for key in keys:
            self._expect(self._exchange.cancel(CancelOrder(account, "", key, ""), ask.now), ask.identified)

    def _referred(self, account: str, references: Sequence[object]) -> list[str]:
        """Give the ids of the open orders with these user references; a strange one stays as it is."""
        book, keys = self._exchange.account(account), []
        for reference in references:
            text = str(reference)
            number = named_reference(text)
            found = [] if number is None else [order.order_id for order in book.referring(number)]
            keys += found or [text]
        return keys

    def _cancel_all(self, account: str, params: Params, ask: Ask) -> None:
        number = self._exchange.cancel_all(account, ask.now)
        self._expect(number, lambda c: ask.refuse(c.error) if c.error else ask.succeed({"count": c.count}))

    def _cancel_after(self, account: str, params: Params, ask: Ask) -> None:
        timeout = params.get("timeout")
        if not isinstance(timeout, int) or isinstance(timeout, bool) or not 0 <= timeout < _UNTIL:
            ask.refuse("EGeneral:Invalid arguments:timeout")
            return
        number = self._exchange.cancel_all_after(account, timeout * SECOND, ask.now)
        self._expect(number, lambda change: ask.succeed(switch_result(change.ts, timeout)))

    def _batch_add(self, account: str, params: Params, ask: Ask) -> None:
        rows = params.get("orders")
        if not _is_batch(rows):
            ask.refuse("EGeneral:Invalid arguments:orders")
            return
        shared = {name: params[name] for name in ("symbol", "deadline") if name in params}
        read = [self._read({**row, **shared}, account, ask.now) for row in rows]
        orders = [one for one in read if isinstance(one, NewOrder)]
        error = next((one for one in read if isinstance(one, str)), "")
        if not error and params.get("validate"):
            error = next((e for o in orders if (e := self._exchange.check(o.submit, o.terms))), "")
        if error:
            ask.refuse(error)
        elif params.get("validate"):
            ask.succeed(self._batch_result([{"order_id": ""} for _ in orders]))
        else:
            numbers = self._exchange.submit_together(orders, ask.now)
            self._changes.expect_all(numbers, lambda changes: self._batch_answer(changes, ask))
            self._wake()

    def _batch_answer(self, changes: Sequence[Change], ask: Ask) -> None:
        """Answer with every order's ids, or its error; a batch without any order is an error."""
        if all(change.error for change in changes):
            ask.refuse(changes[0].error)
        else:
            ask.succeed(self._batch_result([_leg(change) for change in changes]))

    def _batch_result(self, rows: list[dict[str, Any]]) -> dict[str, Any] | list[dict[str, Any]]:
        return {"orders": rows} if self._switches.batch_object else rows

    def _batch_cancel(self, account: str, params: Params, ask: Ask) -> None:
        mixed, named = params.get("orders", []), params.get("cl_ord_id", [])
        if not isinstance(mixed, list) or not isinstance(named, list):
            ask.refuse("EGeneral:Invalid arguments:orders")
            return
        keys = self._referred(account, mixed) + [str(key) for key in named]
        if len(mixed) + len(named) not in _BATCH_CANCEL:
            ask.refuse("EGeneral:Invalid arguments:orders")
            return
        numbers = [self._exchange.cancel(CancelOrder(account, "", key, ""), ask.now) for key in keys]
        self._changes.expect_all(numbers, lambda changes: _count_answer(changes, ask))
        self._wake()

    def _expect(self, number: int, answer: Callable[[Change], None]) -> None:
        self._changes.expect(number, answer)
        self._wake()


def _is_batch(rows: object) -> TypeGuard[list[Params]]:
    return isinstance(rows, list) and len(rows) in _BATCH_ADD and all(isinstance(row, dict) for row in rows)


def _count_answer(changes: Sequence[Change], ask: Ask) -> None:
    """Answer with how many were cancelled; an engine that is down is an error, an unknown order none."""
    if changes[0].error == UNAVAILABLE:
        ask.refuse(UNAVAILABLE)
    else:
        ask.succeed({"count": sum(not change.error for change in changes)})


def _leg(change: Change) -> dict[str, Any]:
    if change.order is None:
        return {"error": change.error}
    if not change.error:
        return ids(change.order)
    cl_ord_id = change.order.submit.cl_ord_id
    return {"error": change.error} | ({"cl_ord_id": cl_ord_id} if cl_ord_id else {})


def switch_result(now: int, timeout: int) -> dict[str, str]:
    """Whole seconds and camel case, unlike everything else; a cleared switch shows `0`."""
    trigger = f"{iso(now + timeout * SECOND)[:19]}Z" if timeout else "0"
    return {"currentTime": f"{iso(now)[:19]}Z", "triggerTime": trigger}
