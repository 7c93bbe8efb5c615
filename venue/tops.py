"""Best bid and ask of one connection's symbols: from a verified book, or from the ticker.

Must not know subscriptions, sockets or why a symbol deserves a book. Owned by venue.public, which
fetches anew what is reported as faulty here. Each symbol is judged alone.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from core.instrument import Instrument
from core.market import Quote
from venue import wire
from venue.book import Book, Fault

_ZERO = Decimal(0)


class Top(NamedTuple):
    """What a row made of a symbol's top: a quote, a fault, or neither."""

    quote: Quote | None = None
    fault: Fault | None = None


class Tops:
    """Books and level-1 rows. A book counts from its snapshot until its first fault."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self._books: dict[str, Book] = {}
        self._trusted: set[str] = set()

    def restart(self) -> None:
        """Forget everything: a new connection begins with snapshots."""
        self._books, self._trusted = {}, set()

    def keep(self, instrument: Instrument) -> None:
        """Keep a book of an instrument, beginning with its next snapshot."""
        self._books[instrument.symbol] = Book(instrument, self.depth)
        self._trusted.discard(instrument.symbol)

    def forget(self, symbol: str) -> None:
        """Keep its book no longer."""
        self._books.pop(symbol, None)
        self._trusted.discard(symbol)

    def distrust(self, symbol: str) -> None:
        """Ignore what comes until the next snapshot."""
        self._trusted.discard(symbol)

    def kept(self, symbol: str) -> Instrument | None:
        """Give the instrument that a symbol's book is made for."""
        book = self._books.get(symbol)
        return book.instrument if book else None

    def book(self, symbol: str) -> Book | None:
        """Give a symbol's book if it is good now."""
        return self._books[symbol] if symbol in self._trusted else None

    @property
    def trusted(self) -> frozenset[str]:
        """Give the symbols whose book is good now."""
        return frozenset(self._trusted)

    def on_snapshot(self, row: wire.BookRow) -> Top:
        """Begin a kept book anew."""
        book = self._books[row.symbol]
        self._trusted.discard(row.symbol)
        if fault := book.replace(row.bids, row.asks, row.checksum):
            return Top(fault=fault)
        self._trusted.add(row.symbol)
        return Top(book.top(_moment(row.timestamp)))

    def on_update(self, row: wire.BookRow) -> Top:
        """Apply a change; before the snapshot it belongs to a former subscription."""
        if row.symbol not in self._trusted:
            return Top()
        book = self._books[row.symbol]
        if fault := book.update(row.bids, row.asks, row.checksum):
            self._trusted.discard(row.symbol)
            return Top(fault=fault)
        return Top(book.top(_moment(row.timestamp)))

    def on_ticker(self, row: wire.TickerRow) -> Top:
        """Read level 1; a market with an empty side has no top."""
        bid, ask = row.bid or _ZERO, row.ask or _ZERO
        if not (bid and ask):
            return Top()
        bid_quantity, ask_quantity = row.bid_qty or _ZERO, row.ask_qty or _ZERO
        if not (wire.possible(bid, bid_quantity) and wire.possible(ask, ask_quantity)):
            return Top(fault=Fault.IMPOSSIBLE)
        if bid >= ask:
            return Top(fault=Fault.CROSSED)
        return Top(Quote(row.symbol, _moment(row.timestamp), bid, ask, bid_quantity, ask_quantity))


def precision(instrument: Instrument) -> tuple[int, int]:
    """Give what the texts of a book, and so its checksum, depend on."""
    return instrument.price_precision, instrument.quantity_precision


_LEAST_MARGIN = Decimal("0.001")


def instruments(rows: Iterable[wire.PairRow]) -> list[Instrument]:
    """Give pairs in our own words, impossible ones among them."""
    return [_instrument(row) for row in rows]


def _instrument(row: wire.PairRow) -> Instrument:
    leverage = 1
    margin = row.margin_initial
    if row.marginable and margin is not None and margin.is_finite() and _LEAST_MARGIN <= margin <= 1:
        leverage = int(1 / float(margin) + 0.01)  # 0.3333 means 3x
    return Instrument(
        symbol=row.symbol,
        base=row.base,
        quote=row.quote,
        price_increment=row.price_increment,
        quantity_increment=row.qty_increment,
        price_precision=row.price_precision,
        quantity_precision=row.qty_precision,
        minimum_quantity=row.qty_min,
        minimum_cost=row.cost_min,
        max_leverage=leverage,
        status=row.status,
    )


def _moment(text: str) -> int:
    try:
        return wire.timestamp_ns(text) if text else 0
    except ValueError:
        return 0
