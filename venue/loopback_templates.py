"""WS v2 frames of the loopback venue, shaped like Kraken's documented samples.

Must not know the client's decoder (`venue.wire`): a misreading there must not cancel out here.
Called by the loopback's desks. Numbers leave as text of full precision.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from core.clock import SECOND
from core.instrument import Instrument
from core.market import Trade
from core.text import iso
from venue.loopback_listing import COST_DECIMALS, POSITION_LIMIT, asset_facts
from venue.loopback_switches import AS_SHOWN, PublicSwitches
from venue.market_candles import Candle
from venue.market_model import Ladder, Level

HEARTBEAT = '{"channel":"heartbeat"}'
_CHECKSUM_LEVELS = 10
_PERCENT = 100
_ENCODER = msgspec.json.Encoder()


def encode(body: Mapping[str, Any]) -> str:
    """Give the JSON text of a frame."""
    return _ENCODER.encode(body).decode()


def number(value: Decimal) -> msgspec.Raw:
    """Give a JSON number with every digit and never an exponent."""
    text = format(value, "f")
    return msgspec.Raw((text if "." in text else f"{text}.0").encode())


def units(value: int, decimals: int) -> str:
    """Give ticks or lots as decimal text with all places."""
    if decimals == 0:
        return str(value)
    scale = 10**decimals
    return f"{value // scale}.{value % scale:0{decimals}d}"


# ---- envelope ----


def status(connection_id: int, system: str) -> str:
    """Give the first frame of every connection."""
    row = {"version": "2.0.10", "system": system, "api_version": "v2", "connection_id": connection_id}
    return encode({"channel": "status", "type": "update", "data": [row]})


def answer(
    method: str,
    req_id: int | None,
    times: tuple[int, int],
    *,
    result: Mapping[str, Any] | Sequence[Any] | None = None,
    error: str = "",
    extra: Mapping[str, Any] | None = None,
) -> str:
    """Give an acknowledgement: `result` on success, else `error`; `times` are in and out, ns."""
    body: dict[str, Any] = {"error": error} if error else {}
    body["method"] = method
    if req_id is not None:
        body["req_id"] = req_id
    if result is not None and not error:
        body["result"] = result
    body |= {"success": not error, "time_in": iso(times[0]), "time_out": iso(times[1]), **(extra or {})}
    return encode(body)


def pong(req_id: int | None, now: int, params: Mapping[str, Any] | None = None) -> str:
    """Give the answer to an application ping, which takes no params."""
    if params:
        error = "Unsupported field: 'params' for the given msg type: ping"
        return answer("ping", req_id, (now, now), error=error)
    body: dict[str, Any] = {"method": "pong", "time_in": iso(now), "time_out": iso(now)}
    return encode(body if req_id is None else {**body, "req_id": req_id})


# ---- public channels ----


def instruments(listed: Iterable[Instrument], kind: str, switches: PublicSwitches = AS_SHOWN) -> str:
    """Give the instrument channel's snapshot or update."""
    pairs = tuple(listed)
    assets = dict.fromkeys(asset for pair in pairs for asset in (pair.base, pair.quote))
    rows = [_pair(pair, switches) for pair in pairs]
    data = {"assets": [_asset(asset) for asset in assets], "pairs": rows}
    return encode({"channel": "instrument", "type": kind, "data": data})


def _asset(asset: str) -> dict[str, Any]:
    facts = asset_facts(asset)
    return {
        "id": asset,
        "status": "enabled",
        "precision": facts.precision,
        "precision_display": facts.display,
        "borrowable": facts.collateral > 0,
        "collateral_value": float(facts.collateral),
        "margin_rate": float(facts.margin_rate),
    }


def _pair(pair: Instrument, switches: PublicSwitches) -> dict[str, Any]:
    cost = pair.minimum_cost
    row: dict[str, Any] = {
        "symbol": pair.symbol,
        "base": pair.base,
        "quote": pair.quote,
        "status": pair.status,
        "qty_precision": pair.quantity_precision,
        "qty_increment": float(pair.quantity_increment),  # this channel does use exponents
        "price_precision": pair.price_precision,
        "cost_precision": COST_DECIMALS,
        "marginable": pair.max_leverage > 1,
        "has_index": True,
        "cost_min": f"{cost:f}" if switches.cost_min_text else number(cost),
        "tick_size": float(pair.price_increment),
        "price_increment": float(pair.price_increment),
        "qty_min": number(pair.minimum_quantity),
    }
    if pair.max_leverage > 1:
        row |= {
            "margin_initial": (_PERCENT if switches.margin_percent else 1) / pair.max_leverage,
            "position_limit_long": POSITION_LIMIT,
            "position_limit_short": POSITION_LIMIT,
        }
    return row


def trades(rows: Sequence[Trade], kind: str) -> str:
    """Give trades; `side` is the taker's."""
    data = ",".join(
        f'{{"symbol":"{t.instrument}","side":"{t.side}","price":{t.price:f},"qty":{t.quantity:f},'
        f'"ord_type":"{taker_order_type(t)}","trade_id":{t.trade_id},"timestamp":"{iso(t.ts_event)}"}}'
        for t in rows
    )
    return f'{{"channel":"trade","type":"{kind}","data":[{data}]}}'


def taker_order_type(trade: Trade) -> str:
    """Give what the taker sent. Recorded bars do not say; two in three are market orders here."""
    return "limit" if trade.trade_id % 3 == 0 else "market"


