"""Trades of Kraken through faults of every documented kind: the lake holds exactly the tape."""

import json
from pathlib import Path

import polars as pl
import pytest

from core.errors import DataError, LinkLost, NotPermitted, VenueError, VenueUnavailable
from feeds.history import Cursors, Download, Fetched
from feeds.history_http import Answer
from feeds.kraken_trades import KrakenTrades
from feeds.shards import Shards
from tests.feeds.fake_trades import Print, TradesServer
from tests.feeds.history_world import HTML, Host, Wall

SHARED = Path(__file__).parents[3] / "shared"
SAMPLES = SHARED / "kraken" / "samples"
RECORDED = SHARED / "data" / "trades" / "kraken" / "BTC-USDT.parquet"
SINCE = 1_717_113_600_000_000_000  # 2024-05-31: the tape crosses the end of a month
UNTIL = SINCE + 2 * 86_400 * 10**9
STEP = 150 * 10**9
TAPE = [
    Print(SINCE + number * STEP, number + 1, price=f"{67_000 + number % 9}.1", side="bs"[number % 2])
    for number in range(1000)
]


def serving(server):
    def serve(url, params, headers):
        assert url.endswith("/0/public/Trades")
        found, last = server.page(params["since"], int(params["count"]))
        return {"error": [], "result": {"XXBTZUSD": [one.cells() for one in found], "last": last}}

    return serve


async def fetched(root, host, wall, *, until=UNTIL, count=100, **options):
    source = KrakenTrades(
        "BTC/USD",
        "XBTUSD",
        since=SINCE,
        until=until,
        get=host,
        polite=wall.polite,
        shards=Shards(root),
        count=count,
    )
    result = Fetched(series=source.name, since=source.since, until=source.until, reached=0)
    await Download(Cursors(root), wall.polite, wall.clock, **options).run(source, result)
    return result


def stored(root):
    files = sorted((root / "trades" / "kraken" / "BTC-USD").glob("*.parquet"))
    return pl.concat([pl.read_parquet(file) for file in files])


def ids(root):
    return stored(root)["trade_id"].to_list()


async def test_tape_comes_whole_and_in_the_lake_s_columns(tmp_path):
    wall, host = Wall(), Host(serving(TradesServer(TAPE)))
    result = await fetched(tmp_path, host, wall)
    assert ids(tmp_path) == list(range(1, 1001))
    assert stored(tmp_path).row(1) == (SINCE + STEP, 2, 67001.1, 0.25, -1, 1)
    names = [path.name for path in sorted((tmp_path / "trades/kraken/BTC-USD").glob("*.parquet"))]
    assert names == ["2024-05.parquet", "2024-06.parquet"]
    assert (result.added, result.repeated, result.gaps, result.reached) == (1000, 0, [], UNTIL)
    _, params, _ = host.requests[0]
    assert params == {"pair": "XBTUSD", "since": str(SINCE - 1), "count": "100"}
    assert host.requests[1][1]["since"] == str(TAPE[99].ts)


async def test_second_download_asks_nothing_and_a_longer_one_goes_on(tmp_path):
    wall, server = Wall(), TradesServer(TAPE)
    half = TAPE[500].ts
    await fetched(tmp_path, Host(serving(server)), wall, until=half)
    assert ids(tmp_path) == list(range(1, 501))
    again = Host(serving(server))
    result = await fetched(tmp_path, again, wall, until=half)
    assert (again.requests, result.rows, result.reached) == ([], 0, half)
    longer = Host(serving(server))
    result = await fetched(tmp_path, longer, wall)
    assert ids(tmp_path) == list(range(1, 1001))
    assert (result.added, result.repeated) == (500, 0)


@pytest.mark.skipif(not RECORDED.is_file(), reason="no recorded tape beside the checkout")
async def test_recorded_tape_of_four_days_comes_back_row_by_row(tmp_path):
    # Recorded in whole milliseconds: its bursts share an instant, as in the worst case at the venue.
    rows = pl.read_parquet(RECORDED).iter_rows(named=True)
    tape = [
        Print(
            row["ts"] * 10**6,
            row["trade_id"],
            price=f"{row['price']:.8f}",
            quantity=f"{row['qty']:.8f}",
            side="b" if row["buy"] else "s",
        )
        for row in rows
    ]
    wall, host = Wall(), Host(serving(TradesServer(tape)))
    source = KrakenTrades(
        "BTC/USDT",
        "XBTUSDT",
        since=tape[0].ts,
        until=tape[-1].ts + 1000,
        get=host,
        polite=wall.polite,
        shards=Shards(tmp_path),
        count=100,
    )
    result = Fetched(series=source.name, since=source.since, until=source.until, reached=0)
    await Download(Cursors(tmp_path), wall.polite, wall.clock).run(source, result)
    table = pl.read_parquet(tmp_path / "trades/kraken/BTC-USDT/2023-11.parquet")
    assert table["trade_id"].to_list() == [one.trade_id for one in tape]
    assert table["price"].to_list() == [float(one.price) for one in tape]
    assert table["qty"].to_list() == [float(one.quantity) for one in tape]
    lacking = tape[-1].trade_id - tape[0].trade_id + 1 - len(tape)
    assert sum(gap.ids for gap in result.gaps) == lacking


