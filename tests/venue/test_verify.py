"""A recording proves what it is: counted right, and one altered digit is found."""

import json
from dataclasses import dataclass
from pathlib import Path
from random import Random
from zlib import crc32

import polars as pl
import pytest

from trader.cli import run
from venue.verify import dialect, verify

SHARED = Path(__file__).parents[3] / "shared" / "data" / "book" / "kraken-raw"
BTC, DOGE = "BTC/USD", "DOGE/USD"


@dataclass
class Market:
    """A venue's book in ticks and lots that writes frames by the guide's text."""

    symbol: str
    price_places: int
    depth: int = 10
    mid: int = 600_000

    def __post_init__(self):
        self.rng = Random(3)
        self.bids = {self.mid - k: self.rng.randrange(1, 10**9) for k in range(self.depth)}
        self.asks = {self.mid + 1 + k: self.rng.randrange(1, 10**9) for k in range(self.depth)}

    def text(self, ticks, lots):
        return f'{{"price":{ticks / 10**self.price_places:.{self.price_places}f},"qty":{lots / 10**8:.8f}}}'

    def frame(self, kind, bids, asks):
        best = sorted(self.asks)[:10], sorted(self.bids, reverse=True)[:10]
        pieces = [f"{p}{self.asks[p]}" for p in best[0]] + [f"{p}{self.bids[p]}" for p in best[1]]
        sides = [",".join(self.text(*level) for level in side) for side in (bids, asks)]
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{self.symbol}","bids":[{sides[0]}],'
            f'"asks":[{sides[1]}],"checksum":{crc32("".join(pieces).encode())},'
            f'"timestamp":"2024-01-01T00:00:0{self.rng.randrange(10)}.000000Z"}}]}}'
        )

    def snapshot(self):
        return self.frame("snapshot", list(self.bids.items()), list(self.asks.items()))

    def update(self):
        price = self.mid - self.rng.randrange(self.depth)
        self.bids[price] = self.rng.randrange(1, 10**9)
        return self.frame("update", [(price, self.bids[price])], [])


def trade(trade_id, symbol=BTC):
    return (
        f'{{"channel":"trade","type":"update","data":[{{"symbol":"{symbol}","side":"buy","price":60000.0,'
        f'"qty":0.10000000,"ord_type":"market","trade_id":{trade_id},"timestamp":"2024-01-01T00:00:01.5Z"}}]}}'
    )


def status(connection):
    row = {"version": "2.0.10", "system": "online", "api_version": "v2", "connection_id": connection}
    return json.dumps({"channel": "status", "type": "update", "data": [row]})


def read(*frames):
    return verify([(0, frame.encode()) for frame in frames])


def recording():
    btc, doge = Market(BTC, 1), Market(DOGE, 7, mid=900_000)
    yield status(2**63 + 7)
    yield '{"channel":"heartbeat"}'
    yield btc.snapshot()
    yield doge.snapshot()
    for number in range(40):
        yield btc.update()
        yield doge.update()
        yield trade(number + 1)


def test_an_honest_recording_is_proved_in_full():
    report = read(*recording())
    assert report.ok
    assert (report.frames, report.books, report.trades, report.connections) == (124, 2, 40, 1)
    assert (report.checksums_verified, report.checksums_failed, report.unproved) == (82, 0, 0)
    assert (report.malformed, report.unknown_frames, report.gaps, report.crossed) == (0, 0, 0, 0)
    assert report.inferred == (BTC, DOGE)
    assert report.kinds == {"book": 82, "heartbeat": 1, "status": 1, "trade": 40}
    assert report.first.startswith("2024-01-01T00:00:0")


@pytest.mark.parametrize("depth", [25, 100])
def test_depth_is_told_by_the_longest_snapshot(depth):
    market = Market(BTC, 1, depth=depth)
    report = read(market.snapshot(), *(market.update() for _ in range(30)))
    assert (report.ok, report.checksums_verified) == (True, 31)


def test_depth_of_a_thin_book_is_told_by_the_acknowledgement():
    thin = Market(BTC, 1, depth=6)
    result = {"channel": "book", "symbol": BTC, "depth": 25, "snapshot": True}
    ack = json.dumps({"method": "subscribe", "success": True, "result": result})
    frames = [ack, thin.snapshot()]
    for ticks in range(7, 14):
        thin.bids[thin.mid - ticks] = 10**8
        frames.append(thin.frame("update", [(thin.mid - ticks, 10**8)], []))
    assert (read(*frames).ok, read(*frames).checksums_verified) == (True, 8)