def book(instrument: Instrument, after: Ladder, depth: int, before: Ladder | None = None) -> str:
    """Give a snapshot, or the update that leads from `before` to `after`; empty if nothing changed.

    A level that fell out of the depth is not removed, one that came into it is filled in.
    """
    bids, asks = after.bids[:depth], after.asks[:depth]
    if before is not None:
        bid_changes = _changed(before.bids[:depth], bids, sign=1)
        ask_changes = _changed(before.asks[:depth], asks, sign=-1)
        if not bid_changes and not ask_changes:
            return ""
    else:
        bid_changes, ask_changes = list(bids), list(asks)
    return (
        f'{{"channel":"book","type":"{"snapshot" if before is None else "update"}","data":[{{'
        f'"symbol":"{instrument.symbol}","bids":[{_levels(bid_changes, instrument)}],'
        f'"asks":[{_levels(ask_changes, instrument)}],'
        f'"checksum":{checksum(after)},"timestamp":"{iso(after.ts)}"}}]}}'
    )


def checksum(ladder: Ladder) -> int:
    """Give the CRC32 of the ten best levels: asks then bids, digits without point or leading zeros."""
    levels = ladder.asks[:_CHECKSUM_LEVELS] + ladder.bids[:_CHECKSUM_LEVELS]
    return zlib.crc32("".join(f"{level.ticks}{level.lots}" for level in levels).encode())


def _changed(before: Sequence[Level], after: Sequence[Level], *, sign: int) -> list[Level]:
    old, new = {level.ticks: level.lots for level in before}, {level.ticks: level.lots for level in after}
    worst = after[-1].ticks if after else None
    gone = [Level(t, 0) for t in old if t not in new and (worst is None or (t - worst) * sign > 0)]
    return gone + [level for level in after if old.get(level.ticks) != level.lots]


def _levels(levels: Iterable[Level], instrument: Instrument) -> str:
    price, quantity = instrument.price_precision, instrument.quantity_precision
    return ",".join(
        f'{{"price":{units(level.ticks, price)},"qty":{units(level.lots, quantity)}}}' for level in levels
    )


def level3(
    instrument: Instrument,
    bids: Iterable[tuple[str, str, int, int, int]],
    asks: Iterable[tuple[str, str, int, int, int]],
    crc: int,
    kind: str,
) -> str:
    """Give orders one by one: (event, id, ticks, lots, time), without an event in a snapshot."""
    sides = (",".join(_order(instrument, *row) for row in side) for side in (bids, asks))
    inner = ",".join(f'"{name}":[{rows}]' for name, rows in zip(("bids", "asks"), sides, strict=True))
    return (
        f'{{"channel":"level3","type":"{kind}","data":[{{"symbol":"{instrument.symbol}",{inner},'
        f'"checksum":{crc}}}]}}'
    )


def _order(instrument: Instrument, event: str, order_id: str, ticks: int, lots: int, ts: int) -> str:
    began = f'"event":"{event}",' if event else ""
    return (
        f'{{{began}"order_id":"{order_id}","limit_price":{units(ticks, instrument.price_precision)},'
        f'"order_qty":{units(lots, instrument.quantity_precision)},"timestamp":"{_nine(ts)}"}}'
    )


def candles(
    instrument: Instrument,
    rows: Sequence[Candle],
    interval: int,
    now: int,
    *,
    kind: str,
    switches: PublicSwitches = AS_SHOWN,
) -> str:
    """Give ohlc rows, oldest first; `interval` in minutes."""
    stamp = 0 if switches.candle_begin else interval * 60 * SECOND
    data = ",".join(_candle(instrument, row, interval, row.ts_open + stamp) for row in rows)
    return f'{{"channel":"ohlc","type":"{kind}","timestamp":"{_nine(now)}","data":[{data}]}}'


def _candle(instrument: Instrument, row: Candle, interval: int, stamp: int) -> str:
    price = instrument.price_precision
    return (
        f'{{"symbol":"{instrument.symbol}","open":{units(row.open, price)},"high":{units(row.high, price)},'
        f'"low":{units(row.low, price)},"close":{units(row.close, price)},"trades":{row.trades},'
        f'"volume":{units(row.lots, instrument.quantity_precision)},"vwap":{units(round(row.vwap), price)},'
        f'"interval_begin":"{_nine(row.ts_open)}","interval":{interval},"timestamp":"{iso(stamp)}"}}'
    )


def _nine(ts: int) -> str:
    return f"{iso(ts)[:-1]}{ts % 1000:03d}Z"


def ticker(instrument: Instrument, top: Ladder, day: Candle, kind: str) -> str:
    """Give level 1 with the last day's figures."""
    price, quantity = instrument.price_precision, instrument.quantity_precision
    change = day.close - day.open
    bid, ask = top.bids[0], top.asks[0]
    sign = "-" if change < 0 else ""
    return (
        f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{instrument.symbol}",'
        f'"bid":{units(bid.ticks, price)},"bid_qty":{units(bid.lots, quantity)},'
        f'"ask":{units(ask.ticks, price)},"ask_qty":{units(ask.lots, quantity)},'
        f'"last":{units(day.close, price)},"volume":{units(day.lots, quantity)},'
        f'"vwap":{units(round(day.vwap), price)},"low":{units(day.low, price)},'
        f'"high":{units(day.high, price)},"change":{sign}{units(abs(change), price)},'
        f'"change_pct":{change / day.open * 100:.2f},"timestamp":"{iso(top.ts)}"}}]}}'
    )
