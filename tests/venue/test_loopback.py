"""The loopback venue without sockets: desks on a clock that the test moves."""

import base64
import hashlib
import hmac
import zlib
from decimal import Decimal

import msgspec
import pytest

from core.clock import DAY, MINUTE, SECOND, ManualClock
from core.errors import ConfigError, DataError
from core.text import parse_iso
from tests.venue.loopback_client import (
    BTC,
    SECRET,
    SETTINGS,
    START,
    XRP,
    Client,
    margin_order,
    public,
    rest,
    rows,
    top,
    venue_at,
)
from venue.loopback import LoopbackPorts, build, read_bars, serve
from venue.loopback_connection import Connection, read_request
from venue.loopback_keys import KeyRing, LoopbackAccount
from venue.loopback_rest_public import RestError

# ---- public channels ----


def test_one_ack_per_symbol_with_the_same_req_id_and_refusals_leave_the_socket_alone():
    client = Client(*venue_at())
    acks = [f for f in client.subscribed("trade", symbol=[XRP, "XBT/EUR", BTC], req_id=None) if "method" in f]
    assert [ack["success"] for ack in acks] == [True, False, True]
    assert acks[1]["error"] == "Currency pair not supported XBT/EUR"
    assert acks[1]["symbol"] == "XBT/EUR"
    (ack,) = client.ask("subscribe", 7, channel="book", symbol=[XRP], depth=11)
    assert (ack["error"], ack["req_id"]) == ("Subscription depth not supported", 7)
    (ack,) = client.ask("dance", 8)
    assert (ack["error"], ack["req_id"]) == ("Unsupported event", 8)
    (pong,) = client.ask("ping", 9)
    assert (pong["method"], pong["req_id"]) == ("pong", 9)


def test_heartbeats_start_with_the_first_subscription():
    client = Client(*venue_at())
    client.frames()
    client.venue.public.heartbeat()
    assert client.frames() == []
    client.subscribed("instrument")
    client.venue.public.heartbeat()
    assert client.frames() == [{"channel": "heartbeat"}]


def test_instrument_snapshot_is_an_object_with_assets_and_pairs():
    frames = Client(*venue_at()).subscribed("instrument")
    data = frames[-1]["data"]
    assert [pair["symbol"] for pair in data["pairs"]] == [XRP, BTC]
    assert data["pairs"][0]["margin_initial"] == Decimal("0.2")
    assert {asset["id"] for asset in data["assets"]} == {"XRP", "USDT", "BTC"}


class NaiveBook:
    """A book as the protocol text describes it, with a checksum made from the wire's digits."""

    def __init__(self, depth):
        self.depth, self.bids, self.asks = depth, {}, {}

    def apply(self, data):
        for side, levels in ((self.bids, data["bids"]), (self.asks, data["asks"])):
            for level in levels:
                if level["qty"] == 0:
                    side.pop(level["price"], None)
                else:
                    side[level["price"]] = level["qty"]
        for side, reverse in ((self.bids, True), (self.asks, False)):
            for price in sorted(side, reverse=reverse)[self.depth :]:
                del side[price]

    def checksum(self):
        lines = [(p, self.asks[p]) for p in sorted(self.asks)[:10]]
        lines += [(p, self.bids[p]) for p in sorted(self.bids, reverse=True)[:10]]
        text = "".join(str(v).replace(".", "").lstrip("0") for line in lines for v in line)
        return zlib.crc32(text.encode())


@pytest.mark.parametrize("depth", [10, 25])
def test_book_updates_keep_a_naive_book_equal_checksum_for_checksum(depth):
    client = Client(*venue_at())
    book, updates = NaiveBook(depth), 0
    frames = client.subscribed("book", symbol=[BTC, XRP], depth=depth)
    for _ in range(40):
        for frame in frames:
            if frame.get("channel") == "book" and frame["data"][0]["symbol"] == XRP:
                book.apply(frame["data"][0])
                assert book.checksum() == frame["data"][0]["checksum"]
                assert len(book.bids) == len(book.asks) == depth
                updates += 1
        frames = client.wait(20 * SECOND)
    assert updates > 100
    assert max(book.bids) < min(book.asks)


def test_trades_are_published_once_each_and_agree_with_rest():
    client = Client(*venue_at())
    client.subscribed("trade", symbol=[XRP])
    seen = [row for _ in range(20) for row in rows(client.wait(9 * SECOND), "trade")]
    ids = [row["trade_id"] for row in seen]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    page = public(client.venue, "Trades", pair="XRPUSDT", since=str(START))
    assert [row[6] for row in page["XRPUSDT"]] == ids
    assert page["last"] == str(parse_iso(seen[-1]["timestamp"]))


