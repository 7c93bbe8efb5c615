"""What risk sees of the account at one instant.

Must not know how the engine keeps it. Built by the engine for each call of RiskBot.
"""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from core.market import Quote
from core.portfolio import Portfolio


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """One account at `now`; `equity` is in quote currency at the marks of `quotes`.

    `received` is when each quote came through the door. `busy` are instruments with an entry or
    exit under way, or with an order whose outcome is not proved. `system` is the venue's word,
    `quality` what the feed finds wrong with the data of an instrument.
    """

    now: int
    equity: Decimal
    portfolio: Portfolio
    quotes: Mapping[str, Quote]
    received: Mapping[str, int]
    busy: frozenset[str] = frozenset()
    public_up: bool = True
    private_up: bool = True
    reconciled: bool = True
    system: str = "online"
    quality: Mapping[str, tuple[str, ...]] = {}

    @property
    def marks(self) -> dict[str, Decimal]:
        """Mid price of every instrument that has a quote."""
        return {symbol: quote.mid for symbol, quote in self.quotes.items()}
