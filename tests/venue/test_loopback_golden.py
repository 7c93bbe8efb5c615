"""Every public frame and body of the loopback against Kraken's documented samples: keys and types."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from core.clock import MINUTE
from tests.venue.fault_client import Guest
from tests.venue.loopback_client import BTC, XRP, Client, public, venue_at
from venue.loopback_level3 import Queues, Resting, checksum
from venue.loopback_listing import INFO

SAMPLES = Path(__file__).parents[2].parent / "shared" / "kraken" / "samples"
ELSEWHERE = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no documented samples at {SAMPLES}")
pytestmark = ELSEWHERE

# Keys that one side has and the other may lack: recorded but not documented, or the reverse.
OPTIONAL = {
    "event_trigger",  # in real acks of ticker, not in the example
    "snapshot",  # in the example of the book's unsubscription, not in a recorded one
    "req_id",  # only where the request had one
    "collateral_value",  # only for collateral
    "margin_rate",  # in REST's table of fields, not in its example
    "margin_initial",  # these three only where a pair is marginable
    "position_limit_long",
    "position_limit_short",
    "execution_venue",
}
SIDES = {"bids", "asks"}  # an update may leave one empty, and then it shows no level


def sample(name):
    return json.loads((SAMPLES / f"{name}.json").read_text())


def kind(value):
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    return "number" if isinstance(value, int | float | Decimal) else type(value).__name__


def shape(value):
    """Give every path in a message with the JSON types found there; elements of lists share one."""
    found = {}

    def walk(part, path):
        found.setdefault(path, set()).add(kind(part))
        for key, inner in part.items() if isinstance(part, dict) else ():
            walk(inner, f"{path}.{key}")
        for inner in part if isinstance(part, list) else ():
            walk(inner, f"{path}[]")

    walk(value, "")
    return found


def assert_same_shape(ours, theirs, *, optional=frozenset()):
    have, want, optional = shape(ours), shape(theirs), OPTIONAL | optional
    odd = {
        path for path in have.keys() ^ want.keys() if not optional & set(path.replace("[]", "").split("."))
    }
    assert not odd, f"on one side only: {sorted(odd)}"
    differing = {
        path: (have[path], want[path]) for path in have.keys() & want.keys() if have[path] - want[path]
    }
    assert not differing


def orders_client():
    venue, clock = venue_at()
    client = Client(venue, clock, account="paper")
    client.desk = venue.level3
    client.desk.opened(client.connection)
    client.frames()
    return client


def test_level3():
    client = orders_client()
    ack, snapshot = client.ask("subscribe", channel="level3", symbol=[XRP])
    assert_same_shape(ack, one(sample("ws_level3_subscribe_ack")), optional={"depth"})
    assert_same_shape(snapshot, sample("ws_level3_snapshot"))
    updates = client.wait(MINUTE)
    assert len(updates) > 3
    for frame in updates:
        assert_same_shape(frame, sample("ws_level3_update"), optional=SIDES)
    (ack,) = client.ask("unsubscribe", channel="level3", symbol=[XRP])
    assert_same_shape(ack, one(sample("ws_level3_unsubscribe_ack")), optional={"depth"})


def test_the_documented_level3_checksum():
    example = sample("ws_level3_checksum_example")
    frame = example["message"]["data"][0]

    def queues(rows):
        found = {}
        for row in rows:
            ticks = round(Decimal(row["limit_price"]) * 10)
            order = Resting(row["order_id"], ticks, round(Decimal(row["order_qty"]) * 10**8), 0)
            found[ticks] = (*found.get(ticks, ()), order)
        return found

    book = Queues("BTC/USD")
    book.bids, book.asks = queues(frame["bids"]), queues(frame["asks"])
    assert checksum(book) == example["expected_checksum"] == frame["checksum"]


def one(body):
    return body[0] if isinstance(body, list) else body


def connected():
    client = Client(*venue_at())
    client.frames()
    return client


@pytest.mark.parametrize("channel", ["ticker", "book", "trade", "ohlc", "instrument"])
def test_acks_of_subscriptions(channel):
    client = connected()
    params = {} if channel == "instrument" else {"symbol": [XRP]}
    ack = client.ask("subscribe", channel=channel, snapshot=True, **params)[0]
    assert_same_shape(ack, one(sample(f"ws_{channel}_subscribe_ack")))
    ack = client.ask("unsubscribe", channel=channel, **params)[0]
    assert_same_shape(ack, one(sample(f"ws_{channel}_unsubscribe_ack")))


@pytest.mark.parametrize("channel", ["ticker", "book", "trade", "ohlc", "instrument"])
def test_snapshots(channel):
    params = {} if channel == "instrument" else {"symbol": [XRP]}
    frame = connected().ask("subscribe", channel=channel, snapshot=True, **params)[-1]
    assert frame["type"] == "snapshot"
    assert_same_shape(frame, sample(f"ws_{channel}_snapshot"))


@pytest.mark.parametrize("channel", ["ticker", "book", "trade", "ohlc"])
def test_updates(channel):
    client = connected()
    client.ask("subscribe", channel=channel, symbol=[XRP])
    updates = client.wait(MINUTE)
    assert len(updates) > 3
    for frame in updates:
        assert_same_shape(frame, sample(f"ws_{channel}_update"), optional=SIDES)


def test_an_instrument_update_has_the_snapshots_shape():
    client = connected()
    client.ask("subscribe", channel="instrument")
    client.venue.public.on_instruments([client.venue.exchange.instruments[XRP]])
    (frame,) = client.frames()
    assert (frame["type"], [pair["symbol"] for pair in frame["data"]["pairs"]]) == ("update", [XRP])
    assert_same_shape(frame | {"type": "snapshot"}, sample("ws_instrument_snapshot"))


def test_status_heartbeat_and_pong():
    client = Guest(*venue_at())
    (status,) = client.frames()
    assert_same_shape(status, sample("ws_status"))
    assert_same_shape(client.ask("ping", 101)[0], sample("ws_ping_pong"))
    client.ask("subscribe", channel="trade", symbol=[XRP])
    client.venue.public.heartbeat()
    assert client.frames() == [sample("ws_heartbeat")]


@pytest.mark.parametrize(
    "method,name,query",
    [
        ("Time", "rest_time", {}),
        ("SystemStatus", "rest_system_status", {}),
        ("Assets", "rest_assets", {}),
        ("AssetPairs", "rest_asset_pairs", {}),
        ("Ticker", "rest_ticker", {"pair": BTC}),
        ("OHLC", "rest_ohlc", {"pair": BTC}),
        ("Depth", "rest_depth", {"pair": BTC}),
        ("Trades", "rest_trades", {"pair": BTC}),
        ("Spread", "rest_spread", {"pair": BTC}),
    ],
)
def test_bodies(method, name, query):
    ours, theirs = public(venue_at()[0], method, **query), sample(name)["result"]
    assert_same_shape(unnamed(ours), unnamed(theirs))


def unnamed(result):
    """Put what is keyed by names of pairs or assets under one key."""
    return {
        ("named" if isinstance(value, dict | list) else key): value for key, value in reversed(result.items())
    }


def test_digits_are_printed_as_documented():
    venue, _ = venue_at()

    def decimals(text):
        return len(text.partition(".")[2])

    theirs = sample("rest_ticker")["result"]["XXBTZUSD"]
    ours = public(venue, "Ticker", pair=BTC)["XBTUSDT"]
    for key in "abcvplh":
        assert [decimals(t) for t in ours[key]] == [decimals(t) for t in theirs[key]], key
    for name, method in (("rest_depth", "Depth"), ("rest_trades", "Trades"), ("rest_spread", "Spread")):
        ours, theirs = public(venue, method, pair=BTC)["XBTUSDT"], sample(name)["result"]["XXBTZUSD"]
        rows = (ours["asks"][0], theirs["asks"][0]) if method == "Depth" else (ours[0], theirs[0])
        texts = [[decimals(v) for v in row if isinstance(v, str)] for row in rows]
        assert texts[0] == texts[1], method


@pytest.mark.parametrize("info", INFO)
def test_parts_of_pairs_keep_their_keys(info):
    whole = sample("rest_asset_pairs")["result"]["XXBTZUSD"]
    assert set(public(venue_at()[0], "AssetPairs", info=info)["XBTUSDT"]) <= set(whole)
