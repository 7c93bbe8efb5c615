"""Amberdata as its pages document it: envelope, linked pages, key in a header and nowhere else."""

import json

import polars as pl
import pytest

from core.clock import DAY, HOUR
from core.errors import NotPermitted, UsageError, VenueError
from core.market import Timeframe
from core.text import parse_iso
from feeds.amberdata import Amberdata, AmberdataBars
from feeds.history import Cursors, Download, Fetched
from feeds.history_http import Answer
from feeds.lake import Series
from feeds.shards import Shards
from tests.feeds.history_world import HTML, Host, Wall

URL = "http://127.0.0.1:1"
KEY = "UAK-not-to-be-seen"
SINCE = parse_iso("2024-01-30T00:00:00Z")
UNTIL = SINCE + 4 * DAY


def envelope(data, **metadata):
    payload = {"metadata": {"next": None, "api-version": "2023-09-30", **metadata}, "data": data}
    return {"status": 200, "title": "OK", "description": "Successful request", "payload": payload}


def bar(ts, close=100.5):
    return {
        "instrument": "btc_usd",
        "exchange": "kraken",
        "exchangeTimestamp": ts // 10**6,
        "open": 100.0,
        "high": 101.0,
        "low": 99.0,
        "close": close,
        "volume": 2.5,
    }


def serving(step=HOUR, page=40, host=URL):
    """Serve bars of the span asked for, newest first, `page` at a time."""

    def serve(url, params, headers):
        if headers.get("x-api-key") != KEY:
            return Answer(401, b'{"status":401,"title":"UNAUTHORIZED","description":"invalid key"}')
        path, _, cursor = url.partition("?cursor=")
        assert path == f"{URL}/markets/spot/ohlcv/btc_usd"
        if cursor:
            start, end, at = map(int, cursor.split("."))
        else:
            assert params["exchange"] == "kraken"
            assert params["timeInterval"] in {"minutes", "hours", "days"}
            start, end, at = int(params["startDate"]) * 10**6, int(params["endDate"]) * 10**6, 0
        times = range(start, end + 1, step)[::-1]  # the end is inclusive here
        following = f"{host}/markets/spot/ohlcv/btc_usd?cursor={start}.{end}.{at + page}"
        return envelope(
            [bar(ts) for ts in times[at : at + page]],
            next=following if at + page < len(times) else None,
        )

    return serve


async def fetched(root, host, *, key=KEY, timeframe=Timeframe.H1, until=UNTIL):
    wall = Wall()
    service = Amberdata(key, get=host, polite=wall.polite, url=URL)
    series = Series("amberdata-kraken", "BTC/USD", timeframe)
    source = AmberdataBars(service, "kraken", series, since=SINCE, until=until, shards=Shards(root))
    result = Fetched(series=source.name, since=source.since, until=source.until, reached=0)
    await Download(Cursors(root), wall.polite, wall.clock).run(source, result)
    return result


def stored(root, timeframe="1h"):
    files = sorted((root / f"ohlcv/amberdata-kraken/BTC-USD/{timeframe}").glob("*.parquet"))
    return pl.concat(map(pl.read_parquet, files))


