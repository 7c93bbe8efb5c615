"""Kraken Futures' public data as values: tickers and funding rates, over REST and WebSocket v1.

Must not know HTTP, sockets or what funding is used for. Called by the funding importer and tests.

Source: https://docs.kraken.com/api/docs/futures-api/ (get-tickers, historical-funding-rates,
websocket/ticker, book; read 2026-11). Both doors close on 1 March 2027. Rates come with exponents; an
absolute `fundingRate` is per contract unit, a relative one a fraction per period. On the WebSocket
a funding field that is zero is left out.
"""

from decimal import Decimal

import msgspec

# ---- REST ----


class Ticker(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One row of tickers; an index row holds only a last price."""

    symbol: str
    last: Decimal | None = None
    last_time: str | None = None
    tag: str | None = None
    pair: str | None = None
    mark_price: Decimal | None = None
    bid: Decimal | None = None
    bid_size: Decimal | None = None
    ask: Decimal | None = None
    ask_size: Decimal | None = None
    vol24h: Decimal | None = None
    volume_quote: Decimal | None = None
    open_interest: Decimal | None = None
    open24h: Decimal | None = None
    index_price: Decimal | None = None
    last_size: Decimal | None = None
    suspended: bool | None = None
    funding_rate: Decimal | None = None
    funding_rate_prediction: Decimal | None = None
    post_only: bool | None = None
    change24h: Decimal | None = None


class FundingRate(msgspec.Struct, frozen=True, rename="camel"):
    """The rate of one period, which begins at `timestamp`; periods are as long as their spacing."""

    timestamp: str
    funding_rate: Decimal
    relative_funding_rate: Decimal


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Any answer; `result` is success or error, and `error` names why."""

    result: str
    server_time: str = ""
    error: str = ""
    tickers: tuple[Ticker, ...] | None = None
    rates: tuple[FundingRate, ...] | None = None


# ---- WebSocket v1 ----


class TickerFeed(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="feed", tag="ticker"):
    """The ticker feed, at most once per second; `next_funding_rate_time` is ms since 1970."""

    product_id: str
    time: int
    funding_rate: Decimal | None = None
    funding_rate_prediction: Decimal | None = None
    relative_funding_rate: Decimal | None = None
    relative_funding_rate_prediction: Decimal | None = None
    next_funding_rate_time: int | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    volume: Decimal | None = None
    volume_quote: Decimal | None = msgspec.field(default=None, name="volumeQuote")
    dtm: int | None = None
    leverage: str | None = None
    index: Decimal | None = None
    premium: Decimal | None = None
    last: Decimal | None = None
    change: Decimal | None = None
    suspended: bool | None = None
    tag: str | None = None
    pair: str | None = None
    open_interest: Decimal | None = msgspec.field(default=None, name="openInterest")
    mark_price: Decimal | None = msgspec.field(default=None, name="markPrice")
    maturity_time: int | None = msgspec.field(default=None, name="maturityTime")
    post_only: bool | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None


class Heartbeat(msgspec.Struct, frozen=True, tag_field="feed", tag="heartbeat"):
    """Proof of life; a feed of its own here, to be subscribed."""

    time: int


class BookLevel(msgspec.Struct, frozen=True):
    """One level of a snapshot; quantities are contracts."""

    price: Decimal
    qty: Decimal


class BookSnapshot(msgspec.Struct, frozen=True, tag_field="feed", tag="book_snapshot"):
    """The whole book of a product; its updates go on from `seq`."""

    product_id: str
    seq: int
    timestamp: int
    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]


class BookChange(msgspec.Struct, frozen=True, tag_field="feed", tag="book"):
    """One level's new quantity, 0 takes it away; `seq` counts without a hole per product."""

    product_id: str
    side: str
    seq: int
    price: Decimal
    qty: Decimal
    timestamp: int


class Print(msgspec.Struct, frozen=True, tag_field="feed", tag="trade"):
    """One trade."""

    product_id: str
    side: str
    seq: int
    price: Decimal
    qty: Decimal
    time: int


class PrintSnapshot(msgspec.Struct, frozen=True, tag_field="feed", tag="trade_snapshot"):
    """The latest trades before a subscription, newest first."""

    product_id: str
    trades: tuple[Print, ...]


class TickerLite(msgspec.Struct, frozen=True, tag_field="feed", tag="ticker_lite"):
    """Best prices and little else."""

    product_id: str
    bid: Decimal | None = None
    ask: Decimal | None = None


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is said about a subscription: info, subscribed, unsubscribed, error."""

    event: str
    feed: str = ""
    product_ids: tuple[str, ...] = ()
    message: str = ""


Feed = TickerFeed | TickerLite | Heartbeat | BookSnapshot | BookChange | Print | PrintSnapshot
_feeds = msgspec.json.Decoder(Feed)
_events = msgspec.json.Decoder(Told)


def decode(frame: bytes) -> Feed | Told | None:
    """Read one frame of the WebSocket; None for anything else, whatever the bytes are."""
    for decoder in (_feeds, _events):
        try:
            return decoder.decode(frame)
        except (ValueError, ArithmeticError, RecursionError):
            continue
    return None


def subscribe(feed: str, product_ids: tuple[str, ...]) -> bytes:
    """Ask for a feed of some products."""
    return msgspec.json.encode({"event": "subscribe", "feed": feed, "product_ids": product_ids})
