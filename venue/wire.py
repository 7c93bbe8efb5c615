"""Kraken WS v2 frames as values: bytes in, structs out, and the requests we send.

Must not know sockets, clocks, books or what a frame means for trading.
Called by venue.session (both directions) and nobody else.
"""

from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from core.orders import AmendOrder, OrderType, Side, SubmitOrder
from core.text import iso, parse_iso
from venue.wire_market import CandleFrame, TickerFrame

# ---- in: rows ----


class TradeRow(msgspec.Struct, frozen=True):
    """One print; `side` is the taker's."""

    symbol: str
    side: Side
    price: Decimal
    qty: Decimal
    trade_id: int
    timestamp: str


class Level(msgspec.Struct, frozen=True):
    """One price level; `qty` 0 takes it away."""

    price: Decimal
    qty: Decimal


class BookRow(msgspec.Struct, frozen=True):
    """A book snapshot or delta of one symbol."""

    symbol: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    checksum: int
    timestamp: str = ""


class PairRow(msgspec.Struct, frozen=True):
    """One pair of the instrument channel; `margin_initial` is a fraction (0.2 = 5x)."""

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
    marginable: bool = False
    margin_initial: Decimal | None = None


class PairList(msgspec.Struct, frozen=True):
    """The instrument channel's `data`: an object, unlike every other channel."""

    pairs: tuple[PairRow, ...] = ()


class StatusRow(msgspec.Struct, frozen=True):
    """The engine's state; `connection_id` exceeds 2**63, Python's int does not mind."""

    system: str
    connection_id: int = 0


class FeeRow(msgspec.Struct, frozen=True):
    """One fee leg of a fill."""

    asset: str
    qty: Decimal


class TriggerRow(msgspec.Struct, frozen=True):
    """The trigger of a stop or take-profit."""

    price: Decimal | None = None
    actual_price: Decimal | None = None


class ExecutionRow(msgspec.Struct, frozen=True):
    """One execution report. Only the first one of an order is full, later ones are deltas."""

    order_id: str
    exec_type: str
    order_status: str = ""
    timestamp: str = ""
    cl_ord_id: str | None = None
    symbol: str | None = None
    side: Side | None = None
    order_type: str | None = None
    order_qty: Decimal | None = None
    cum_qty: Decimal | None = None
    limit_price: Decimal | None = None
    triggers: TriggerRow | None = None
    reason: str | None = None
    exec_id: str | None = None
    last_qty: Decimal | None = None
    last_price: Decimal | None = None
    liquidity_ind: str | None = None
    fees: tuple[FeeRow, ...] = ()
    fee_usd_equiv: Decimal | None = None


class BalanceRow(msgspec.Struct, frozen=True):
    """A balance (snapshot) or a ledger line (update); `balance` is the new total in both."""

    asset: str
    balance: Decimal
    type: str = ""


# ---- in: frames ----


class StatusFrame(msgspec.Struct, frozen=True, tag_field="channel", tag="status"):
    """First frame of every connection, and again when the engine's state changes."""

    data: tuple[StatusRow, ...]


class HeartbeatFrame(msgspec.Struct, frozen=True, tag_field="channel", tag="heartbeat"):
    """Proof that the socket lives, never that a subscription does."""


class InstrumentFrame(msgspec.Struct, frozen=True, tag_field="channel", tag="instrument"):
    """Pairs listed or changed."""

    type: str
    data: PairList


class TradeFrame(msgspec.Struct, frozen=True, tag_field="channel", tag="trade"):
    """Prints, possibly of several takers."""

    type: str
    data: tuple[TradeRow, ...]


class BookFrame(msgspec.Struct, frozen=True, tag_field="channel", tag="book"):
    """Book snapshot or delta."""

    type: str
    data: tuple[BookRow, ...]


class ExecutionsFrame(msgspec.Struct, frozen=True, tag_field="channel", tag="executions"):
    """Order news; `sequence` counts per subscription."""

    type: str
    data: tuple[ExecutionRow, ...]
    sequence: int


class BalancesFrame(msgspec.Struct, frozen=True, tag_field="channel", tag="balances"):
    """Balances or ledger lines; `sequence` counts per subscription."""

    type: str
    data: tuple[BalanceRow, ...]
    sequence: int


class AckResult(msgspec.Struct, frozen=True):
    """What an ack says besides yes."""

    channel: str = ""
    symbol: str = ""
    order_id: str = ""
    cl_ord_id: str = ""
    maxratecount: int | None = None
    warnings: tuple[str, ...] = ()


class Ack(msgspec.Struct, frozen=True):
    """An answer to a request. One request may have many, all with the same `req_id`."""

    method: str
    success: bool
    req_id: int | None = None
    error: str = ""
    symbol: str = ""
    result: AckResult = AckResult()


class UnknownChannel(msgspec.Struct, frozen=True):
    """A channel that we never asked for or do not know yet: ignored and counted."""

    channel: str


class Malformed(msgspec.Struct, frozen=True):
    """Not a frame of this protocol; `detail` names what was expected and found."""

    detail: str


ChannelFrame = (
    StatusFrame
    | HeartbeatFrame
    | InstrumentFrame
    | TradeFrame
    | BookFrame
    | TickerFrame
    | CandleFrame
    | ExecutionsFrame
    | BalancesFrame
)
Message = ChannelFrame | Ack | UnknownChannel | Malformed

KNOWN_CHANNELS = frozenset(
    {"status", "heartbeat", "instrument", "trade", "book", "ticker", "ohlc", "executions", "balances"}
)


class _Envelope(msgspec.Struct, frozen=True):
    channel: str | None = None
    method: str | None = None
    success: bool | None = None
    req_id: int | None = None
    error: str | None = None
    symbol: str | None = None
    result: msgspec.Raw = msgspec.Raw()
    # The message-rate refusal is spelt with a capital and names neither method nor request.
    shouted: str | None = msgspec.field(default=None, name="Error")


