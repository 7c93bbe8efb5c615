"""What can be traded, and how its numbers are rounded.

Must not know any venue's spelling. Called by risk, execution, the exchange model and feeds.
Rounding always goes toward less risk: quantities down, a stop toward the position.
"""

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal
from typing import Self

import msgspec

PLACES = 18
"""Most decimals that a venue may use; Decimal arithmetic here keeps 28 digits."""


class Instrument(msgspec.Struct, frozen=True):
    """One tradable pair.

    `price_increment` and `quantity_increment` are the grids; `*_precision` the decimals of wire
    text and checksum; `minimum_*` the venue's smallest order; `max_leverage` 1 = not marginable.
    """

    symbol: str
    base: str
    quote: str
    price_increment: Decimal
    quantity_increment: Decimal
    price_precision: int
    quantity_precision: int
    minimum_quantity: Decimal
    minimum_cost: Decimal
    max_leverage: int = 1
    status: str = "online"

    @classmethod
    def on_decimal_grid(
        cls,
        symbol: str,
        price_places: int,
        quantity_places: int,
        *,
        minimum_quantity: Decimal,
        minimum_cost: Decimal,
        max_leverage: int = 1,
    ) -> Self:
        """Make a BASE/QUOTE whose grids are one unit of the last decimal."""
        base, _, quote = symbol.partition("/")
        return cls(
            symbol=symbol,
            base=base,
            quote=quote,
            price_increment=Decimal(1).scaleb(-price_places),
            quantity_increment=Decimal(1).scaleb(-quantity_places),
            price_precision=price_places,
            quantity_precision=quantity_places,
            minimum_quantity=minimum_quantity,
            minimum_cost=minimum_cost,
            max_leverage=max_leverage,
        )

    @property
    def possible(self) -> bool:
        """Tell whether a market can have such grids; JSON allows 1e308 and, as text, even NaN."""
        grids, least = (
            (self.price_increment, self.quantity_increment),
            (self.minimum_quantity, self.minimum_cost),
        )
        return (
            all(0 <= places <= PLACES for places in (self.price_precision, self.quantity_precision))
            and all(value.is_finite() for value in (*grids, *least))
            and min(grids) > 0
            and min(least) >= 0
        )

    def quantity_down(self, quantity: Decimal) -> Decimal:
        """Round a magnitude down to the lot grid."""
        return _to_grid(quantity, self.quantity_increment, ROUND_DOWN)

    def price_down(self, price: Decimal) -> Decimal:
        """Round a price down to the tick grid."""
        return _to_grid(price, self.price_increment, ROUND_FLOOR)

    def price_up(self, price: Decimal) -> Decimal:
        """Round a price up to the tick grid."""
        return _to_grid(price, self.price_increment, ROUND_CEILING)

    def price_from(self, value: float, *, up: bool) -> Decimal:
        """Bring a float estimate (ATR distance, model output) onto the tick grid."""
        exact = Decimal(repr(value))
        return self.price_up(exact) if up else self.price_down(exact)

    def tradable(self, quantity: Decimal, price: Decimal) -> bool:
        """Tell whether an order of this size is large enough for the venue."""
        return quantity >= self.minimum_quantity and quantity * price >= self.minimum_cost


def _to_grid(value: Decimal, increment: Decimal, rounding: str) -> Decimal:
    return (value / increment).to_integral_value(rounding=rounding) * increment
