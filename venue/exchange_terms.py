"""What Kraken lets an order say beyond what the daemon's own orders ever say.

Must not know orders in flight, markets or wire formats. Called by the exchange model and by the
loopback, which reads these terms out of requests (Kraken: WS v2 `add_order`, REST `AddOrder`).
"""

import enum
from decimal import Decimal

import msgspec

from core.orders import OrderType

TRIGGERED = frozenset(
    {
        OrderType.STOP_LOSS,
        OrderType.STOP_LOSS_LIMIT,
        OrderType.TAKE_PROFIT,
        OrderType.TAKE_PROFIT_LIMIT,
        OrderType.TRAILING_STOP,
        OrderType.TRAILING_STOP_LIMIT,
    }
)
"""Types that wait for a price before they are orders at all."""
TRAILING = frozenset({OrderType.TRAILING_STOP, OrderType.TRAILING_STOP_LIMIT})
PROFIT = frozenset({OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT})
LIMITED = frozenset(
    {
        OrderType.LIMIT,
        OrderType.ICEBERG,
        OrderType.STOP_LOSS_LIMIT,
        OrderType.TAKE_PROFIT_LIMIT,
        OrderType.TRAILING_STOP_LIMIT,
    }
)
"""Types whose fills never go beyond a limit price."""
RESTING = frozenset({OrderType.LIMIT, OrderType.ICEBERG})
"""Types that may stand in the book from the start."""


class SelfTrade(enum.StrEnum):
    """Which order goes when two of one account would meet (`stp_type`)."""

    NEWEST = "cancel_newest"
    OLDEST = "cancel_oldest"
    BOTH = "cancel_both"


class Offset(msgspec.Struct, frozen=True):
    """A price relative to another: `pct` and `quote` on WS, `+n -n #n` and `%` on REST.

    `directed` is REST's `#`: the size is given, the direction follows from side and order type.
    """

    value: Decimal
    percent: bool = False
    directed: bool = False

    def distance(self, base: Decimal) -> Decimal:
        """Give the signed distance from `base`."""
        return base * self.value / 100 if self.percent else self.value


class CloseTerms(msgspec.Struct, frozen=True):
    """The close order that each fill of an order brings forth (`conditional`, `close[...]`)."""

    order_type: OrderType
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    limit_offset: Offset | None = None
    trigger_offset: Offset | None = None


class Terms(msgspec.Struct, frozen=True):
    """Further terms of an order; the defaults are those of an order that says nothing of them.

    `leverage` 0 takes what `margin: true` gives. `display` is an iceberg's visible part, `cash`
    the quote amount of a market buy. `parent` names the order that this one came from.
    `post_only` is of amends alone: refuse one that would take.
    """

    leverage: int = 0
    userref: int = 0
    display: Decimal | None = None
    cash: Decimal | None = None
    limit_offset: Offset | None = None
    trigger_offset: Offset | None = None
    index: bool = False
    self_trade: SelfTrade = SelfTrade.NEWEST
    close: CloseTerms | None = None
    starts: int | None = None
    whole_position: bool = False
    liquidation: bool = False
    post_only: bool = False
    parent: str = ""


PLAIN = Terms()
