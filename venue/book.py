"""One order book of price levels, kept to its depth and proved by the venue's CRC32.

Must not know frames, sockets or who trades on it.
Called by venue.session, one book per symbol, and by the benchmarks.
"""

import enum
from bisect import bisect_left
from collections.abc import Iterable
from decimal import Decimal
from typing import Protocol
from zlib import crc32

from core.instrument import Instrument
from core.market import Quote
from venue.wire_values import possible

CHECKED_LEVELS = 10
"""The checksum covers this many levels of each side, however deep the book is."""


class Fault(enum.StrEnum):
    """Why a book cannot be trusted until its next snapshot."""

    CHECKSUM = "checksum"
    CROSSED = "crossed"
    IMPOSSIBLE = "impossible number"


class PriceLevel(Protocol):
    """What a level must have; `qty` is the new absolute quantity, 0 removes."""

    @property
    def price(self) -> Decimal: ...
    @property
    def qty(self) -> Decimal: ...


class _Side:
    """Levels best first. The keys are integers so that bisect compares machine words.

    `texts` holds each level's part of the checksum, written once when the level changes: 18 of
    the 20 levels of an update are the same as before.
    """

    __slots__ = ("depth", "keys", "levels", "price_scale", "quantity_scale", "sign", "texts")

    def __init__(self, sign: int, price_precision: int, quantity_precision: int, depth: int) -> None:
        self.sign = sign
        self.price_scale = Decimal(10) ** price_precision
        self.quantity_scale = Decimal(10) ** quantity_precision
        self.depth = depth
        self.clear()

    def clear(self) -> None:
        self.keys: list[int] = []
        self.texts: list[str] = []
        self.levels: list[tuple[Decimal, Decimal]] = []

    def apply(self, changes: Iterable[PriceLevel]) -> bool:
        """Set levels in the order given, then cut to depth; False for an impossible number."""
        keys, texts, levels = self.keys, self.texts, self.levels
        for change in changes:
            price, quantity = change.price, change.qty
            if not possible(price, quantity):
                return False
            ticks = int(price * self.price_scale)
            lots = int(quantity * self.quantity_scale)
            key = ticks * self.sign
            at = bisect_left(keys, key)
            held = at < len(keys) and keys[at] == key
            if lots == 0:
                if held:  # removing a level that we do not hold is legal
                    del keys[at], texts[at], levels[at]
            elif held:
                texts[at] = f"{ticks}{lots}"
                levels[at] = (price, quantity)
            else:
                keys.insert(at, key)
                texts.insert(at, f"{ticks}{lots}")
                levels.insert(at, (price, quantity))
        if len(keys) > self.depth:  # the venue sends no removal for what falls out of depth
            del keys[self.depth :], texts[self.depth :], levels[self.depth :]
        return True


class Book:
    """Bids and asks of one instrument.

    Source of the rules: Kraken's guide "Book checksum" for WS v2 (read 2026-11). Integer ticks
    and lots print without point and leading zeros, which is exactly the checksum's text.
    """

    def __init__(self, instrument: Instrument, depth: int = 10) -> None:
        self.instrument = instrument
        self.depth = depth
        precision = (instrument.price_precision, instrument.quantity_precision)
        self._asks = _Side(1, *precision, depth)
        self._bids = _Side(-1, *precision, depth)

    def replace(
        self, bids: Iterable[PriceLevel], asks: Iterable[PriceLevel], checksum: int | None
    ) -> Fault | None:
        """Start anew from a snapshot; gives why the result cannot be trusted, or None."""
        self._asks.clear()
        self._bids.clear()
        return self.update(bids, asks, checksum)

    def update(
        self, bids: Iterable[PriceLevel], asks: Iterable[PriceLevel], checksum: int | None
    ) -> Fault | None:
        """Apply one message; gives why the result cannot be trusted, or None.

        `checksum` is None where the sender gives none: the snapshots of the older protocol.
        """
        if not (self._bids.apply(bids) and self._asks.apply(asks)):
            return Fault.IMPOSSIBLE
        if checksum is not None and self.checksum() != checksum:
            return Fault.CHECKSUM
        bid_keys, ask_keys = self._bids.keys, self._asks.keys
        if bid_keys and ask_keys and -bid_keys[0] >= ask_keys[0]:
            return Fault.CROSSED  # recorded with a matching checksum, so it needs its own test
        return None

    def checksum(self) -> int:
        """CRC32 over the best ten asks, then the best ten bids."""
        asks, bids = self._asks.texts, self._bids.texts
        if self.depth == CHECKED_LEVELS:
            return crc32(("".join(asks) + "".join(bids)).encode())
        return crc32(("".join(asks[:CHECKED_LEVELS]) + "".join(bids[:CHECKED_LEVELS])).encode())

    def top(self, ts_event: int) -> Quote | None:
        """Give the best bid and ask, or None while a side is empty."""
        bids, asks = self._bids.levels, self._asks.levels
        if not (bids and asks):
            return None
        (bid, bid_quantity), (ask, ask_quantity) = bids[0], asks[0]
        return Quote(self.instrument.symbol, ts_event, bid, ask, bid_quantity, ask_quantity)

    @property
    def bids(self) -> tuple[tuple[Decimal, Decimal], ...]:
        """Price and quantity, best first."""
        return tuple(self._bids.levels)

    @property
    def asks(self) -> tuple[tuple[Decimal, Decimal], ...]:
        """Price and quantity, best first."""
        return tuple(self._asks.levels)
