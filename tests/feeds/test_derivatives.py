"""Funding and open interest: every value carries the time from which it may be known."""

from pathlib import Path

import polars as pl
import pytest

from core.clock import HOUR, MINUTE, SECOND
from core.errors import VenueError
from core.text import iso, parse_iso
from feeds.derivatives import FundingRates, OpenInterest
from feeds.history import Cursors, Download, Fetched
from feeds.history_http import Answer
from feeds.kraken_futures import KrakenFutures
from tests.feeds.history_world import HTML, Host, Wall

SAMPLES = Path(__file__).parents[3] / "shared" / "kraken" / "samples"
SINCE = parse_iso("2024-01-31T20:00:00Z")
UNTIL = SINCE + 10 * HOUR


async def fetched(root, host, series, *, since=SINCE, until=UNTIL):
    wall = Wall()
    venue = KrakenFutures(get=host, polite=wall.polite, url="http://127.0.0.1:1")
    source = series(venue, "PF_XBTUSD", since=since, until=until, root=root)
    result = Fetched(series=source.name, since=source.since, until=source.until, reached=0)
    await Download(Cursors(root), wall.polite, wall.clock).run(source, result)
    return result


def stored(root, kind):
    files = sorted((root / kind / "kraken-futures" / "PF_XBTUSD").glob("*.parquet"))
    return [file.stem for file in files], pl.concat(map(pl.read_parquet, files))


def rates(*hours, **odd):
    rows = [
        {
            "timestamp": iso(SINCE + hour * HOUR)[:19] + ".000Z",
            "fundingRate": 1.5e-7,
            "relativeFundingRate": hour * 1e-5,
        }
        for hour in hours
    ]
    return {"result": "success", "rates": [row | odd for row in rows]}


async def test_rate_is_known_only_after_its_period(tmp_path):
    host = Host(lambda *_: rates(*range(10)), {1: HTML})
    result = await fetched(tmp_path, host, FundingRates)
    months, table = stored(tmp_path, "funding")
    assert months == ["2024-01", "2024-02"]
    assert table.columns == ["ts", "known_at", "relative_rate"]
    assert table["ts"].to_list() == [SINCE + hour * HOUR for hour in range(10)]
    assert (table["known_at"] - table["ts"]).unique().to_list() == [HOUR + MINUTE]
    assert table["relative_rate"].to_list() == [hour * 1e-5 for hour in range(10)]
    assert (result.added, result.retries) == (10, 1)
    url, params, _ = host.requests[0]
    assert url.endswith("/derivatives/api/v3/historical-funding-rates")
    assert params == {"symbol": "PF_XBTUSD"}


