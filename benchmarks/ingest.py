"""Raw WebSocket frames through the session into bars and verified books, on one core."""

import json
from collections.abc import Sequence
from random import Random
from zlib import crc32

from benchmarks.rows import Found, durations, median
from benchmarks.synthetic import START
from core.clock import SECOND
from core.text import iso
from feeds.bars import BarBuilder
from venue.public import Lost, Prints, PublicSession

SYMBOL = "BTC/USD"
DEPTH = 10
UPDATES = 20_000
TRADES = 60_000
PAIR = (
    '{"channel":"instrument","type":"snapshot","data":{"assets":[],"pairs":[{"symbol":"BTC/USD","base":"BTC",'
    '"quote":"USD","status":"online","qty_precision":8,"qty_increment":1e-08,"price_precision":1,'
    '"marginable":true,"cost_min":0.5,"margin_initial":0.2,"price_increment":0.1,"qty_min":0.0001}]}}'
)


def measure() -> Found:
    single = _trades_per_s(_trade_frames(1))
    burst = _trades_per_s(_trade_frames(5))
    frames = _book_frames()
    seconds = median(durations(lambda: _play_books(frames), rounds=5))
    return Found(
        {"ingest.trades_per_s": burst, "ingest.book_updates_per_s": UPDATES / seconds},
        f"decode, checks, 1m bars; 5 trades a frame ({single:,.0f}/s with one a frame); "
        f"book of depth {DEPTH}, one level changed an update, every checksum verified; "
        f"median of 5 rounds, one core",
    )


def _session() -> PublicSession:
    session = PublicSession([SYMBOL], depth=DEPTH)
    session.connected(0)
    session.receive(PAIR.encode(), 0)
    return session


def _trade_frames(each: int) -> list[bytes]:
    rng = Random(1)
    frames = []
    for first in range(0, TRADES, each):
        rows = [
            f'{{"symbol":"{SYMBOL}","side":"{rng.choice(("buy", "sell"))}",'
            f'"price":{60000 + rng.randrange(2000) / 10},'
            f'"qty":{rng.randrange(1, 10**8) / 10**8:.8f},"ord_type":"market","trade_id":{first + k + 1},'
            f'"timestamp":"{iso(START + (first + k) * 20_000_000)}"}}'
            for k in range(each)
        ]
        frames.append(f'{{"channel":"trade","type":"update","data":[{",".join(rows)}]}}'.encode())
    return frames


def _trades_per_s(frames: Sequence[bytes]) -> float:
    def play() -> None:
        session, builder = _session(), BarBuilder()
        builder.add(SYMBOL, START)
        taken = 0
        for number, frame in enumerate(frames):
            for event in session.receive(frame, number):
                assert isinstance(event, Prints)
                for trade in event.trades:
                    taken += builder.on_trade(trade)
        assert taken == TRADES
        assert builder.close_until(START + 600 * SECOND)

    return TRADES / median(durations(play, rounds=5))


def _play_books(frames: Sequence[bytes]) -> None:
    session = _session()
    for number, frame in enumerate(frames):
        events = session.receive(frame, number)
        assert not any(isinstance(event, Lost) for event in events)


def _book_frames() -> list[bytes]:
    """Play a market of its own and write down what the venue would send; checksums by the guide's text."""
    rng = Random(2)
    bids = {600_000 - k: rng.randrange(1, 10**9) for k in range(DEPTH)}
    asks = {600_001 + k: rng.randrange(1, 10**9) for k in range(DEPTH)}
    frames = [_frame("snapshot", list(bids.items()), list(asks.items()), bids, asks)]
    for _ in range(UPDATES):
        side, sign = (bids, -1) if rng.random() < 0.5 else (asks, 1)
        best = min(asks) if sign > 0 else max(bids)
        price = best + sign * rng.randrange(DEPTH)
        quantity = rng.randrange(1, 10**9)
        changes = [(price, quantity)]
        side[price] = quantity
        for gone in sorted(side, key=lambda p: p * sign)[DEPTH:]:
            del side[gone]
        frames.append(_frame("update", changes if sign < 0 else [], changes if sign > 0 else [], bids, asks))
    return frames


def _frame(
    kind: str,
    bid_rows: list[tuple[int, int]],
    ask_rows: list[tuple[int, int]],
    bids: dict[int, int],
    asks: dict[int, int],
) -> bytes:
    sides = [(p, asks[p]) for p in sorted(asks)] + [(p, bids[p]) for p in sorted(bids, reverse=True)]
    checksum = crc32("".join(f"{price}{quantity}" for price, quantity in sides).encode())
    levels = [
        ",".join(f'{{"price":{p / 10:.1f},"qty":{q / 10**8:.8f}}}' for p, q in rows)
        for rows in (bid_rows, ask_rows)
    ]
    text = (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{SYMBOL}","bids":[{levels[0]}],"asks":[{levels[1]}],'
        f'"checksum":{checksum},"timestamp":"2024-01-01T00:00:00.000000Z"}}]}}'
    )
    assert json.loads(text)
    return text.encode()
