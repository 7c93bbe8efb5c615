"""Recordings of Kraken's older sockets, spot v1 and futures v1, built into books and counted.

Must not know files, nor the session that trades: the daemon never speaks these. Called by
venue.verify.

Source: https://docs.kraken.com/api/docs/websocket-v1/book (spot: numbers as text, key `as`/`bs` in a
snapshot, `a`/`b` in an update, `c` the checksum, a fourth word `r` on republished levels) and
https://docs.kraken.com/api/docs/futures-api/websocket/book (one level per message, `seq` counts);
read 2026-11.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import msgspec

from venue import futures
from venue.book import Book, Fault
from venue.verify_report import Tally, guessed, places


class _Level(NamedTuple):
    price: Decimal
    qty: Decimal


_BROKEN = (ValueError, ArithmeticError, RecursionError, LookupError, TypeError)


class SpotV1:
    """Spot v1: books of any depth with the checksum of their updates; a snapshot has none."""

    def __init__(self) -> None:
        self._tally = Tally("spot v1")
        self._books: dict[str, Book] = {}

    def read(self, recording: Iterable[tuple[int, bytes]]) -> Tally:
        """Take a whole recording in."""
        for ts, frame in recording:
            self._take(ts, frame)
        return self._tally

    def _take(self, ts: int, frame: bytes) -> None:
        try:
            message = msgspec.json.decode(frame)
            if isinstance(message, dict):
                self._on_event(message, ts)
                return
            _, *parts, channel, pair = message
            name = str(channel).partition("-")[0]
            self._tally.frame(name, ts)
            if name == "book":
                self._on_book(str(pair), int(channel.partition("-")[2]), parts)
            elif name == "trade":
                self._tally.counts["trades"] += len(parts[0])
            else:
                self._tally.counts["unknown"] += 1
        except _BROKEN as broken:
            self._tally.blame("malformed", f"{frame[:60]!r}: {broken}")

    def _on_event(self, message: Mapping[str, Any], ts: int) -> None:
        event = str(message.get("event", "unknown"))
        self._tally.frame(event, ts)
        if event == "systemStatus":
            self._tally.counts["connections"] += 1
            self._books.clear()
        elif event == "subscriptionStatus" and message.get("status") == "error":
            self._tally.blame("refused", str(message.get("errorMessage")))
        elif event not in ("subscriptionStatus", "heartbeat", "pong"):
            self._tally.counts["unknown"] += 1

    def _on_book(self, pair: str, depth: int, parts: Iterable[Mapping[str, Any]]) -> None:
        told: dict[str, Any] = {}
        for part in parts:
            told |= part
        if "as" in told or "bs" in told:
            bids, asks = _levels(told.get("bs", ())), _levels(told.get("as", ()))
            every = [*bids, *asks]
            price_places = max((places(level.price) for level in every), default=0)
            quantity_places = max((places(level.qty) for level in every), default=0)
            book = self._books[pair] = Book(guessed(pair, price_places, quantity_places), depth)
            self._tally.inferred.add(pair)
            self._judge(pair, book.replace(bids, asks, None), proof=False)
            return
        live = self._books.get(pair)
        if live is None:
            self._tally.judged(pair, None, proof=False)
            return
        checksum = int(told["c"])
        fault = live.update(_levels(told.get("b", ())), _levels(told.get("a", ())), checksum)
        self._judge(pair, fault, proof=True)

    def _judge(self, pair: str, fault: Fault | None, *, proof: bool) -> None:
        self._tally.judged(pair, fault, proof=proof)
        if fault is not None:
            del self._books[pair]


def _levels(rows: Iterable[Any]) -> list[_Level]:
    """Give levels with the digits of their text; raises ValueError for one that is no number."""
    try:
        return [_Level(Decimal(row[0]), Decimal(row[1])) for row in rows]
    except InvalidOperation as broken:
        raise ValueError(f"expected prices and quantities as text: {broken}") from broken


class _Product:
    """One contract's book and where its sequence stands."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.sides: dict[str, dict[Decimal, Decimal]] = {"buy": {}, "sell": {}}

    @property
    def crossed(self) -> bool:
        bids, asks = self.sides["buy"], self.sides["sell"]
        return bool(bids and asks) and max(bids) >= min(asks)


class FuturesV1:
    """Futures v1: books proved by their sequence alone, for this feed has no checksum."""

    def __init__(self) -> None:
        self._tally = Tally("futures v1")
        self._products: dict[str, _Product] = {}

    def read(self, recording: Iterable[tuple[int, bytes]]) -> Tally:
        """Take a whole recording in."""
        for ts, frame in recording:
            self._take(ts, frame)
        return self._tally

    def _take(self, ts: int, frame: bytes) -> None:
        message = futures.decode(frame)
        kind = message.event if isinstance(message, futures.Told) else _feed(message)
        self._tally.frame(kind, ts)
        match message:
            case futures.BookSnapshot():
                self._on_snapshot(message)
            case futures.BookChange():
                self._on_change(message)
            case futures.Print():
                self._tally.counts["trades"] += 1
            case futures.Told(event="info"):
                self._tally.counts["connections"] += 1
            case futures.Told(event="error", message=text):
                self._tally.blame("refused", text)
            case None:
                self._tally.blame("malformed", repr(frame[:60]))
            case _:
                pass

    def _on_snapshot(self, message: futures.BookSnapshot) -> None:
        product = self._products[message.product_id] = _Product(message.seq)
        for side, levels in (("buy", message.bids), ("sell", message.asks)):
            product.sides[side] = {level.price: level.qty for level in levels}
        self._tally.judged(message.product_id, Fault.CROSSED if product.crossed else None, proof=False)

    def _on_change(self, message: futures.BookChange) -> None:
        product = self._products.get(message.product_id)
        if product is None or message.side not in product.sides:
            self._tally.judged(message.product_id, None, proof=False)
            return
        if message.seq != product.seq + 1:
            self._tally.counts["missing"] += max(0, message.seq - product.seq - 1)
            detail = f"{message.product_id}: sequence {product.seq} to {message.seq}"
            self._tally.blame("gaps", detail)
        product.seq = message.seq
        side = product.sides[message.side]
        if message.qty:
            side[message.price] = message.qty
        else:
            side.pop(message.price, None)
        self._tally.judged(message.product_id, Fault.CROSSED if product.crossed else None, proof=False)


def _feed(message: futures.Feed | None) -> str:
    return "malformed" if message is None else str(message.__struct_config__.tag)
