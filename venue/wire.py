"""Kraken WS v2 frames as values: bytes in, structs out. The one door for what a socket says.

Must not know sockets, clocks, books or what a frame means for trading.
Called by venue.session and venue.private, which find here every value and request that they use;
rows live in venue.wire_market and venue.wire_account, requests in venue.wire_requests.
"""

import msgspec

from venue.wire_account import (
    Ack,
    AckResult,
    BalanceRow,
    BalancesFrame,
    ExecutionRow,
    ExecutionsFrame,
    Leg,
)
from venue.wire_market import (
    BookFrame,
    BookRow,
    CandleFrame,
    CandleRow,
    HeartbeatFrame,
    InstrumentFrame,
    Level,
    Level3Frame,
    MarketFrame,
    PairRow,
    StatusFrame,
    TickerFrame,
    TickerRow,
    TradeFrame,
    TradeRow,
)
from venue.wire_requests import add_order, amend_order, cancel_order, ping, subscribe, unsubscribe
from venue.wire_values import datable, number, possible, timestamp_ns

__all__ = [
    "KNOWN_CHANNELS",
    "Ack",
    "AckResult",
    "BalanceRow",
    "BalancesFrame",
    "BookFrame",
    "BookRow",
    "CandleFrame",
    "CandleRow",
    "ChannelFrame",
    "ExecutionRow",
    "ExecutionsFrame",
    "HeartbeatFrame",
    "InstrumentFrame",
    "Leg",
    "Level",
    "Level3Frame",
    "Malformed",
    "Message",
    "PairRow",
    "StatusFrame",
    "TickerFrame",
    "TickerRow",
    "TradeFrame",
    "TradeRow",
    "UnknownChannel",
    "add_order",
    "amend_order",
    "cancel_order",
    "datable",
    "decode",
    "number",
    "ping",
    "possible",
    "subscribe",
    "timestamp_ns",
    "unsubscribe",
]


class UnknownChannel(msgspec.Struct, frozen=True):
    """A channel that we never asked for or do not know yet: ignored and counted."""

    channel: str


class Malformed(msgspec.Struct, frozen=True):
    """Not a frame of this protocol; `detail` names what was expected and found."""

    detail: str


ChannelFrame = MarketFrame | ExecutionsFrame | BalancesFrame
Message = ChannelFrame | Ack | UnknownChannel | Malformed

KNOWN_CHANNELS = frozenset(
    {
        "status",
        "heartbeat",
        "instrument",
        "ticker",
        "book",
        "trade",
        "ohlc",
        "level3",
        "executions",
        "balances",
    }
)


class _Envelope(msgspec.Struct, frozen=True):
    channel: str | None = None
    method: str | None = None
    success: bool | None = None
    req_id: int | None = None
    error: str | None = None
    symbol: str | None = None
    result: msgspec.Raw = msgspec.Raw()
    time_in: str | None = None
    time_out: str | None = None
    # The message-rate refusal is spelt with a capital and names neither method nor request.
    shouted: str | None = msgspec.field(default=None, name="Error")


class _Names(msgspec.Struct, frozen=True):
    """What of a result must be right, whatever else the venue changes in it."""

    channel: str = ""
    symbol: str = ""
    order_id: str = ""
    cl_ord_id: str = ""


class _Batch(msgspec.Struct, frozen=True):
    """The second shape of batch_add's result; the documented one is the bare list."""

    orders: tuple[Leg, ...] = ()


_frames = msgspec.json.Decoder(ChannelFrame)
_envelopes = msgspec.json.Decoder(_Envelope)
_results = msgspec.json.Decoder(AckResult)
_names = msgspec.json.Decoder(_Names)
_legs = msgspec.json.Decoder(tuple[Leg, ...])
_batches = msgspec.json.Decoder(_Batch)
# A frame may hold anything: bytes that are no text, brackets without end, numbers of any length.
_BROKEN = (ValueError, ArithmeticError, RecursionError)


def decode(frame: bytes) -> Message:
    """Read one frame; never raises, whatever the bytes are.

    Channel frames are the hot path and decode in one pass. Everything else falls through to the
    envelope, so that key order and unknown keys never matter.
    """
    try:
        return _frames.decode(frame)
    except msgspec.ValidationError as not_a_channel:
        return _answer(frame, not_a_channel)
    except _BROKEN as broken:
        return _malformed("JSON", frame, broken)


def _answer(frame: bytes, why: msgspec.ValidationError) -> Message:
    try:
        envelope = _envelopes.decode(frame)
    except _BROKEN as broken:
        return _malformed("a frame", frame, broken)
    if envelope.channel is not None:
        if envelope.channel in KNOWN_CHANNELS:
            return _malformed(f"a {envelope.channel} frame", frame, why)
        return UnknownChannel(_cut(envelope.channel))
    error = envelope.error or envelope.shouted or ""
    method = envelope.method or ""
    success = envelope.success
    if not error and (not method or (success is None and method != "pong")):
        # Nothing but a pong may leave its outcome to be guessed.
        return _malformed("`channel`, or `method` and `success`", frame, why)
    if success is None:
        success = not error
    try:
        result, legs = _result(method, bytes(envelope.result))
    except _BROKEN as broken:
        return _malformed(f"an answer to {_cut(method)}", frame, broken)
    return Ack(
        method=method,
        success=success,
        req_id=envelope.req_id,
        error=error[:_LONGEST],
        symbol=envelope.symbol or "",
        result=result,
        legs=legs,
        time_in=envelope.time_in or "",
        time_out=envelope.time_out or "",
    )


def _result(method: str, raw: bytes) -> tuple[AckResult, tuple[Leg, ...]]:
    """Give what an answer says; raises where it names something in a way that we cannot read."""
    if not raw or raw == b"null":
        return AckResult(), ()
    if raw[:1] == b"[":
        return AckResult(), _legs.decode(raw)
    legs = _batches.decode(raw).orders if method == "batch_add" else ()
    try:
        return _results.decode(raw), legs
    except _BROKEN:
        names = _names.decode(raw)
        return AckResult(names.channel, names.symbol, names.order_id, names.cl_ord_id), legs


_LONGEST = 400


def _cut(text: str) -> str:
    """Keep what identifies a text; the rest of a megabyte would only fill logs."""
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"


def _malformed(expected: str, frame: bytes, why: Exception) -> Malformed:
    return Malformed(f"expected {expected}, found {frame[:60]!r}: {str(why)[:_LONGEST]}")