def test_trade_snapshot_holds_the_last_fifty():
    frames = Client(*venue_at()).subscribed("trade", symbol=[XRP], snapshot=True)
    assert [f.get("type") for f in frames] == [None, "snapshot"]
    assert len(rows(frames, "trade")) == 50


def test_ohlc_and_ticker_follow_the_trades():
    client = Client(*venue_at())
    snapshot = rows(client.subscribed("ohlc", symbol=[XRP], interval=5), "ohlc")
    assert len(snapshot) == 720
    client.subscribed("ticker", symbol=[XRP])
    client.subscribed("trade", symbol=[XRP])
    frames = client.wait(MINUTE)
    last = rows(frames, "trade")[-1]["price"]
    assert rows(frames, "ohlc")[-1]["close"] == last
    assert rows(frames, "ohlc")[-1]["trades"] == len(rows(frames, "trade"))
    assert len(rows(frames, "ticker")) == len(rows(frames, "trade"))


def test_unsubscribed_and_gone_clients_hear_nothing():
    venue, clock = venue_at()
    client, gone = Client(venue, clock), Client(venue, clock)
    for one in (client, gone):
        one.subscribed("trade", symbol=[XRP])
    client.ask("unsubscribe", channel="trade", symbol=[XRP])
    venue.public.closed(gone.connection)
    assert client.wait(MINUTE) == []
    assert gone.frames() == []


def test_a_client_that_does_not_read_is_cut_off():
    connection = Connection(1)
    for _ in range(20_100):
        connection.send("x")
    assert connection.closing
    last = [connection.frames.get_nowait() for _ in range(connection.frames.qsize())][-1]
    assert last is None


@pytest.mark.parametrize(
    "request_text",
    [
        "[]",
        "no json",
        '{"a":' * 100_000,
        '{"method":"subscribe","params":[]}',
        '{"method":"ping","req_id":"x"}',
        '{"method":1}',
    ],
)
def test_what_is_no_request_is_not_read(request_text):
    assert read_request(request_text) is None


@pytest.mark.parametrize(
    "channel,params",
    [
        ("trade", {"symbol": XRP}),
        ("trade", {"symbol": [[XRP]]}),
        ("book", {"symbol": [XRP], "depth": [10]}),
        ("book", {"symbol": [XRP], "depth": "10"}),
        ("ohlc", {"symbol": [XRP], "interval": {}}),
        ("weather", {"symbol": [XRP]}),
    ],
)
def test_odd_subscriptions_are_refused_with_an_ack(channel, params):
    client = Client(*venue_at())
    client.frames()
    (ack,) = client.ask("subscribe", channel=channel, **params)
    assert ack["success"] is False
    assert client.wait(MINUTE) == []


# ---- REST ----


def test_ohlc_gives_720_rows_and_the_last_one_is_running():
    venue, _ = venue_at(START + 7 * SECOND)
    for interval in (1, 5, 60):
        answer = public(venue, "OHLC", pair="XBTUSDT", interval=str(interval))
        table = answer["XBTUSDT"]
        assert len(table) == 720
        assert table[-1][0] == START // SECOND
        assert answer["last"] == table[-2][0]
        assert all(isinstance(text, str) for row in table for text in row[1:7])


@pytest.mark.parametrize(
    "name,key", [("XBTUSDT", "XBTUSDT"), ("XBT/USDT", "XBTUSDT"), ("BTC/USDT", "BTC/USDT")]
)
def test_pairs_answer_to_all_their_names(name, key):
    venue, _ = venue_at()
    assert list(public(venue, "AssetPairs", pair=name)) == [key]


