"""First reading of a recording: which symbols it is about, in what precision and depth.

Must not know files, sessions or counts. Called by venue.verify.
"""

from collections.abc import Iterable
from decimal import Decimal
from itertools import chain

import msgspec

from venue import wire
from venue.verify_report import guessed, places
from venue.wire_market import Level3Row

_DEPTHS = (10, 25, 100, 500, 1000)


class _Known(msgspec.Struct):
    """What the frames say about one symbol, from anywhere in the recording."""

    price_places: int = 0
    quantity_places: int = 0
    levels: int = 0


class Scan:
    """Listings and depths, mutable while frames come in.

    A listing is the venue's own where the recording holds it. Else it is told by the text of the
    numbers: they come in full precision, trailing zeros included, so the longest text has the
    precision that the checksum was made with.
    """

    def __init__(self, frames: Iterable[bytes]) -> None:
        self._known: dict[str, _Known] = {}
        self._listed: dict[str, wire.PairRow] = {}
        self._acknowledged: dict[tuple[str, str], int] = {}
        for frame in frames:
            self._take(wire.decode(frame))

    def _take(self, message: wire.Message) -> None:
        match message:
            case wire.InstrumentFrame():
                for pair in message.data.pairs:
                    self._listed.setdefault(pair.symbol, pair)
            case wire.BookFrame(data=rows):
                for row in rows:
                    self._on_book(row)
            case wire.Level3Frame(data=books):
                for book in books:
                    self._on_orders(book)
            case wire.TradeFrame(data=prints):
                for trade in prints:
                    self._saw(trade.symbol, [(trade.price, trade.qty)])
            case wire.Ack(method="subscribe", success=True, result=result) if result.depth:
                self._acknowledged[result.channel, result.symbol] = result.depth
            case _:
                pass

    def _on_book(self, row: wire.BookRow) -> None:
        known = self._saw(row.symbol, ((one.price, one.qty) for one in chain(row.bids, row.asks)))
        known.levels = max(known.levels, len(row.bids), len(row.asks))

    def _on_orders(self, row: Level3Row) -> None:
        self._saw(row.symbol, ((one.limit_price, one.order_qty) for one in chain(row.bids, row.asks)))

    def _saw(self, symbol: str, numbers: Iterable[tuple[Decimal, Decimal]]) -> _Known:
        known = self._known.setdefault(symbol, _Known())
        for price, quantity in numbers:
            known.price_places = max(known.price_places, places(price))
            known.quantity_places = max(known.quantity_places, places(quantity))
        return known

    @property
    def inferred(self) -> set[str]:
        """Symbols whose precision is told by nothing but their numbers."""
        return self._known.keys() - self._listed.keys()

    def listings(self) -> dict[str, wire.PairRow]:
        """Give the listing of each symbol that has market data."""
        return {symbol: self._listed.get(symbol) or self._guess(symbol) for symbol in self._known}

    def depths(self, channel: str = "book") -> dict[str, int]:
        """Give each symbol's depth: as acknowledged, else the least that holds the longest snapshot.

        One subscription has one depth, so thin books take it from the thick ones beside them.
        """
        told = {symbol: self._acknowledged.get((channel, symbol), 0) for symbol in self._known}
        most = max((self._known[symbol].levels for symbol, depth in told.items() if not depth), default=0)
        fitting = next((depth for depth in _DEPTHS if depth >= most), _DEPTHS[-1])
        return {symbol: depth or fitting for symbol, depth in told.items()}

    def _guess(self, symbol: str) -> wire.PairRow:
        known = self._known[symbol]
        guess = guessed(symbol, known.price_places, known.quantity_places)
        return wire.PairRow(
            symbol=symbol,
            base=guess.base,
            quote=guess.quote,
            status="online",
            qty_precision=guess.quantity_precision,
            qty_increment=guess.quantity_increment,
            price_precision=guess.price_precision,
            price_increment=guess.price_increment,
            qty_min=guess.minimum_quantity,
            cost_min=guess.minimum_cost,
        )