def test_recorded_precision_wins_over_the_text():
    market = Market(DOGE, 7)
    pair = (
        '{"channel":"instrument","type":"snapshot","data":{"assets":[],"pairs":[{"symbol":"DOGE/USD",'
        '"base":"DOGE","quote":"USD","status":"online","qty_precision":8,"qty_increment":1e-08,'
        '"price_precision":7,"cost_min":0.5,"price_increment":1e-07,"qty_min":4}]}}'
    )
    report = read(market.snapshot(), pair, market.update())
    assert (report.ok, report.checksums_verified, report.inferred) == (True, 2, ())


def altered(frames, at, old, new):
    frames = list(frames)
    assert old in frames[at]
    frames[at] = frames[at].replace(old, new, 1)
    return frames


def test_one_altered_digit_is_found_and_the_rest_of_that_book_is_unproved():
    frames = list(recording())
    quantity = frames[4].partition('"qty":')[2][:3]
    digit = "7" if quantity[0] != "7" else "8"
    report = read(*altered(frames, 4, f'"qty":{quantity}', f'"qty":{digit}{quantity[1:]}'))
    assert not report.ok
    assert (report.checksums_failed, report.resyncs) == (1, 1)
    assert (report.unproved, report.checksums_verified) == (39, 42)
    assert report.faults == ("frame 5: BTC/USD: checksum differs",)


def test_lost_trailing_zero_changes_nothing_but_a_lost_digit_does():
    market = Market(BTC, 1)
    market.bids[market.mid] = 10_000_000
    assert read(market.snapshot().replace("0.10000000", "0.1")).ok
    assert not read(market.snapshot().replace("0.10000000", "0.01")).ok


def test_crossed_book_is_found_behind_a_right_checksum():
    market = Market(BTC, 1)
    market.bids[market.mid + 5] = 3
    del market.bids[market.mid - 9]
    report = read(market.snapshot())
    assert (report.ok, report.crossed, report.checksums_verified, report.checksums_failed) == (False, 1, 1, 0)


def test_missing_trades_are_counted_also_across_a_reconnect():
    report = read(trade(1), trade(2), trade(6))
    assert (report.ok, report.trades, report.gaps, report.missing) == (False, 3, 1, 3)
    report = read(status(1), trade(1), status(2), trade(6))
    assert (report.ok, report.connections, report.gaps, report.missing) == (False, 2, 1, 4)


def test_a_new_connection_starts_every_book_anew():
    market = Market(BTC, 1)
    report = read(
        status(1), market.snapshot(), status(2), market.update(), market.snapshot(), market.update()
    )
    assert (report.ok, report.unproved, report.checksums_verified) == (True, 1, 3)


def test_junk_is_counted_by_kind():
    report = read(trade(1), "CloudFlare WebSocket proxy restarting", '{"channel":"news"}', "[1")
    assert (report.ok, report.malformed, report.unknown_frames) == (False, 2, 1)
    refused = read(trade(1), '{"method":"subscribe","success":false,"error":"Currency pair not supported X"}')
    assert (refused.ok, refused.refused) == (True, 1)


def test_empty_recording_proves_nothing():
    assert not read().ok


def order(name, price, quantity, event=""):
    kind = f'"event":"{event}",' if event else ""
    return f'{{{kind}"order_id":"{name}","limit_price":{price},"order_qty":{quantity},"timestamp":"x"}}'


def level3(kind, bids, asks, text):
    return (
        f'{{"channel":"level3","type":"{kind}","data":[{{"symbol":"{BTC}","checksum":{crc32(text.encode())},'
        f'"bids":[{",".join(bids)}],"asks":[{",".join(asks)}]}}]}}'
    )


def test_order_books_are_proved_too():
    asks = [order("A", "101.0", "1.00000000"), order("B", "101.0", "2.00000000")]
    first = level3(
        "snapshot", [order("C", "100.0", "0.50000000")], asks, "10101000000001010200000000100050000000"
    )
    second = level3(
        "update",
        [order("C", "100.0", "0.50000000", "delete"), order("D", "99.5", "0.10000000", "add")],
        [order("A", "101.0", "0.00000001", "modify")],
        "101011010200000000" + "99510000000",
    )
    report = read(first, second)
    assert (report.ok, report.checksums_verified, report.books) == (True, 2, 1)
    assert read(first, second.replace('"event":"modify"', '"event":"delete"')).checksums_failed == 1


# ---- v1 ----


def test_dialects_are_told_apart():
    assert dialect([b'{"channel":"heartbeat"}']) == "v2"
    assert dialect([b'{"event":"heartbeat"}', b'[1,{},"book-10","A/B"]']) == "spot v1"
    assert dialect([b'{"event":"info","version":1}']) == "futures v1"
    assert dialect([b"junk"]) == "v2"


