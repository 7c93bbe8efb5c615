"""Every documented message: decoded, and written again with the very digits it came with.

The golden folder holds a part of the documentation's examples; the whole of them is read where the
shared folder is. Numbers are compared by sign, digits and exponent, so that a lost zero shows.
"""

import json
from decimal import Decimal, DecimalTuple
from pathlib import Path

import msgspec
import pytest

from venue import futures, rest, wire
from venue import rest_values as values
from venue import wire_requests as requests
from venue.book import Book, Fault
from venue.level3 import OrderBook
from venue.verify_report import guessed
from venue.verify_scan import Scan
from venue.wire_market import AssetRow, RestingOrder

GOLDEN = Path(__file__).parents[1] / "golden" / "kraken"
SHARED = Path(__file__).parents[3] / "shared" / "kraken" / "samples"
needs_samples = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared samples are not on this machine")

# Deprecated by the venue: each says again what another field says.
TWINS = {
    "executions": {"stop_price", "cancel_reason", "trigger", "triggered_price"},
    "instrument": {"tick_size"},
    "ohlc": {"timestamp"},
}
FLOATS = {"order_qty", "cash_order_qty", "limit_price", "trigger_price", "price", "display_qty"}
METHODS = {
    kind.method: kind
    for kind in (
        requests.OrderParams,
        requests.AmendParams,
        requests.EditParams,
        requests.CancelParams,
        requests.CancelAll,
        requests.CancelAllAfter,
        requests.BatchAdd,
        requests.BatchCancel,
    )
}
encode = msgspec.json.Encoder(decimal_format="number").encode


def digits(token):
    return Decimal(token).as_tuple()


def read(raw):
    """Parse JSON with every number as its digits."""
    return json.loads(raw, parse_float=digits, parse_int=digits)


def messages(path):
    raw = path.read_bytes()
    return list(map(bytes, msgspec.json.decode(raw, type=list[msgspec.Raw]))) if raw[:1] == b"[" else [raw]


def without_twins(frame):
    channel = frame["channel"]
    listed = frame.get("data", ())
    rows = [*listed["pairs"], *listed["assets"]] if channel == "instrument" else listed
    for row in rows:
        for name in TWINS.get(channel, ()):
            row.pop(name, None)
    return frame


def with_points(value):
    """A documented request may say 100; a float field says 100.0, which is what the venue checks."""
    if isinstance(value, list):
        return [with_points(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    return {
        key: Decimal(f"{Decimal(inner)}.0").as_tuple()
        if key in FLOATS and isinstance(inner, tuple) and inner.exponent == 0
        else with_points(inner)
        for key, inner in value.items()
    }


def assert_written_again(raw):
    """A frame of the venue: its struct holds all that is documented, to the digit."""
    decoded = wire.decode(raw)
    assert not isinstance(decoded, wire.Malformed | wire.UnknownChannel), decoded
    expected = read(raw)
    written = read(encode(decoded))
    if isinstance(decoded, wire.Ack):
        if "result" not in expected or isinstance(expected["result"], list):
            written.pop("result", None)
        if legs := written.pop("legs", None):
            written["result"] = legs
        if decoded.method == "pong":
            assert written.pop("success")
        assert written == expected
    else:
        assert written == without_twins(expected)


def assert_request_written_again(raw):
    plain = json.loads(raw)
    method, params, req_id = plain["method"], plain.get("params"), plain.get("req_id")
    if method == "ping":
        assert read(wire.ping(req_id)) == read(raw)
    elif method in ("subscribe", "unsubscribe"):
        write = wire.subscribe if method == "subscribe" else wire.unsubscribe
        assert read(write(req_id, **params)) == read(raw)
    else:
        inner = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])["params"]
        value = msgspec.json.decode(inner, type=METHODS[method])
        assert read(requests.request(value, params["token"], req_id)) == with_points(read(raw))


