"""Frames of the level-1 and candle channels as values.

Must not know sockets, clocks or what a frame means for trading. Part of venue.wire, which decodes
them with all others; rules: Kraken's pages "Ticker (Level 1)" and "Candles (OHLC)" of WS v2.
"""

from decimal import Decimal

import msgspec


class TickerRow(msgspec.Struct, frozen=True):
    """Best bid and ask of one symbol; every update is whole, and a side may be missing."""

    symbol: str
    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_qty: Decimal | None = None
    ask_qty: Decimal | None = None
    timestamp: str = ""


class TickerFrame(msgspec.Struct, frozen=True, tag_field="channel", tag="ticker"):
    """Level 1, one row for each symbol that changed."""

    type: str
    data: tuple[TickerRow, ...]


class CandleRow(msgspec.Struct, frozen=True):
    """The running candle in full. `interval_begin` is its open; the inner `timestamp` is deprecated.

    Floats, for bars are floats: the same digits give the same value.
    """

    symbol: str
    open: float
    high: float
    low: float
    close: float
    trades: int
    volume: float
    interval_begin: str
    interval: int


class CandleFrame(msgspec.Struct, frozen=True, tag_field="channel", tag="ohlc"):
    """Candles that a trade just changed; there is no sign that one is final."""

    type: str
    data: tuple[CandleRow, ...]
