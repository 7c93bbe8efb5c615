from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.orders import AmendOrder, OrderType, Purpose, Side, SubmitOrder, TimeInForce
from venue import wire

GOLDEN = Path(__file__).parents[1] / "golden" / "kraken"
SHARED = Path(__file__).parents[3] / "shared" / "kraken" / "samples"
EXPECTED = {
    "status": wire.StatusFrame,
    "heartbeat": wire.HeartbeatFrame,
    "instrument": wire.InstrumentFrame,
    "trade": wire.TradeFrame,
    "book": wire.BookFrame,
    "executions": wire.ExecutionsFrame,
    "balances": wire.BalancesFrame,
    "ticker": wire.TickerFrame,
    "ohlc": wire.CandleFrame,
    "level3": wire.Level3Frame,
}


def frames(path):
    """One message or a list of them per file; the bytes of each stay as printed."""
    raw = path.read_bytes()
    return msgspec.json.decode(raw, type=list[msgspec.Raw]) if raw.lstrip()[:1] == b"[" else [raw]


def golden(name):
    return [wire.decode(bytes(frame)) for frame in frames(GOLDEN / f"{name}.json")]


def assert_decodes_as_documented(path):
    for frame in frames(path):
        plain = msgspec.json.decode(frame)
        if "params" in plain or "message" in plain or plain == {"method": "ping", "req_id": 101}:
            continue  # a request, or a worked example that wraps its message
        expected = EXPECTED[plain["channel"]] if "channel" in plain else wire.Ack
        assert type(wire.decode(bytes(frame))) is expected


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("ws_*.json")), ids=lambda path: path.stem)
def test_documented_message_decodes(path):
    assert_decodes_as_documented(path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared sample folder is not on this machine")
def test_every_shared_sample_of_spot_decodes():
    paths = sorted(SHARED.glob("ws_*.json"))
    assert len(paths) > 60
    for path in paths:
        assert_decodes_as_documented(path)


def test_connection_id_beyond_two_to_the_63_survives():
    (status,) = golden("ws_status")
    assert status.data[0].connection_id == 13834774380200032777 > 2**63
    assert status.data[0].system == "online"


def test_numbers_keep_their_digits():
    (frame,) = golden("ws_book_checksum_wire_form")
    assert str(frame.data[0].bids[0].qty) == "0.10000000"
    assert str(frame.data[0].bids[3].price) == "45281.0"


def test_instrument_exponents_are_numbers():
    (frame,) = golden("ws_instrument_snapshot")
    assert frame.data.pairs[0].qty_increment == Decimal("0.00000001")
    assert frame.data.pairs[1].margin_initial is None


def test_refusal_names_its_error_and_symbol():
    error = "Currency pair not supported XBT/EUR"
    refusal = {
        "error": error,
        "method": "subscribe",
        "success": False,
        "symbol": "XBT/EUR",
        "status": "error",
    }
    ack = wire.decode(msgspec.json.encode(refusal))
    assert ack == wire.Ack("subscribe", False, error=error, symbol="XBT/EUR")


def test_rate_refusal_without_method_is_a_refusal():
    assert wire.decode(b'{"Error":"Exceeded msg rate"}') == wire.Ack("", False, error="Exceeded msg rate")


def test_cancel_answers_share_one_request_id():
    first, second = golden("ws_cancel_order_responses")
    assert first.req_id == second.req_id == 123456789
    assert {first.result.order_id, second.result.order_id} == {"OLUMT4-UTEGU-ZYM7E9", "OM5CRX-N2HAL-GFGWE9"}


def test_batch_result_list_does_not_break_the_ack():
    ack = wire.decode(b'{"method":"batch_add","result":[{"order_id":"A"}],"success":true,"req_id":1}')
    assert ack.success
    assert ack.result == wire.AckResult()


def test_unknown_keys_are_ignored_in_any_order():
    (known,) = golden("ws_trade_update")
    plain = msgspec.json.decode((GOLDEN / "ws_trade_update.json").read_bytes())
    plain["data"][0] = {"new": [1], **dict(reversed(plain["data"][0].items()))}
    decoded = wire.decode(msgspec.json.encode({"odd": {}, **dict(reversed(plain.items()))}))
    assert decoded == known
    assert decoded.data[0].side is Side.SELL


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"CloudFlare WebSocket proxy restarting",
        b"[]",
        b"[" * 100_000,
        b"{}",
        b"\xff\xfe",
        b'{"method": "subscri\x97e", "success": true}',
        b'{"channel":"trade","data":7,"type":"update"}',
        b'{"channel":"book","type":"update","data":[{"symbol":"A/B","bids":[{"price":NaN,"qty":1}]}]}',
        b'{"channel":5}',
    ],
)
def test_broken_frame_is_a_value(frame):
    assert isinstance(wire.decode(frame), wire.Malformed)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_bytes_crash_the_decoder(frame):
    assert isinstance(wire.decode(frame), wire.Message)


