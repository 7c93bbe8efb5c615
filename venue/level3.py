"""One order-by-order book, kept to its depth and proved by the venue's CRC32.

Must not know frames' bytes, sockets or whose orders these are. Called by venue.verify.

Source: Kraken's guide "Order book by orders" (https://docs.kraken.com/api/docs/guides/spot-ws-l3-v2,
read 2026-11): like the checksum of level 2, but each order of the ten best levels counts, in queue
order.
"""

from collections.abc import Iterable
from decimal import Decimal
from zlib import crc32

from venue.book import CHECKED_LEVELS, Fault
from venue.wire_market import RestingOrder
from venue.wire_values import possible


class _Side:
    """Orders by price; those of one price stand in their queue, which is a dict's order."""

    def __init__(self, sign: int, price_precision: int, quantity_precision: int, depth: int) -> None:
        self.sign = sign
        self.depth = depth
        self._price_scale = Decimal(10) ** price_precision
        self._quantity_scale = Decimal(10) ** quantity_precision
        self.queues: dict[int, dict[str, int]] = {}
        self._prices: dict[str, int] = {}

    def apply(self, orders: Iterable[RestingOrder]) -> bool:
        """Add, modify and delete in the order given, then cut to depth; False for an impossible number."""
        for order in orders:
            if not possible(order.limit_price, order.order_qty):
                return False
            ticks = int(order.limit_price * self._price_scale)
            lots = int(order.order_qty * self._quantity_scale)
            held = self._prices.get(order.order_id)
            if held is not None and (order.event == "delete" or held != ticks):
                self._drop(order.order_id, held)
            if order.event != "delete" and lots:
                self.queues.setdefault(ticks, {})[order.order_id] = lots
                self._prices[order.order_id] = ticks
        for ticks in self._best()[self.depth :]:
            for order_id in self.queues.pop(ticks):
                del self._prices[order_id]
        return True

    def _drop(self, order_id: str, ticks: int) -> None:
        queue = self.queues[ticks]
        del queue[order_id], self._prices[order_id]
        if not queue:
            del self.queues[ticks]

    def _best(self) -> list[int]:
        return sorted(self.queues, key=lambda ticks: ticks * self.sign)

    @property
    def best(self) -> int | None:
        """The best price in ticks."""
        return min(self.queues, key=lambda ticks: ticks * self.sign, default=None)

    def text(self) -> str:
        """Give this side's part of the checksum."""
        return "".join(
            f"{ticks}{lots}"
            for ticks in self._best()[:CHECKED_LEVELS]
            for lots in self.queues[ticks].values()
        )


class OrderBook:
    """Bids and asks of one instrument, order by order, in `depth` price levels."""

    def __init__(self, price_precision: int, quantity_precision: int, depth: int = 10) -> None:
        self._scales = (price_precision, quantity_precision, depth)
        self._clear()

    def _clear(self) -> None:
        self._asks = _Side(1, *self._scales)
        self._bids = _Side(-1, *self._scales)

    def replace(
        self, bids: Iterable[RestingOrder], asks: Iterable[RestingOrder], checksum: int
    ) -> Fault | None:
        """Start anew from a snapshot; gives why the result cannot be trusted, or None."""
        self._clear()
        return self.update(bids, asks, checksum)

    def update(
        self, bids: Iterable[RestingOrder], asks: Iterable[RestingOrder], checksum: int
    ) -> Fault | None:
        """Apply one message; gives why the result cannot be trusted, or None."""
        if not (self._bids.apply(bids) and self._asks.apply(asks)):
            return Fault.IMPOSSIBLE
        if self.checksum() != checksum:
            return Fault.CHECKSUM
        bid, ask = self._bids.best, self._asks.best
        return Fault.CROSSED if bid is not None and ask is not None and bid >= ask else None

    def checksum(self) -> int:
        """CRC32 over the orders of the best ten ask levels, then of the best ten bid levels."""
        return crc32((self._asks.text() + self._bids.text()).encode())