def is_request(raw):
    plain = json.loads(raw)
    return "params" in plain or plain.get("method") == "ping"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("ws_*.json")), ids=lambda path: path.stem)
def test_golden_message_is_written_again(path):
    for raw in messages(path):
        (assert_request_written_again if is_request(raw) else assert_written_again)(raw)


@needs_samples
def test_every_shared_spot_message_is_written_again():
    asked = told = 0
    for path in sorted(SHARED.glob("ws_*.json")):
        for raw in messages(path):
            if b'"message"' in raw:
                continue  # a worked example with its numbers as text: see the checksums below
            if is_request(raw):
                assert_request_written_again(raw)
                asked += 1
            else:
                assert_written_again(raw)
                told += 1
    assert (asked, told) == (28, 55)


# ---- checksums (the signature vector is in test_loopback) ----


def book_of(raw, depth):
    (row,) = Scan([raw]).listings().values()
    return Book(guessed(row.symbol, row.price_precision, row.qty_precision), depth)


def test_documented_book_checksum():
    raw = (GOLDEN / "ws_book_checksum_wire_form.json").read_bytes()
    (row,) = wire.decode(raw).data
    book = book_of(raw, 10)
    assert book.replace(row.bids, row.asks, 3310070434) is None


def test_documented_book_snapshot_and_update_checksums():
    (snapshot,) = wire.decode((GOLDEN / "ws_book_snapshot.json").read_bytes()).data
    (update,) = wire.decode((GOLDEN / "ws_book_update.json").read_bytes()).data
    book = book_of((GOLDEN / "ws_book_snapshot.json").read_bytes(), 10)
    assert book.replace(snapshot.bids, snapshot.asks, 2439117997) is None
    assert book.update(update.bids, update.asks, 2114181697) is None


def test_documented_level3_checksum():
    # Kraken's guide "Order book by orders": prices and quantities of its worked example, in order.
    worked = json.loads((GOLDEN / "level3_checksum.json").read_bytes())
    bids, asks = (
        [
            RestingOrder(f"{side}{place}", Decimal(price), Decimal(quantity), "")
            for place, (price, quantity) in enumerate(worked[side])
        ]
        for side in ("bids", "asks")
    )
    book = OrderBook(worked["price_precision"], worked["qty_precision"], depth=10)
    assert book.replace(bids, asks, 1063832831) is None
    assert book.replace(bids, asks[:-1], 1063832831) is Fault.CHECKSUM


# ---- REST and futures ----

REST = {
    "rest_add_order_batch_response": values.PlacedBatch,
    "rest_add_order_response": values.Placed,
    "rest_amend_order_response": values.Amended,
    "rest_asset_pairs": dict[str, rest.Pair],
    "rest_assets": dict[str, values.Asset],
    "rest_balance": dict[str, Decimal],
    "rest_balance_ex": dict[str, values.ExtendedBalance],
    "rest_cancel_all_orders_after_response": values.SwitchSet,
    "rest_cancel_all_response": values.Cancelled,
    "rest_cancel_order_response": values.Cancelled,
    "rest_depth": dict[str, values.Depth],
    "rest_get_websockets_token": values.SocketToken,
    "rest_ohlc": dict[str, list[rest.OhlcRow] | int],
    "rest_open_positions": dict[str, rest.PositionRow],
    "rest_query_orders": dict[str, rest.OrderRow],
    "rest_spread": dict[str, list[values.Spread] | str | int],
    "rest_system_status": values.SystemStatus,
    "rest_ticker": dict[str, values.Ticker],
    "rest_time": rest.ServerTime,
    "rest_trade_balance": values.TradeBalance,
    "rest_trade_volume": values.TradeVolume,
    "rest_trades": dict[str, list[values.PublicTrade] | str | int],
}
INSIDE = {
    "rest_open_orders": ("open", dict[str, rest.OrderRow]),
    "rest_closed_orders": ("closed", dict[str, rest.OrderRow]),
    "rest_trades_history": ("trades", dict[str, rest.TradeRow]),
}
ERRORS = {"rest_error_invalid_arguments", "rest_error_invalid_key"}
SENT = {"rest_amend_order_request", "rest_signature_vector"}