@pytest.mark.parametrize(
    "price, quantity, verdict",
    [
        ("1.5", "0", True),
        ("0", "1", False),
        ("-1", "1", False),
        ("1", "-1", False),
        ("1e308", "1", False),
        ("1", "1e308", False),
        ("NaN", "1", False),
        ("1", "Infinity", False),
        ("sNaN", "1", False),
    ],
)
def test_impossible_numbers_are_seen(price, quantity, verdict):
    assert wire.possible(Decimal(price), Decimal(quantity)) is verdict


@pytest.mark.parametrize(
    "text, expected",
    [
        ("1970-01-01T00:00:01.000001Z", 1_000_001_000),
        ("2023-10-04T16:25:00.000000001Z", 1_696_436_700_000_000_001),
        ("2023-10-04T16:25:00Z", 1_696_436_700_000_000_000),
        ("2023-10-04T16:25:00.5Z", 1_696_436_700_500_000_000),
    ],
)
def test_timestamps_become_nanoseconds(text, expected):
    assert wire.timestamp_ns(text) == expected


@settings(max_examples=100, deadline=None)
@given(st.decimals(min_value=Decimal("1e-12"), max_value=Decimal("1e12"), allow_nan=False))
def test_request_numbers_are_plain_floats_of_the_same_value(value):
    text = bytes(wire.number(value)).decode()
    assert "e" not in text.lower()
    assert "." in text
    assert Decimal(text) == value


STOP = SubmitOrder(
    account="main",
    trader="a",
    cl_ord_id="SMaa1",
    instrument="BTC/USDT",
    side=Side.SELL,
    quantity=Decimal("0.00001"),
    order_type=OrderType.STOP_LOSS,
    purpose=Purpose.STOP,
    time_in_force=TimeInForce.GTC,
    deadline=1_717_409_100_123_999_999,
    trigger_price=Decimal(60000),
    reduce_only=True,
)


def sent(frame):
    return msgspec.json.decode(frame, type=dict[str, object])


def test_stop_request_is_spelt_as_documented():
    frame = wire.add_order(9, "T", STOP)
    assert sent(frame) == {
        "method": "add_order",
        "params": {
            "order_type": "stop-loss",
            "side": "sell",
            "symbol": "BTC/USDT",
            "order_qty": 1e-05,
            "cl_ord_id": "SMaa1",
            "deadline": "2024-06-03T10:05:00.123Z",
            "triggers": {"reference": "last", "price": 60000.0, "price_type": "static"},
            "margin": True,
            "reduce_only": True,
            "token": "T",
        },
        "req_id": 9,
    }
    assert b'"order_qty":0.00001' in frame
    assert b'"price":60000.0' in frame


def test_entry_request_is_spelt_as_documented():
    entry = msgspec.structs.replace(
        STOP,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        purpose=Purpose.ENTRY,
        time_in_force=TimeInForce.GTD,
        limit_price=Decimal("61000.5"),
        trigger_price=None,
        expires=1_717_409_160_000_000_000,
        reduce_only=False,
        post_only=True,
        after="SMaa0",
    )
    params = sent(wire.add_order(1, "T", entry))["params"]
    assert params["time_in_force"] == "gtd"
    assert params["expire_time"] == "2024-06-03T10:06:00Z"
    assert params["limit_price"] == 61000.5
    assert params["post_only"] is True
    assert "reduce_only" not in params
    assert "triggers" not in params
    assert "after" not in params


def test_stop_without_trigger_is_our_own_bug():
    with pytest.raises(ValueError, match="expected a trigger price"):
        wire.add_order(1, "T", msgspec.structs.replace(STOP, trigger_price=None))


def test_amend_sends_only_what_changes():
    amend = AmendOrder("main", "a", "SMaa1", "BTC/USDT", STOP.deadline, trigger_price=Decimal("60500.0"))
    assert sent(wire.amend_order(3, "T", amend))["params"] == {
        "cl_ord_id": "SMaa1",
        "deadline": "2024-06-03T10:05:00.123Z",
        "trigger_price": 60500.0,
        "token": "T",
    }


def test_cancel_and_ping_are_spelt_as_documented():
    assert sent(wire.cancel_order(4, "T", "SMaa1")) == {
        "method": "cancel_order",
        "params": {"cl_ord_id": ["SMaa1"], "token": "T"},
        "req_id": 4,
    }
    assert wire.ping(5) == b'{"method":"ping","req_id":5}'