def test_public_answers_have_krakens_shapes():
    venue, _ = venue_at()
    assert public(venue, "Time") == {"unixtime": START // SECOND, "rfc1123": "Fri, 14 Jun 24 12:00:00 +0000"}
    assert public(venue, "SystemStatus")["status"] == "online"
    assert public(venue, "Assets")["XXBT"]["altname"] == "XBT"
    depth = public(venue, "Depth", pair=BTC, count="3")["XBTUSDT"]
    assert [len(depth["asks"]), len(depth["bids"])] == [3, 3]
    assert set(public(venue, "Ticker")) == {"XBTUSDT", "XRPUSDT"}


@pytest.mark.parametrize(
    "method,query,error",
    [
        ("OHLC", {"pair": "NOPE"}, "EQuery:Unknown asset pair"),
        ("OHLC", {"pair": BTC, "interval": "7"}, "EGeneral:Invalid arguments"),
        ("OHLC", {"pair": BTC, "interval": "x"}, "EGeneral:Invalid arguments"),
        ("Trades", {"pair": BTC, "since": "yesterday"}, "EGeneral:Invalid arguments"),
    ],
)
def test_public_refusals(method, query, error):
    with pytest.raises(RestError, match=error):
        public(venue_at()[0], method, **query)


def test_trade_balance_counts_margin_and_open_profit():
    venue, clock = venue_at()
    client = Client(venue, clock, account="paper")
    _, ask = top(venue)
    client.ask("add_order", **margin_order(limit_price=float(ask) + 0.01))
    client.wait(SECOND)
    figures = {name: Decimal(text) for name, text in rest(venue, "TradeBalance").items()}
    assert figures["e"] == figures["tb"] + figures["n"]
    assert figures["mf"] == figures["e"] - figures["m"]
    assert figures["m"] * 5 == figures["c"]
    assert figures["ml"] > 100
    assert rest(venue, "TradeBalance", account="other")["m"] == "0.00000000"


def test_order_queries_find_open_closed_and_named_orders():
    venue, clock = venue_at()
    client = Client(venue, clock, account="paper")
    client.ask("add_order", **margin_order(limit_price=0.4, cl_ord_id="rest"))
    client.ask("add_order", **margin_order(limit_price=0.6, cl_ord_id="take", time_in_force="ioc"))
    client.wait(SECOND)
    ((open_id, row),) = rest(venue, "OpenOrders")["open"].items()
    assert (row["cl_ord_id"], row["status"], row["descr"]["leverage"]) == ("rest", "open", "5:1")
    ((_, done),) = rest(venue, "ClosedOrders")["closed"].items()
    assert (done["cl_ord_id"], done["status"]) == ("take", "closed")
    assert set(rest(venue, "QueryOrders", txid=open_id)) == {open_id}
    assert rest(venue, "OpenOrders", cl_ord_id="none")["open"] == {}
    with pytest.raises(RestError, match="Unknown order"):
        rest(venue, "QueryOrders", txid="ONE-TWO-THREE")
    history = rest(venue, "TradesHistory")
    assert history["count"] == len(done["trades"])
    assert set(history["trades"]) == set(done["trades"])
    later = str(clock.now() // SECOND + 60)
    assert rest(venue, "TradesHistory", start=later)["trades"] == {}


# ---- keys, settings ----


def signed(nonce, path="/0/private/Balance", secret=SECRET):
    body = f"nonce={nonce}".encode()
    message = path.encode() + hashlib.sha256(str(nonce).encode() + body).digest()
    mac = hmac.new(base64.b64decode(secret), message, hashlib.sha512).digest()
    return base64.b64encode(mac).decode(), path, body, str(nonce)


def test_key_ring_checks_key_signature_and_nonce():
    ring = KeyRing(SETTINGS.accounts, ManualClock())
    assert ring.authenticate("key", *signed(5)) == ("paper", "")
    assert ring.authenticate("key", *signed(5)) == ("", "EAPI:Invalid nonce")
    assert ring.authenticate("key2", *signed(1)) == ("other", "")
    assert ring.authenticate("nobody", *signed(6)) == ("", "EAPI:Invalid key")
    assert ring.authenticate("key", "AAAA", *signed(6)[1:]) == ("", "EAPI:Invalid signature")


def test_key_ring_knows_krakens_published_vector():
    secret = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
    signature = "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
    body = b"nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25"
    ring = KeyRing({"a": LoopbackAccount("k", secret, Decimal(1))}, ManualClock())
    assert ring.authenticate("k", signature, "/0/private/AddOrder", body, "1616492376594") == ("a", "")


def test_secret_must_be_base64():
    with pytest.raises(ConfigError, match="account a"):
        KeyRing({"a": LoopbackAccount("k", "not base64!", Decimal(1))}, ManualClock())


async def test_only_this_machine_may_connect():
    public_bind = msgspec.structs.replace(SETTINGS, host="0.0.0.0")
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1"):
        await serve(public_bind, ready=lambda _: None)


def test_missing_and_too_late_bars_say_so():
    with pytest.raises(DataError, match="ETH/EUR"):
        read_bars(SETTINGS, "ETH/EUR")
    with pytest.raises(DataError, match="2023-12-31"):
        build(SETTINGS, ManualClock(parse_iso("2024-01-01T00:00:00Z") - DAY))


def test_ports_spell_the_three_addresses():
    ports = LoopbackPorts(port=99)
    assert (ports.rest, ports.public) == ("http://127.0.0.1:99", "ws://127.0.0.1:99/v2")
    assert ports.private == "ws://127.0.0.1:99/v2-auth"
