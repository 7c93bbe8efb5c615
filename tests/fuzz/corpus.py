"""Seeds: the documented messages, from the shared folder where it is, else from the golden one."""

import json
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "kraken"
SHARED = ROOT.parent / "shared" / "kraken" / "samples"

LISTING = (
    b'{"channel":"instrument","type":"snapshot","data":{"assets":[],"pairs":['
    b'{"symbol":"BTC/USD","base":"BTC","quote":"USD","status":"online","qty_precision":8,'
    b'"qty_increment":1e-08,"price_precision":1,"marginable":true,"margin_initial":0.2,"cost_min":0.5,'
    b'"price_increment":0.1,"qty_min":0.0001},'
    b'{"symbol":"MATIC/USD","base":"MATIC","quote":"USD","status":"online","qty_precision":8,'
    b'"qty_increment":1e-08,"price_precision":4,"marginable":false,"cost_min":0.5,'
    b'"price_increment":0.0001,"qty_min":4}]}}'
)
SYMBOLS = ("BTC/USD", "MATIC/USD")
ODD = (
    LISTING,
    b'{"channel":"heartbeat"}',
    b'{"Error":"Exceeded msg rate"}',
    b'{"error":"Currency pair not supported X/EUR","method":"subscribe","success":false,"symbol":"X/EUR"}',
    b'{"error":"ESession:Invalid session","method":"subscribe","req_id":42,"status":"error","success":false}',
    b'{"method":"batch_add","result":{"orders":[{"order_id":"A","success":true}]},"success":true}',
    b"CloudFlare WebSocket proxy restarting",
)
ASKED = (
    b'{"method":"subscribe","params":{"channel":"book","symbol":["XRP/USDT","BTC/USDT"],"depth":25},"req_id":1}',
    b'{"method":"subscribe","params":{"channel":"ticker","symbol":["XRP/USDT"],"event_trigger":"bbo"}}',
    b'{"method":"subscribe","params":{"channel":"ohlc","symbol":["XRP/USDT"],"interval":5}}',
    b'{"method":"unsubscribe","params":{"channel":"trade","symbol":["XRP/USDT"]},"req_id":2}',
    (
        b'{"method":"add_order","params":{"order_type":"limit","side":"buy","limit_price":0.5,'
        b'"order_qty":100.0,"symbol":"XRP/USDT","margin":true,"cl_ord_id":"mine",'
        b'"deadline":"2024-06-14T12:00:05.000Z","token":"T"}}'
    ),
    (
        b'{"method":"add_order","params":{"order_type":"stop-loss","side":"sell","order_qty":100.0,'
        b'"symbol":"XRP/USDT","triggers":{"reference":"last","price":0.1},"reduce_only":true,'
        b'"margin":true,"cl_ord_id":"stop","token":"T"},"req_id":3}'
    ),
    b'{"method":"amend_order","params":{"cl_ord_id":"mine","limit_price":0.4,"order_qty":90.0,"token":"T"}}',
    b'{"method":"cancel_order","params":{"cl_ord_id":["mine","stop"],"token":"T"},"req_id":4}',
)


class Corpus(msgspec.Struct, frozen=True):
    """Seeds by where they are fed: what the venue says, what a client asks, what REST answers."""

    frames: tuple[bytes, ...]
    requests: tuple[bytes, ...]
    bodies: tuple[tuple[str, bytes], ...]


def load(*, shared: bool = True) -> Corpus:
    """Read the seeds; `shared` False keeps to the golden folder, the same on every machine."""
    folder = SHARED if shared and SHARED.is_dir() else GOLDEN
    frames, requests = list(ODD), list(ASKED)
    for path in sorted(folder.glob("ws_*.json")):
        raw = path.read_bytes()
        listed = msgspec.json.decode(raw, type=list[msgspec.Raw]) if raw[:1] == b"[" else [raw]
        for one in map(bytes, listed):
            asks = "params" in json.loads(one) or json.loads(one).get("method") == "ping"
            (requests if asks else frames).append(one)
    bodies = tuple((path.stem, path.read_bytes()) for path in sorted(folder.glob("rest_*.json")))
    return Corpus(tuple(frames), tuple(requests), bodies)