FAULTS = {
    "429": Answer(429, b"too many", 3.0),
    "520 HTML": HTML,
    "HTML with 200": Answer(200, b"<!doctype html>"),
    "empty body": Answer(200, b""),
    "cut JSON": Answer(200, b'{"error":[],"result":{"XXBTZUSD":[["1","2",17171'),
    "no result": Answer(200, b'{"error":[]}'),
    "rate limit": Answer(200, b'{"error":["EAPI:Rate limit exceeded"]}'),
    "throttled": Answer(200, b'{"error":["EService: Throttled: 1717113600"]}'),
    "unavailable": Answer(200, b'{"error":["EService:Unavailable"]}'),
    "timeout": LinkLost("GET: no answer in 30 s"),
    "page before": None,
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_fault_after_four_pages_costs_a_retry_and_no_trade(tmp_path, fault):
    wall, server = Wall(), TradesServer(TAPE)
    before, last = server.page(str(TAPE[199].ts), 100)
    stale = {"error": [], "result": {"XXBTZUSD": [one.cells() for one in before], "last": last}}
    answer = FAULTS[fault] or Answer(200, json.dumps(stale).encode())
    result = await fetched(tmp_path, Host(serving(server), {5: answer, 6: answer}), wall)
    assert ids(tmp_path) == list(range(1, 1001))
    assert result.retries == len(wall.refusals) == 2
    assert result.gaps == []


NOES = {
    "EQuery:Unknown asset pair": VenueError,
    "EGeneral:Invalid arguments": VenueError,
    "EGeneral:Temporary lockout": NotPermitted,
}


@pytest.mark.parametrize("text", NOES)
async def test_definite_no_ends_the_series_after_storing_what_came(tmp_path, text):
    no = Answer(200, json.dumps({"error": [text]}).encode())
    with pytest.raises(NOES[text], match=text):
        await fetched(tmp_path, Host(serving(TradesServer(TAPE)), {4: no}), Wall())
    assert ids(tmp_path) == list(range(1, 301))


async def test_host_that_stays_away_is_unavailable_and_the_next_run_goes_on(tmp_path):
    server = TradesServer(TAPE)
    with pytest.raises(VenueUnavailable, match=r"trades of BTC/USD: expected an answer in 10 tries"):
        await fetched(tmp_path, Host(serving(server), dict.fromkeys(range(4, 99), HTML)), Wall())
    assert ids(tmp_path) == list(range(1, 301))
    host = Host(serving(server))
    result = await fetched(tmp_path, host, Wall())
    assert host.requests[0][1]["since"] == str(TAPE[299].ts)
    assert ids(tmp_path) == list(range(1, 1001))
    assert result.repeated == 0


async def test_gap_in_the_ids_is_kept_with_the_series(tmp_path):
    torn = TradesServer([one for one in TAPE if not 250 < one.trade_id <= 257])
    result = await fetched(tmp_path, Host(serving(torn)), Wall())
    (gap,) = result.gaps
    assert (gap.ids, gap.after_ts, gap.before_ts) == (7, TAPE[249].ts, TAPE[257].ts)
    again = await fetched(tmp_path, Host(serving(torn)), Wall())
    assert again.gaps == [gap]


async def test_other_shapes_are_refused_in_one_line(tmp_path):
    for body in (b'{"error":[],"result":{"last":"1"}}', b'{"error":[],"result":{"X":[[1]],"last":"1"}}'):
        with pytest.raises(VenueError, match="expected"):
            await fetched(tmp_path, Host(lambda *_, body=body: Answer(200, body)), Wall())


async def test_broken_cursor_names_its_file(tmp_path):
    path = Cursors(tmp_path).path("trades/kraken/BTC-USD")
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(DataError, match=r"BTC-USD.json: expected a cursor"):
        await fetched(tmp_path, Host(serving(TradesServer(TAPE))), Wall())


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no samples of the exchange beside the checkout")
async def test_documented_sample_is_read(tmp_path):
    body = Answer(200, (SAMPLES / "rest_trades.json").read_bytes())
    until = 1_688_669_600 * 10**9
    host = Host(lambda *_: body)
    source = KrakenTrades(
        "BTC/USD", "XBTUSD", since=0, until=until, get=host, polite=Wall().polite, shards=Shards(tmp_path)
    )
    result = Fetched(series=source.name, since=0, until=until, reached=0)
    await Download(Cursors(tmp_path), Wall().polite, Wall().clock).run(source, result)
    assert stored(tmp_path).row(0) == (1_688_669_597_827_736_900, 61044952, 30243.4, 0.34507674, 1, 1)
    assert len(stored(tmp_path)) == 2
