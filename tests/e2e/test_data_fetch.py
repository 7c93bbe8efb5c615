"""`trader data fetch` against hosts on 127.0.0.1: the loopback Kraken, and one that has faults."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from core.clock import HOUR, MINUTE, LiveClock, ManualClock
from core.market import TIMEFRAMES, Timeframe
from core.text import iso, parse_iso
from feeds.archive_bars import minutes
from feeds.history_pace import Manners
from feeds.lake import Lake
from tests.feeds.fake_binance import FakeBinance
from tests.feeds.fake_trades import Print, TradesServer
from tests.feeds.history_server import listening
from trader import cli
from trader.fetch import Request, fetch
from trader.fetch_watch import Watch
from venue.exchange_orders import FeeSchedule
from venue.loopback import LoopbackSettings, build, serve

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
NOW = parse_iso("2024-06-14T12:00:00Z")
QUICK = Manners(pause_s=0.0, jitter_s=0.001)


# ---- the loopback Kraken ----


def loopback(symbols):
    return LoopbackSettings(
        lake=ROOT / "configs" / "market",
        symbols=symbols,
        accounts={},
        market_epoch=NOW,
        wall_epoch=LiveClock().now(),
        fees=FeeSchedule(maker=0, taker=0),
    )


async def fetched(settings, root, **wanted):
    ready = asyncio.Queue()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        server = group.create_task(serve(settings, ready=ready.put_nowait))
        ports = await ready.get()
        request = Request(
            **{"lake": root, "instruments": ("all",), "timeframes": (), "url": ports.rest} | wanted
        )
        results = []
        assert await fetch(request, results, clock=LiveClock(), watch=Watch(), manners=QUICK) == []
        server.cancel()
    return results


async def test_trades_of_the_loopback_come_whole_and_make_its_own_minutes(tmp_path):
    settings = loopback(("BTC/USDT", "XRP/USDT"))
    since = NOW - 3 * HOUR
    results = await fetched(settings, tmp_path, source="kraken-trades", since=since, until=NOW)
    assert [result.gaps for result in results] == [[], []]
    venue = build(settings, ManualClock(NOW))
    for pair, symbol in (("BTC-USDT", "BTC/USDT"), ("XRP-USDT", "XRP/USDT")):
        table = pl.read_parquet(tmp_path / f"trades/kraken/{pair}/2024-06.parquet")
        truth = [t for t in venue._tapes[symbol].trades(since - 1, NOW, 1 << 30) if t.ts_event < NOW]
        assert table["trade_id"].to_list() == [trade.trade_id for trade in truth]
        assert table["price"].to_list() == [float(trade.price) for trade in truth]
    wanted = {"source": "kraken-ohlc", "since": since, "until": NOW, "timeframes": (Timeframe.M1,)}
    await fetched(settings, tmp_path, **wanted)
    bars = pl.read_parquet(tmp_path / "ohlcv/kraken/XRP-USDT/1m/2024-06.parquet")
    own = minutes(pl.read_parquet(tmp_path / "trades/kraken/XRP-USDT/2024-06.parquet"))
    same = ["ts", "open", "high", "low", "close", "trades"]
    assert bars.select(same).rows() == own.select(same).rows()


async def test_bars_of_all_seven_timeframes_and_all_pairs_in_one_go(tmp_path):
    wanted = {"source": "kraken-ohlc", "since": None, "until": NOW, "timeframes": TIMEFRAMES}
    results = await fetched(loopback(("BTC/USDT", "XRP/USDT")), tmp_path, **wanted)
    assert len(results) == 14
    found = {(series.instrument, series.timeframe) for series in Lake(tmp_path).series()}
    assert found == {(symbol, timeframe) for symbol in ("BTC/USDT", "XRP/USDT") for timeframe in TIMEFRAMES}


# ---- the command, against hosts with faults ----

TAPE = [Print(NOW - 40 * 86_400 * 10**9 + number * HOUR, number + 1) for number in range(900)]
PAIRS = {
    rest_id: {"altname": alt, "wsname": ws, "pair_decimals": 1, "lot_decimals": 8, "ordermin": "0.0001"}
    for rest_id, alt, ws in (("XXBTZUSD", "XBTUSD", "XBT/USD"), ("XETHZUSD", "ETHUSD", "ETH/USD"))
}


def kraken(path, query, headers, *, tape=TradesServer(TAPE)):  # noqa: B008  # keeps no state that matters
    if path.endswith("AssetPairs"):
        return {"error": [], "result": PAIRS}
    if query["pair"] == "ETHUSD":
        return {"error": ["EQuery:Unknown asset pair"]}
    found, last = tape.page(query["since"])
    return {"error": [], "result": {"XXBTZUSD": [one.cells() for one in found], "last": last}}


def trader(capsys, *words):
    code = cli.run(["data", "fetch", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_command_reports_what_it_did_and_one_delisted_pair_costs_no_other(capsys, tmp_path):
    lake, log = tmp_path / "lake", tmp_path / "logs" / "download.log"
    words = ["kraken-trades", "--instruments", "all", "--since", "2024-05-01", "--until", "2024-06-12"]
    with listening(kraken) as url:
        words += ["--lake", str(lake), "--url", url, "--bars", "--json", "--log", str(log)]
        code, out, err = trader(capsys, *words)
        assert code == 76
        assert "trader: trades/kraken/ETH-USD: GET" in err
        told = json.loads(out)
        assert (told["added"], told["requests"], told["gaps"]) == (900, 3, 0)
        assert [row["complete"] for row in told["series"]] == [True, False]
        _, again, _ = trader(capsys, *words[:2], "BTC/USD", *words[3:])
    assert json.loads(again)["requests"] == 0
    # May is over and whole, June is not: one month of minutes.
    assert [path.name for path in sorted((lake / "ohlcv").rglob("*.parquet"))] == ["2024-05.parquet"]
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events[:2] == ["fetch_plan", "fetch_progress"]
    assert events.count("fetch_done") == 3
    assert "fetch_failed" in events


REFUSED = {
    "krakn": "expected a source such as kraken-trades",
    "ccxt": "expected a source such as",
    "kraken-trades:x": "expected a source such as",
    "amberdata:../x --instruments BTC/USD": "expected the name of an exchange",
    "kraken-ohlc --instruments BTC/USD --url nowhere": "--url: expected an address",
    "kraken-ohlc": "--instruments: expected a list",
    "kraken-ohlc --instruments BTC/USD --timeframes 7m": "--timeframes: expected some of 1m",
    "kraken-ohlc --instruments BTC/USD --since yesterday": "--since: expected a time",
    "kraken-ohlc --instruments BTC/USD --since 2030-01-01": "--since: expected a time before",
    "amberdata:kraken --instruments BTC/USD --timeframes 1h": "an API key in AMBERDATA_API_KEY; found none",
    "funding --instruments all": "expected instruments by name",
    "open-interest --instruments ../../PF_XBTUSD": "expected instruments by name",
    "--preset seven": "--preset: expected one of five-minute-six-months",
    "kraken-ohlc --instruments BTC/USD --log /dev/null/x": "--log: expected a file",
}


@pytest.mark.parametrize("line", REFUSED)
def test_impossible_requests_are_refused_in_one_line(capsys, tmp_path, line):
    host = [] if "--url" in line else ["--url", "http://127.0.0.1:9"]
    code, out, err = trader(capsys, *line.split(), "--lake", str(tmp_path), *host)
    assert code == 64
    assert out == ""
    assert err.count("\n") == 1
    assert REFUSED[line] in err


def test_unlisted_instrument_is_refused_by_name(capsys, tmp_path):
    with listening(kraken) as url:
        code, _, err = trader(
            capsys, "kraken-trades", "--instruments", "XBT/USD", "--url", url, "--lake", str(tmp_path)
        )
    assert code == 64
    assert "found XBT/USD among 2 listed" in err


def test_stop_signal_stores_what_came_and_says_so(tmp_path):
    def slow(path, query, headers):
        return kraken(path, query, headers, tape=TradesServer(TAPE, count=20))

    with listening(slow) as url:
        words = [
            "kraken-trades",
            "--instruments",
            "BTC/USD",
            "--since",
            "2024-05-01",
            "--until",
            "2024-06-12",
        ]
        log = tmp_path / "log"
        words += ["--url", url, "--json", "--lake", str(tmp_path / "lake"), "--log", str(log)]
        process = subprocess.Popen(
            [sys.executable, "-m", "trader.cli", "data", "fetch", *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        try:
            end = time.monotonic() + 30
            while not (log.is_file() and "fetch_progress" in log.read_text()) and time.monotonic() < end:
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 128 + signal.SIGTERM
    told = json.loads(out)
    assert told["interrupted"] is True
    table = pl.concat(map(pl.read_parquet, sorted((tmp_path / "lake/trades").rglob("*.parquet"))))
    assert table["trade_id"].to_list() == list(range(1, told["added"] + 1))
    assert 0 < told["added"] < 900


def test_binance_through_ccxt_in_minutes_and_hours_with_every_indicator(capsys, tmp_path):
    pytest.importorskip("ccxt", reason="ccxt is not installed")
    since, until = NOW - 40 * HOUR, NOW + 7 * MINUTE
    fake = FakeBinance(["BTC/USDT", "ETH/USDT"], (until + HOUR) // 10**6)
    with listening(fake.serve) as url:
        code, out, err = trader(
            capsys,
            *("ccxt:binance", "--instruments", "all", "--timeframes", "1m,1h", "--url", url, "--json"),
            *("--since", iso(since), "--until", iso(until), "--lake", str(tmp_path), "--check"),
        )
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["added"] == 2 * (40 * 60 + 7 + 40)
    assert fake.klines == 2 * (3 + 1)
    counts = {one["series"]: one for one in told["check"]["series"]}
    assert counts["binance/BTC/USDT/1m"]["rows"] == 2407
    assert counts["binance/BTC/USDT/1m"]["missing"] == 0.0
    assert told["check"]["bytes"] > 10_000
    features = [one for one in told["check"]["features"] if one["series"] == "binance/BTC/USDT/1m"]
    assert [one["spec"] for one in features] == ["indicators", "scalp_1m", "manager_1m5m"]
    every, scalp, _ = features
    # A column that wants a week of hours is not known in forty.
    assert (every["rows"], every["ready"]) == (2407, 0)
    assert every["non_finite_share"] == pytest.approx(1 / every["columns"])
    assert (scalp["rows"], scalp["non_finite_share"]) == (2407, 0.0)
    assert scalp["ready"] == 2407 - 5 * 400 + 1  # five-minute columns remember 400 bars


def test_latest_bars_of_amberdata_are_printed_and_the_key_is_not(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("AMBERDATA_API_KEY", "UAK-secret")
    bar = {"instrument": "btc_usd", "exchangeTimestamp": NOW // 10**6}
    bar |= {"open": 1, "high": 2, "low": 1, "close": 1.5, "volume": 3}

    def serve(path, query, headers):
        if headers.get("x-api-key") != "UAK-secret":
            return 401, b"{}"
        assert path == "/market/spot/ohlcv/exchange/kraken/latest"
        return {"status": 200, "payload": {"metadata": {}, "data": [bar]}}

    with listening(serve) as url:
        code, out, err = trader(capsys, "amberdata-latest:kraken", "--instruments", "BTC/USD", "--url", url)
        monkeypatch.setenv("AMBERDATA_API_KEY", "UAK-wrong")
        refused = trader(capsys, "amberdata-latest:kraken", "--url", url)
    assert (code, err) == (0, "")
    assert out == "BTC/USD  2024-06-14T12:00:00.000000Z  close 1.5\n"
    assert refused[0] == 77
    assert "UAK" not in refused[2]


def test_funding_and_open_interest_and_amberdata_end_in_files_of_their_own(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("AMBERDATA_API_KEY", "UAK-secret")
    start = NOW - 3 * HOUR
    times = [start + number * HOUR for number in range(3)]

    def serve(path, query, headers):
        if path.endswith("historical-funding-rates"):
            rows = [{"timestamp": iso(ts), "relativeFundingRate": 1e-5} for ts in times]
            return {"result": "success", "rates": rows}
        if path.endswith("/PF_XBTUSD/open-interest"):
            return {"result": {"timestamp": [ts // 10**9 for ts in times], "data": [1, 2, 3], "more": False}}
        assert path == "/markets/spot/ohlcv/btc_usd"
        prices = {"open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 3.0}
        bars = [{"exchangeTimestamp": ts // 10**6} | prices for ts in times]
        return {"status": 200, "payload": {"metadata": {"next": None}, "data": bars}}

    names = {"funding": "PF_XBTUSD", "open-interest": "PF_XBTUSD", "amberdata:kraken": "BTC/USD"}
    with listening(serve) as url:
        for source, instrument in names.items():
            words = ["--instruments", instrument, "--since", iso(start), "--until", iso(NOW)]
            code, out, err = trader(capsys, source, *words, "--url", url, "--lake", str(tmp_path), "--json")
            assert (code, err) == (0, "")
            told = json.loads(out)
            assert (told["added"], told["series"][0]["complete"]) == (3, True)
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.parquet"))
    assert files == [
        "funding/kraken-futures/PF_XBTUSD/2024-06.parquet",
        "ohlcv/amberdata-kraken/BTC-USD/1h/2024-06.parquet",
        "open_interest/kraken-futures/PF_XBTUSD/2024-06.parquet",
    ]