async def test_period_is_the_spacing_whatever_it_is(tmp_path):
    await fetched(tmp_path, Host(lambda *_: rates(0, 4, 8, 9)), FundingRates)
    _, table = stored(tmp_path, "funding")
    periods = [(known - ts - MINUTE) // HOUR for ts, known, _ in table.iter_rows()]
    assert periods == [4, 4, 1, 1]


async def test_second_download_replaces_what_the_newest_row_could_not_know(tmp_path):
    await fetched(tmp_path, Host(lambda *_: rates(0, 1, 2)), FundingRates)
    result = await fetched(tmp_path, Host(lambda *_: rates(0, 1, 2, 6)), FundingRates)
    assert (result.added, result.replaced) == (1, 1)
    assert await fetched(tmp_path, Host(lambda *_: rates(0, 1, 2, 6)), FundingRates)
    assert len(stored(tmp_path, "funding")[1]) == 4


async def test_zero_rates_may_be_left_out_but_no_others(tmp_path):
    body = rates(0, 1)
    del body["rates"][0]["fundingRate"], body["rates"][0]["relativeFundingRate"]
    await fetched(tmp_path, Host(lambda *_: body), FundingRates)
    assert stored(tmp_path, "funding")[1]["relative_rate"][0] == 0.0
    del body["rates"][1]["relativeFundingRate"]
    with pytest.raises(VenueError, match="expected relativeFundingRate beside a rate"):
        await fetched(tmp_path, Host(lambda *_: body), FundingRates)


@pytest.mark.parametrize(
    "body,words",
    [
        ({"result": "error", "error": "symbolNotFound"}, "symbolNotFound"),
        (rates(0, 1, timestamp="yesterday"), "expected a time"),
        ({"result": "success", "rates": [{"timestamp": 5}]}, "documented shape"),
    ],
)
async def test_other_answers_are_refused(tmp_path, body, words):
    with pytest.raises(VenueError, match=words):
        await fetched(tmp_path, Host(lambda *_: body), FundingRates)


async def test_rate_limit_of_the_venue_is_waited_out(tmp_path):
    busy = Answer(200, b'{"result":"error","error":"apiLimitExceeded"}')
    result = await fetched(tmp_path, Host(lambda *_: rates(0, 1), {1: busy}), FundingRates)
    assert (result.added, result.retries) == (2, 1)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no samples of the exchange beside the checkout")
async def test_documented_sample_with_exponents_is_read(tmp_path):
    body = Answer(200, (SAMPLES / "futures_rest_historical_funding_rates.json").read_bytes())
    since = parse_iso("2022-06-28T00:00:00Z")
    await fetched(tmp_path, Host(lambda *_: body), FundingRates, since=since, until=since + 24 * HOUR)
    table = stored(tmp_path, "funding")[1]
    assert table.row(1) == (since + 4 * HOUR, since + 8 * HOUR + MINUTE, -5.40935416667e-7)


def interest(value=lambda hour: hour, page=4):
    """Serve readings by the hour from `since`, `page` at a time, the running hour among them."""

    def serve(url, params, headers):
        assert url.endswith("/api/charts/v1/analytics/PF_XBTUSD/open-interest")
        first, last = int(params["since"]), int(params["to"])
        times = list(range(first, last + 1, 3600))
        found = times[:page]
        data = [value((ts * SECOND - SINCE) // HOUR) for ts in found]
        return {"result": {"timestamp": found, "data": data, "more": len(times) > page}, "errors": []}

    return serve


@pytest.mark.parametrize(
    "value", [lambda hour: hour, lambda hour: f"{hour}.0", lambda hour: ["0", "99", "0", str(hour)]]
)
async def test_open_interest_comes_in_pages_and_without_the_running_hour(tmp_path, value):
    host = Host(interest(value))
    result = await fetched(tmp_path, host, OpenInterest, until=UNTIL + 17 * MINUTE)
    months, table = stored(tmp_path, "open_interest")
    assert months == ["2024-01", "2024-02"]
    assert table["open_interest"].to_list() == [float(hour) for hour in range(10)]
    assert (table["known_at"] - table["ts"]).unique().to_list() == [HOUR + MINUTE]
    assert result.reached == UNTIL
    again = Host(interest(value))
    await fetched(tmp_path, again, OpenInterest)
    assert again.requests == []


@pytest.mark.parametrize(
    "body,words",
    [
        ({"errors": [{"msg": "Unknown symbol"}]}, "Unknown symbol"),
        ({"result": {"timestamp": [1, 2], "data": [1]}, "errors": []}, "a value for each of 2 times"),
        ({"result": {"timestamp": [SINCE // SECOND], "data": ["NaN"]}, "errors": []}, "finite"),
        ({"result": {"timestamp": [SINCE // SECOND], "data": [{}]}, "errors": []}, "expected a number"),
        ({"result": {"timestamp": [], "data": [], "more": True}, "errors": []}, "promise of more"),
    ],
)
async def test_other_readings_are_refused(tmp_path, body, words):
    with pytest.raises(VenueError, match=words):
        await fetched(tmp_path, Host(lambda *_: body), OpenInterest)
