"""Kraken WS v2 public channels as values: status, heartbeat, instrument and market data.

Must not know bytes, sockets, books or what a frame means for trading. Called by venue.wire.

Source: https://docs.kraken.com/api/docs/websocket-v2/ (status, heartbeat, instrument, ticker, book,
trade, ohlc, level3; read 2026-11). Left out are fields that the venue calls deprecated: a pair's
`tick_size` (its `price_increment`) and the inner `timestamp` of ohlc, documented as the start of
the interval and shown as its end.
"""

from decimal import Decimal

import msgspec

from core.orders import Side
from venue.wire_values import Id64


class StatusRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """The engine's state; `connection_id` exceeds 2**63, Python's int does not mind."""

    system: str
    connection_id: int = 0
    api_version: str = ""
    version: str = ""


class AssetRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One asset; `margin_rate` is percent of the amount lent per four hours."""

    id: str
    status: str
    precision: int | None = None
    precision_display: int | None = None
    borrowable: bool | None = None
    collateral_value: Decimal | None = None
    margin_rate: Decimal | None = None
    multiplier: Decimal | None = None


class PairRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One pair; `margin_initial` is a fraction (0.2 = 5x), limits are in base units."""

    symbol: str
    base: str
    quote: str
    status: str
    qty_precision: int
    qty_increment: Decimal
    price_precision: int
    price_increment: Decimal
    qty_min: Decimal
    cost_min: Decimal
    cost_precision: int | None = None
    has_index: bool | None = None
    marginable: bool | None = None
    margin_initial: Decimal | None = None
    position_limit_long: Decimal | None = None
    position_limit_short: Decimal | None = None


class PairList(msgspec.Struct, frozen=True):
    """The instrument channel's `data`: an object, unlike every other channel."""

    pairs: tuple[PairRow, ...] = ()
    assets: tuple[AssetRow, ...] = ()


class TickerRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """Best bid and offer with figures of 24 hours; always whole, never a delta; a side may be missing."""

    symbol: str
    bid: Decimal | None = None
    bid_qty: Decimal | None = None
    ask: Decimal | None = None
    ask_qty: Decimal | None = None
    last: Decimal | None = None
    volume: Decimal | None = None
    vwap: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    change: Decimal | None = None
    change_pct: Decimal | None = None
    timestamp: str = ""


class Level(msgspec.Struct, frozen=True):
    """One price level; `qty` 0 takes it away."""

    price: Decimal
    qty: Decimal


class BookRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A book snapshot or delta of one symbol."""

    symbol: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    checksum: int
    timestamp: str = ""


class TradeRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One print; `side` and `ord_type` are the taker's."""

    symbol: str
    side: Side
    price: Decimal
    qty: Decimal
    trade_id: Id64
    timestamp: str
    ord_type: str = ""


class CandleRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """The running candle in full; it is final once a later `interval_begin` arrives."""

    symbol: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    trades: int
    volume: Decimal
    interval_begin: str
    interval: int
    vwap: Decimal | None = None


class RestingOrder(msgspec.Struct, frozen=True, omit_defaults=True):
    """One order of a level3 book; `event` is add, modify or delete, and empty in a snapshot."""

    order_id: str
    limit_price: Decimal
    order_qty: Decimal
    timestamp: str
    event: str = ""


class Level3Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """A level3 snapshot or delta of one symbol."""

    symbol: str
    bids: tuple[RestingOrder, ...]
    asks: tuple[RestingOrder, ...]
    checksum: int
    timestamp: str = ""


# ---- frames ----


class StatusFrame(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="channel", tag="status"):
    """First frame of every connection, and again when the engine's state changes."""

    data: tuple[StatusRow, ...]
    type: str = ""


class HeartbeatFrame(msgspec.Struct, frozen=True, tag_field="channel", tag="heartbeat"):
    """Proof that the socket lives, never that a subscription does."""


class InstrumentFrame(msgspec.Struct, frozen=True, tag_field="channel", tag="instrument"):
    """Assets and pairs listed or changed."""

    type: str
    data: PairList


class TickerFrame(msgspec.Struct, frozen=True, tag_field="channel", tag="ticker"):
    """Best bid and offer."""

    type: str
    data: tuple[TickerRow, ...]


class BookFrame(msgspec.Struct, frozen=True, tag_field="channel", tag="book"):
    """Book snapshot or delta."""

    type: str
    data: tuple[BookRow, ...]


class TradeFrame(msgspec.Struct, frozen=True, tag_field="channel", tag="trade"):
    """Prints, possibly of several takers."""

    type: str
    data: tuple[TradeRow, ...]


class CandleFrame(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="channel", tag="ohlc"):
    """Running candles."""

    type: str
    data: tuple[CandleRow, ...]
    timestamp: str = ""


class Level3Frame(msgspec.Struct, frozen=True, tag_field="channel", tag="level3"):
    """Order by order snapshot or delta."""

    type: str
    data: tuple[Level3Row, ...]


MarketFrame = (
    StatusFrame
    | HeartbeatFrame
    | InstrumentFrame
    | TickerFrame
    | BookFrame
    | TradeFrame
    | CandleFrame
    | Level3Frame
)