SPOT = (
    '[1,{"as":[["5541.30000","2.50700000","1"],["5541.80000","0.33000000","1"]],'
    '"bs":[["5541.20000","1.52900000","1"]]},"book-10","XBT/USD"]'
)


def spot_update(text, rows):
    return f'[1,{rows},{{"c":"{crc32(text.encode())}"}},"book-10","XBT/USD"]'


def test_spot_v1_checksums_are_of_the_text():
    removed = spot_update(
        "55418000033000000" + "554120000152900000", '{"a":[["5541.30000","0.00000000","2"]]}'
    )
    again = spot_update(
        "55418000033000000" + "55415000010000000" + "554120000152900000",
        '{"b":[["5541.50000","0.10000000","3","r"]]}',
    )
    report = read(SPOT, removed, again)
    assert (report.dialect, report.ok, report.checksums_verified, report.unproved) == ("spot v1", True, 2, 1)
    wrong = read(SPOT, removed.replace("5541.30000", "5541.80000"), again)
    assert (wrong.ok, wrong.checksums_failed, wrong.unproved) == (False, 1, 2)


@pytest.mark.parametrize(
    "odd", ["[1]", '[1,{"a":[["x","1","1"]],"c":"1"},"book-10","XBT/USD"]', "[1,{},2,3]", "[" * 5000, "7"]
)
def test_spot_v1_junk_is_malformed(odd):
    report = read(SPOT, odd)
    assert (report.ok, report.malformed + report.unknown_frames) in {(False, 1), (False, 2)}


def test_futures_v1_books_are_proved_by_their_sequence():
    snapshot = (
        '{"feed":"book_snapshot","product_id":"PI_XBTUSD","seq":5,"timestamp":1,'
        '"bids":[{"price":100.0,"qty":5.0}],"asks":[{"price":101.5,"qty":2.0}]}'
    )
    change = (
        '{"feed":"book","product_id":"PI_XBTUSD","side":"buy","seq":%d,"price":%s,"qty":3.0,"timestamp":2}'
    )
    honest = read(snapshot, change % (6, "100.5"), change % (7, "101"))
    assert (honest.dialect, honest.ok, honest.gaps, honest.crossed) == ("futures v1", True, 0, 0)
    assert (read(snapshot, change % (8, "100.5")).gaps, read(snapshot, change % (8, "100.5")).missing) == (
        1,
        2,
    )
    assert read(snapshot, change % (6, "102")).crossed == 1


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared captures are not on this machine")
def test_recorded_captures_are_proved(capsys):
    spot, futures = (next(SHARED.glob(f"kraken-{name}-*.parquet")) for name in ("spot", "futures"))
    assert run(["venue", "verify", str(spot), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["checksums_verified"], found["checksums_failed"], found["books"]) == (4269, 0, 10)
    assert run(["venue", "verify", str(futures), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["book_messages"], found["gaps"], found["crossed"]) == (7024, 0, 0)


# ---- files ----


def test_lines_may_be_frames_or_wrapped(tmp_path, capsys):
    frames = list(recording())
    lines = [
        frames[0],
        json.dumps({"t": 1_704_067_200_000_000_000, "frame": frames[1]}),
        f'{{"t":1704067201.25,"frame":{frames[2]}}}',
        f'{{"t":"2024-01-01T00:00:02Z","dir":"received","frame":{frames[3]}}}',
        '{"t":1704067201.5,"dir":"sent","frame":{"method":"ping","req_id":1}}',
        "",
        *frames[4:],
    ]
    path = tmp_path / "day.ndjson"
    path.write_text("\n".join(lines))
    assert run(["venue", "verify", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["frames"], found["checksums_verified"], found["file"]) == (124, 82, "day.ndjson")
    assert found["first"] == "2024-01-01T00:00:00.000000Z"


def test_what_cannot_be_verified_says_so_by_its_code(tmp_path, capsys):
    path = tmp_path / "odd.ndjson"
    path.write_bytes(b"\xff\xfe\n" + trade(1).encode())
    assert run(["venue", "verify", str(path)]) == 65
    assert "malformed" in capsys.readouterr().out
    path.write_bytes(b"")
    assert run(["venue", "verify", str(path)]) == 65
    assert "expected frames" in capsys.readouterr().err
    assert run(["venue", "verify", str(tmp_path / "none.ndjson")]) == 64
    table = tmp_path / "odd.parquet"
    pl.DataFrame({"x": [1]}).write_parquet(table)
    assert run(["venue", "verify", str(table)]) == 65
    assert "expected Parquet with recv_s" in capsys.readouterr().err