async def test_linked_pages_in_any_order_become_bars(tmp_path):
    host = Host(serving(), {2: HTML, 3: Answer(429, b"slow down", 2.0)})
    result = await fetched(tmp_path, host)
    assert stored(tmp_path)["ts"].to_list() == [(SINCE + hour * HOUR) // 10**6 for hour in range(96)]
    assert stored(tmp_path).row(0)[1:] == (100.0, 101.0, 99.0, 100.5, 2.5)
    assert (result.added, result.retries, result.reached) == (96, 2, UNTIL)
    assert host.requests[-1][1] == {}  # a link holds its whole query


async def test_later_download_goes_on_behind_the_last_window(tmp_path):
    await fetched(tmp_path, Host(serving()))
    host = Host(serving())
    result = await fetched(tmp_path, host, until=UNTIL + DAY)
    assert int(host.requests[0][1]["startDate"]) == UNTIL // 10**6
    assert (result.added, result.repeated) == (24, 0)


async def test_minutes_come_in_windows_of_a_week(tmp_path):
    host = Host(serving(step=60 * 10**9, page=20_000))
    result = await fetched(tmp_path, host, timeframe=Timeframe.M1, until=SINCE + 10 * DAY)
    assert (len(host.requests), result.added) == (2, 10 * 1440)


def test_absent_key_is_said_in_one_line():
    with pytest.raises(UsageError, match="amberdata: expected an API key in AMBERDATA_API_KEY; found none"):
        Amberdata("", get=Host(serving()), polite=Wall().polite)


async def test_wrong_key_is_no_reason_to_ask_again_and_is_never_shown(tmp_path):
    host = Host(serving())
    with pytest.raises(NotPermitted) as refused:
        await fetched(tmp_path, host, key="UAK-wrong-one")
    assert "UAK" not in str(refused.value)
    assert len(host.requests) == 1


async def test_link_to_another_host_is_refused_before_the_key_goes_there(tmp_path):
    host = Host(serving(host="http://127.0.0.1:2"))
    with pytest.raises(VenueError, match=r"expected the next page at 127.0.0.1:1, found '127.0.0.1:2'"):
        await fetched(tmp_path, host)
    assert len(host.requests) == 1


async def test_links_without_end_are_refused(tmp_path):
    host = Host(lambda *_: envelope([], next=f"{URL}/again"))
    with pytest.raises(VenueError, match="expected at most 1000 pages"):
        await fetched(tmp_path, host)


@pytest.mark.parametrize(
    "body",
    [
        b'{"status":400,"title":"BAD REQUEST","description":"Invalid exchange"}',
        b'{"status":200,"title":"OK"}',
        b'{"status":200,"payload":{"data":[{"exchangeTimestamp":1}]}}',
        b'{"status":200,"payload":{"data":[{"exchangeTimestamp":1,"open":null,"high":1,"low":1,"close":1}]}}',
    ],
)
async def test_other_shapes_are_refused(tmp_path, body):
    with pytest.raises(VenueError, match="expected"):
        await fetched(tmp_path, Host(lambda *_: Answer(200, body)))


async def test_timeframe_that_is_not_served_is_refused(tmp_path):
    with pytest.raises(UsageError, match="expected one of 1m, 1h, 1d; found 5m"):
        await fetched(tmp_path, Host(serving()), timeframe=Timeframe.M5)


LATEST = {
    "objects": envelope([bar(SINCE), bar(SINCE + HOUR, 99.5)]),
    "columns": envelope(
        {
            "btc_usd": [
                [SINCE // 10**6, 100, 101, 99, 100.5, 1],
                [(SINCE + HOUR) // 10**6, 100, 101, 99, 99.5, 2],
            ]
        },
        columns=["timestamp", "open", "high", "low", "close", "volume"],
    ),
    "one object a pair": envelope(
        {
            "btc_usd": {
                "timestamp": (SINCE + HOUR) // 10**6,
                "open": 100,
                "high": 101,
                "low": 99,
                "close": 99.5,
                "volume": 2,
            }
        }
    ),
}


@pytest.mark.parametrize("shape", LATEST)
async def test_latest_bars_in_each_documented_shape(shape):
    host = Host(lambda *_: LATEST[shape])
    service = Amberdata(KEY, get=host, polite=Wall().polite, url=URL)
    newest = await service.latest("kraken", ["BTC/USD"])
    assert newest["BTC/USD"][0] == (SINCE + HOUR) // 10**6
    assert newest["BTC/USD"][4] == 99.5
    url, params, headers = host.requests[0]
    assert url == f"{URL}/market/spot/ohlcv/exchange/kraken/latest"
    assert params == {"pair": "btc_usd"}
    assert headers["x-api-key"] == KEY


async def test_latest_bar_of_another_shape_is_refused():
    body = json.dumps(envelope({"btc_usd": {"price": 1}})).encode()
    service = Amberdata(KEY, get=Host(lambda *_: Answer(200, body)), polite=Wall().polite, url=URL)
    with pytest.raises(VenueError, match="expected a bar of btc_usd"):
        await service.latest("kraken", [])
