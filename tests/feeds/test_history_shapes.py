"""Whatever a host answers, a download ends in rows or in an error of ours, never in a crash."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import SeamarkError
from core.market import Timeframe
from feeds.amberdata import Amberdata, AmberdataBars
from feeds.derivatives import FundingRates, OpenInterest
from feeds.history_http import Answer
from feeds.history_pace import Manners
from feeds.kraken_bars import KrakenBars
from feeds.kraken_futures import KrakenFutures
from feeds.kraken_trades import KrakenTrades
from feeds.lake import Series
from feeds.shards import Shards
from tests.feeds.history_world import Host, Wall

HOUR = 3600 * 10**9
SINCE = 1_717_200_000 * 10**9
UNTIL = SINCE + 4 * HOUR
SECONDS = SINCE // 10**9
BAR = {"exchangeTimestamp": SINCE // 10**6, "open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 3.0}
URL = "http://127.0.0.1:1"

GOOD = {
    "trades": {
        "error": [],
        "result": {"X": [["1.5", "2", SECONDS + 0.25, "b", "m", "", 7]], "last": str(SINCE + HOUR)},
    },
    "ohlc": {
        "error": [],
        "result": {
            "X": [[SECONDS + n * 3600, "1", "2", "0.5", "1.5", "1.2", "3", 4] for n in range(3)],
            "last": SECONDS,
        },
    },
    "amberdata": {"status": 200, "payload": {"metadata": {"next": None}, "data": [BAR]}},
    "funding": {
        "result": "success",
        "rates": [
            {"timestamp": f"2024-06-01T0{n}:00:00.000Z", "fundingRate": 1e-9, "relativeFundingRate": 1e-5}
            for n in range(3)
        ],
    },
    "open-interest": {"result": {"timestamp": [SECONDS], "data": [["1", "2", "3", "4"]], "more": False}},
}


def source(kind, body):
    wall = Wall(manners=Manners(tries=2))
    host, shards = Host(lambda *_: Answer(200, body)), Shards(Path("nowhere"))
    span = {"since": SINCE, "until": UNTIL}
    network = {"get": host, "polite": wall.polite, "url": URL}
    hours = Series("kraken", "BTC/USD", Timeframe.H1)
    match kind:
        case "trades":
            return KrakenTrades("BTC/USD", "XBTUSD", **span, **network, shards=shards)
        case "ohlc":
            return KrakenBars(hours, "XBTUSD", **span, **network, shards=shards)
        case "amberdata":
            return AmberdataBars(Amberdata("key", **network), "kraken", hours, **span, shards=shards)
        case "funding":
            return FundingRates(KrakenFutures(**network), "PF_XBTUSD", **span, root=Path("nowhere"))
    return OpenInterest(KrakenFutures(**network), "PF_XBTUSD", **span, root=Path("nowhere"))


async def rows_of(kind, body):
    """Give the rows of the first pages, or the error."""
    tables = []
    try:
        async for page in source(kind, body).pages(None):
            tables.append(page.rows)
            if len(tables) == 3:
                break
    except SeamarkError as error:
        return error
    return pl.concat(tables)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(
        ["", "NaN", "-1", "0", "1e999999999", "Infinity", "9" * 5000, "\x00", "2024-13-01T00:00:00Z"]
    ),
    st.just([]),
    st.just({}),
)


@st.composite
def spoilt(draw, value):
    """Give a documented answer with one of its parts replaced, or taken away."""
    value = json.loads(json.dumps(value))
    at, holder, key = value, None, None
    while isinstance(at, dict | list) and at and (holder is None or draw(st.integers(0, 4))):
        holder = at
        key = draw(st.sampled_from(sorted(at)) if isinstance(at, dict) else st.integers(0, len(at) - 1))
        at = at[key]
    if draw(st.booleans()):
        del holder[key]
    else:
        holder[key] = draw(LEAVES)
    return json.dumps(value).encode()


@pytest.mark.parametrize("kind", GOOD)
async def test_documented_answer_gives_rows(kind):
    assert len(await rows_of(kind, json.dumps(GOOD[kind]).encode())) > 0


@pytest.mark.parametrize("kind", GOOD)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
async def test_spoilt_answer_gives_rows_that_can_be_stored_or_an_error(kind, data):
    found = await rows_of(kind, data.draw(spoilt(GOOD[kind])))
    if isinstance(found, pl.DataFrame):
        assert not found.null_count().sum_horizontal().item()
        floats = found.select(pl.selectors.float())
        assert floats.select(pl.all_horizontal(pl.all().is_finite().all())).to_series().all()


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"error":[],"result":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"error":["\xed\xa0\x80"]}',
        b"{",
        b"null",
        b"{}",
        b'{"error":[],"result":{}}',
    ],
)
async def test_hostile_body_is_an_error_in_one_line(kind, body):
    error = await rows_of(kind, body)
    assert isinstance(error, SeamarkError)
    assert len(str(error)) < 600