_frames = msgspec.json.Decoder(ChannelFrame)
_envelopes = msgspec.json.Decoder(_Envelope)
_results = msgspec.json.Decoder(AckResult)


def decode(frame: bytes) -> Message:
    """Read one frame; never raises, whatever the bytes are.

    Channel frames are the hot path and decode in one pass. Everything else falls through to the
    envelope, so that key order and unknown keys never matter.
    """
    try:
        return _frames.decode(frame)
    except msgspec.ValidationError as not_a_channel:
        return _answer(frame, not_a_channel)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as broken:
        return Malformed(f"expected JSON, found {frame[:60]!r}: {broken}")


def _answer(frame: bytes, why: msgspec.ValidationError) -> Message:
    try:
        envelope = _envelopes.decode(frame)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as broken:
        return Malformed(f"expected a frame, found {frame[:60]!r}: {broken}")
    if envelope.channel is not None:
        if envelope.channel in KNOWN_CHANNELS:
            return Malformed(f"expected a {envelope.channel} frame: {why}")
        return UnknownChannel(envelope.channel)
    error = envelope.error or envelope.shouted or ""
    if envelope.method is None and not error:
        return Malformed(f"expected `channel` or `method`, found {frame[:60]!r}")
    return Ack(
        method=envelope.method or "",
        success=not error if envelope.success is None else envelope.success,
        req_id=envelope.req_id,
        error=error,
        symbol=envelope.symbol or "",
        result=_result(envelope.result),
    )


def _result(raw: msgspec.Raw) -> AckResult:
    try:
        return _results.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return AckResult()  # absent, or the list of a batch, which we never send


@lru_cache(maxsize=256)
def _second(text: str) -> int:
    return parse_iso(text + "Z")


def timestamp_ns(text: str) -> int:
    """Give ns UTC of the venue's RFC 3339 text (micro- or nanoseconds); raises ValueError.

    Frames of one second share their first 19 characters, hence the cache.
    """
    return _second(text[:19]) + int(text[20:-1].ljust(9, "0")[:9] or 0)


_CEILING = Decimal(10) ** 18


def possible(price: Decimal, quantity: Decimal) -> bool:
    """Tell whether a market could print this; JSON allows 1e308 and, as text, even NaN."""
    finite = price.is_finite() and quantity.is_finite()
    return finite and 0 < price < _CEILING and 0 <= quantity < _CEILING


# ---- out ----

_encoder = msgspec.json.Encoder()


def number(value: Decimal) -> msgspec.Raw:
    """Write a JSON number: never an exponent, always a point (the venue checks for a float)."""
    text = format(value, "f")
    return msgspec.Raw((text if "." in text else text + ".0").encode())


def ping(req_id: int) -> bytes:
    """Ask for a pong; `params` would be refused."""
    return _encoder.encode({"method": "ping", "req_id": req_id})


def subscribe(req_id: int, channel: str, **params: Any) -> bytes:
    """Ask for a channel; `params` as the channel documents them."""
    return _request("subscribe", req_id, {"channel": channel, **params})


def unsubscribe(req_id: int, channel: str, **params: Any) -> bytes:
    """Leave a channel; `depth` and the like must equal the subscription's."""
    return _request("unsubscribe", req_id, {"channel": channel, **params})


_TRIGGERED = frozenset({OrderType.STOP_LOSS, OrderType.TAKE_PROFIT})


def add_order(req_id: int, token: str, order: SubmitOrder) -> bytes:
    """Ask for a new order."""
    params: dict[str, Any] = {
        "order_type": order.order_type.value,
        "side": order.side.value,
        "symbol": order.instrument,
        "order_qty": number(order.quantity),
        "cl_ord_id": order.cl_ord_id,
        "deadline": deadline_text(order.deadline),
    }
    if order.order_type in _TRIGGERED:
        if order.trigger_price is None:
            raise ValueError(f"expected a trigger price on {order.order_type}, found none: {order.cl_ord_id}")
        trigger = {"reference": "last", "price": number(order.trigger_price), "price_type": "static"}
        params["triggers"] = trigger
    else:
        params["time_in_force"] = order.time_in_force.value
    if order.limit_price is not None:
        params["limit_price"] = number(order.limit_price)
    if order.expires is not None:
        params["expire_time"] = iso(order.expires)[:19] + "Z"
    for flag in ("margin", "reduce_only", "post_only"):
        if getattr(order, flag):
            params[flag] = True
    return _request("add_order", req_id, {**params, "token": token})


def amend_order(req_id: int, token: str, amend: AmendOrder) -> bytes:
    """Ask for a change in place, by client order id."""
    params: dict[str, Any] = {"cl_ord_id": amend.cl_ord_id, "deadline": deadline_text(amend.deadline)}
    changes = {
        "order_qty": amend.quantity,
        "limit_price": amend.limit_price,
        "trigger_price": amend.trigger_price,
    }
    params |= {name: number(value) for name, value in changes.items() if value is not None}
    return _request("amend_order", req_id, {**params, "token": token})


def cancel_order(req_id: int, token: str, cl_ord_id: str) -> bytes:
    """Take one order back, by client order id."""
    return _request("cancel_order", req_id, {"cl_ord_id": [cl_ord_id], "token": token})


def deadline_text(ts: int) -> str:
    """Give RFC 3339 with milliseconds, cut off rather than rounded: earlier is safer."""
    return iso(ts)[:23] + "Z"


def _request(method: str, req_id: int, params: dict[str, Any]) -> bytes:
    return _encoder.encode({"method": method, "params": params, "req_id": req_id})
