"""One private WS request that waits for its answer, and the result that a change makes of it.

Must not know accounts or channels. Called by the private desk and its order desk.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from core.clock import Clock
from venue import loopback_templates as templates
from venue.exchange_orders import Change, ExchangeOrder, identifier
from venue.loopback_connection import Connection


class Ask(msgspec.Struct, frozen=True):
    """Who asked, what, and when it came in."""

    connection: Connection
    method: str
    req_id: int | None
    now: int
    clock: Clock

    def refuse(self, error: str) -> None:
        """Answer with an error."""
        times = (self.now, self.clock.now())
        self.connection.send(templates.answer(self.method, self.req_id, times, error=error))

    def succeed(self, result: Mapping[str, Any] | Sequence[Any]) -> None:
        """Answer with a result."""
        times = (self.now, self.clock.now())
        self.connection.send(templates.answer(self.method, self.req_id, times, result=result))

    def identified(self, change: Change) -> None:
        """Answer with the ids of the order that the change is about, or its error."""
        if change.error or change.order is None:
            self.refuse(change.error)
            return
        amended = {"amend_id": amend_id(change)} if self.method == "amend_order" else {}
        self.succeed(amended | ids(change.order))


def ids(order: ExchangeOrder) -> dict[str, Any]:
    """Give the ids by which a client knows an order."""
    row: dict[str, Any] = {"order_id": order.order_id}
    if order.submit.cl_ord_id:
        row["cl_ord_id"] = order.submit.cl_ord_id
    if order.terms.userref:
        row["order_userref"] = order.terms.userref
    return row


def amend_id(change: Change) -> str:
    """Give the id of one amend: the order's and the request's number make it."""
    order_id = change.order.order_id if change.order is not None else ""
    return identifier("T", (zlib.crc32(order_id.encode()) << 40) + change.request)
