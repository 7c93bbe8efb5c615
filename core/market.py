"""The market's own facts: timeframes, trades, quotes, bars.

Must not know venues, features or orders. Called by feeds (which make them) and all stages.
Prices of trades and quotes are Decimal (money); bars are float64, for they feed features only.
"""

import enum
from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from core.clock import DAY, HOUR, MINUTE
from core.orders import Side

_LENGTH = {
    "1m": MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": HOUR,
    "4h": 4 * HOUR,
    "1d": DAY,
}


class Timeframe(enum.Enum):
    """The seven timeframes; the value is the spelling used in files, configs and pages."""

    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H4 = "4h"
    D1 = "1d"

    def __init__(self, spelling: str) -> None:
        # Asked at every bar and order: looking a member up by its hash would cost more than the answer.
        self.ns: int = _LENGTH[spelling]
        """Length in ns."""

    @property
    def minutes(self) -> int:
        """Length in minutes, the venue's spelling of an interval."""
        return self.ns // MINUTE

    def floor(self, ts: int) -> int:
        """Give the open time of the bar that owns `ts` (UTC grid; a bar owns [open, close))."""
        return ts - ts % self.ns


TIMEFRAMES = tuple(Timeframe)


class Trade(msgspec.Struct, frozen=True, array_like=True):
    """One print. `side` is the taker's; `trade_id` runs without gaps per instrument."""

    instrument: str
    ts_event: int
    price: Decimal
    quantity: Decimal
    side: Side
    trade_id: int


class Quote(msgspec.Struct, frozen=True, array_like=True):
    """Best bid and ask with their quantities."""

    instrument: str
    ts_event: int
    bid: Decimal
    ask: Decimal
    bid_quantity: Decimal
    ask_quantity: Decimal

    @property
    def mid(self) -> Decimal:
        """Half-way between bid and ask."""
        return (self.bid + self.ask) / 2


Levels = Sequence[tuple[Decimal, Decimal]]
"""One side of a book: price and quantity, best first."""

Depths = Mapping[str, tuple[Levels, Levels]]
"""Bids and asks of some instruments."""


class Bar(msgspec.Struct, frozen=True, array_like=True):
    """One closed bar; owns [ts_open, ts_open + timeframe).

    A bar with `trades == 0` is quiet: the feed lived and nobody traded; its four prices and its
    vwap are the previous close. A bar that the feed could not see does not exist at all.
    """

    instrument: str
    timeframe: Timeframe
    ts_open: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float
    trades: int
    delta: float | None = None
    """Bought minus sold volume, by the takers' sides; None where the source does not know them."""

    @property
    def ts_close(self) -> int:
        """First ns that no longer belongs to the bar."""
        return self.ts_open + self.timeframe.ns