def assert_holds(written, expected):
    """What a struct keeps of an answer came through as it was printed, text or number."""
    if isinstance(written, dict):
        assert not expected or written.keys() & expected.keys()
        for key in written.keys() & expected.keys():
            assert_holds(written[key], expected[key])
    elif isinstance(written, list):
        assert len(written) == len(expected)
        for one, other in zip(written, expected, strict=True):
            assert_holds(one, other)
    elif isinstance(written, DecimalTuple) and isinstance(expected, str):
        assert written == digits(expected)
    else:
        assert written == expected


def assert_rest_decodes(path):
    body = path.read_bytes()
    if path.stem in ERRORS:
        assert rest.errors_of(body)
        return
    assert rest.errors_of(body) == ()
    found, expected = None, read(body)["result"]
    if path.stem in INSIDE:
        name, kind = INSIDE[path.stem]
        found = msgspec.json.decode(rest.result_of(body, dict[str, msgspec.Raw])[name], type=kind)
        expected = expected[name]
    else:
        found = rest.result_of(body, REST[path.stem])
    assert_holds(read(encode(found)), expected)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("rest_*.json")), ids=lambda path: path.stem)
def test_golden_rest_answer_decodes(path):
    assert_rest_decodes(path)


@needs_samples
def test_every_shared_rest_answer_decodes():
    paths = [path for path in sorted(SHARED.glob("rest_*.json")) if path.stem not in SENT]
    assert {path.stem for path in paths} == {*REST, *INSIDE, *ERRORS}
    for path in paths:
        assert_rest_decodes(path)


def test_pages_name_their_pair_and_cursor():
    body = (
        b'{"error":[],"result":{"XXBTZUSD":[["30243.4","0.5",1688669597.8277369,"b","m","",7]],"last":"168"}}'
    )
    answer = rest.result_of(body, dict[str, list[values.PublicTrade] | str | int])
    name, (row,), cursor = values.page(answer)
    assert (name, cursor, row.trade_id, str(row.seconds)) == ("XXBTZUSD", "168", 7, "1688669597.8277369")


def test_available_is_what_no_order_holds():
    row = values.ExtendedBalance(Decimal(10), hold_trade=Decimal(3), credit=Decimal(2))
    assert row.available == 9


def test_token_shows_nothing():
    assert "abc" not in repr(values.SocketToken("abc", 900))


@needs_samples
def test_every_shared_futures_message_decodes_with_its_digits():
    paths = sorted(SHARED.glob("futures_*.json"))
    assert len(paths) == 7
    for path in paths:
        raw = path.read_bytes()
        if path.stem.startswith("futures_rest"):
            found = msgspec.json.decode(raw, type=futures.Answer)
        elif path.stem == "futures_ws_ticker_subscribe":
            assert read(futures.subscribe("ticker", ("PI_XBTUSD",))) == read(raw)
            continue
        else:
            found = futures.decode(raw)
        assert read(encode(found)) == read(raw)


def test_funding_keeps_its_exponent():
    raw = b'{"feed":"ticker","product_id":"PI_XBTUSD","time":1,"relative_funding_rate":-1.380384722222e-06}'
    assert futures.decode(raw).relative_funding_rate == Decimal("-0.000001380384722222")
    assert futures.decode(b"<html>") is None
    assert futures.decode(b'{"event":"error","message":"Invalid product id"}').message == "Invalid product id"


def test_assets_are_decoded():
    (frame,) = [wire.decode(raw) for raw in messages(GOLDEN / "ws_instrument_update.json")]
    assert frame.data.assets[0] == AssetRow(
        "BTC",
        "enabled",
        precision=10,
        precision_display=5,
        borrowable=True,
        collateral_value=Decimal("1.0"),
        margin_rate=Decimal("0.01"),
    )
