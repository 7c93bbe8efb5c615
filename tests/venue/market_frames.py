"""Frames of the public channels as the venue writes them, and sessions that have read some."""

import json
import zlib

from core.clock import SECOND
from venue.public import PublicSession
from venue.session import Dead, Ready

BTC, ETH = "BTC/USD", "ETH/USD"

STAMP = "2023-09-25T07:49:37.708706Z"


def frame(value):
    return json.dumps(value).encode()


def pair(symbol, *, precision=1, status="online", margin="0.2"):
    base, quote = symbol.split("/")
    return {
        "symbol": symbol,
        "base": base,
        "quote": quote,
        "status": status,
        "qty_precision": 8,
        "qty_increment": 1e-08,
        "price_precision": precision,
        "marginable": margin is not None,
        "margin_initial": float(margin) if margin else None,
        "cost_min": 0.5,
        "price_increment": 0.1,
        "qty_min": 0.0001,
    }


def instruments(*pairs, kind="snapshot"):
    return frame({"channel": "instrument", "type": kind, "data": {"assets": [], "pairs": list(pairs)}})


def ack(channel, symbol, **more):
    return frame(
        {"method": "subscribe", "success": True, "result": {"channel": channel, "symbol": symbol}, **more}
    )


def trade(trade_id, *, symbol=BTC, price=50000.0, qty=0.1, stamp=STAMP):
    row = {
        "symbol": symbol,
        "side": "buy",
        "price": price,
        "qty": qty,
        "trade_id": trade_id,
        "timestamp": stamp,
    }
    return frame({"channel": "trade", "type": "update", "data": [row]})


def snapshot(*ids, symbol=BTC):
    rows = [json.loads(trade(number, symbol=symbol))["data"][0] for number in ids]
    return frame({"channel": "trade", "type": "snapshot", "data": rows})


def checksum_of(bids, asks):
    def text(price, quantity):
        return f"{round(price * 10)}{round(quantity * 10**8)}"

    return zlib.crc32("".join(text(*one) for one in (*asks, *bids)).encode())


def book_frame(
    symbol=BTC, *, bids=((50000.0, 1.0),), asks=((50001.0, 2.0),), kind="snapshot", spoil=0, stamp=STAMP
):
    row = {
        "symbol": symbol,
        "bids": [{"price": price, "qty": quantity} for price, quantity in bids],
        "asks": [{"price": price, "qty": quantity} for price, quantity in asks],
        "checksum": checksum_of(bids, asks) + spoil,
        "timestamp": stamp,
    }
    return frame({"channel": "book", "type": kind, "data": [row]})


def ticker(symbol=BTC, *, bid=50000.0, ask=50001.0):
    row = {"symbol": symbol, "bid": bid, "bid_qty": 1.0, "ask": ask, "ask_qty": 2.0, "timestamp": STAMP}
    return frame({"channel": "ticker", "type": "update", "data": [row]})


def candle(symbol=BTC, *, trades=1, begin="2023-09-25T07:49:00.000000000Z"):
    row = {"symbol": symbol, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "trades": trades}
    row |= {"volume": 1.0, "vwap": 1.0, "interval_begin": begin, "interval": 1, "timestamp": STAMP}
    return frame({"channel": "ohlc", "type": "update", "data": [row]})


def sent(session):
    """Requests since the last look, without the order they are written in."""
    return [json.loads(raw) for raw in session.outgoing()]


def wanted(session):
    requests = [request for request in sent(session) if request["method"] != "ping"]
    return [(r["method"], r["params"]["channel"], r["params"].get("symbol")) for r in requests]


def connected(*symbols, now=0, **options):
    session = PublicSession(symbols or (BTC,), **options)
    session.connected(now)
    return session


def ready(*symbols, now=0, **options):
    symbols = symbols or (BTC,)
    session = connected(*symbols, now=now, **options)
    session.receive(instruments(*map(pair, symbols)), now)
    events = []
    for symbol in symbols:
        session.receive(ack("trade", symbol), now)
        session.receive(ack("book", symbol), now)
        events += session.receive(book_frame(symbol), now)
    assert Ready() in events
    session.outgoing()
    return session


def reconnected(session, now=1, *symbols):
    """A new connection with everything acknowledged but trade snapshots."""
    session.connected(now)
    symbols = symbols or session.symbols
    events = session.receive(instruments(*map(pair, symbols)), now)
    for symbol in symbols:
        for one in (ack("trade", symbol), ack("book", symbol), book_frame(symbol)):
            events += session.receive(one, now)
    return events


def small(*symbols, books=(), **options):
    """A session with level 1 for all but `books`, and candles, everything acknowledged."""
    session = connected(*symbols, books=books, candles=True, **options)
    session.receive(instruments(*map(pair, symbols)), 0)
    events = []
    for symbol in symbols:
        for channel in ("trade", "ohlc", "book" if symbol in books else "ticker"):
            events += session.receive(ack(channel, symbol), 0)
        events += session.receive(book_frame(symbol) if symbol in books else ticker(symbol), 0)
    assert Ready() in events
    session.outgoing()
    return session


def assert_dead(events, match):
    assert len(events) == 1
    assert isinstance(events[0], Dead)
    assert match in events[0].reason


def beat(session, until, step=5 * SECOND, start=0):
    """Heartbeats only: the socket lives, the channels say nothing."""
    for now in range(start, until, step):
        session.receive(b'{"channel":"heartbeat"}', now)
        if events := session.on_time(now):
            return events
    return []


def alive(session, until, step=5 * SECOND, start=0):
    """Time in which level 1 says the same again and again."""
    for now in range(start, until, step):
        session.receive(ticker(), now)
        session.on_time(now)
