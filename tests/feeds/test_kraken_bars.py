"""Kraken's newest 720 bars: the running one is dropped, quiet ones are no rows, the past is a gap."""

from pathlib import Path

import polars as pl
import pytest

from core.errors import VenueError
from core.market import Timeframe
from feeds.history import Cursors, Download, Fetched
from feeds.history_http import Answer
from feeds.kraken_bars import KrakenBars
from feeds.lake import Lake, Series
from feeds.shards import Shards
from tests.feeds.history_world import HTML, Host, Wall

SAMPLES = Path(__file__).parents[3] / "shared" / "kraken" / "samples"
MINUTE = 60 * 10**9
NOW = 1_717_200_000 * 10**9  # 2024-06-01T00:00Z
SERIES = Series("kraken", "BTC/USD", Timeframe.M1)


def candle(seconds, count=3):
    volume, vwap = ("1.5", "100.2") if count else ("0.00000000", "0.0")
    return [seconds, "100.0", "101.0", "99.5", "100.5", vwap, volume, count]


def rows(bars, *, until=NOW):
    """Give `bars` candles; the last one runs at `until`."""
    first = until // 10**9 - (bars - 1) * 60
    return [candle(first + number * 60, number % 5) for number in range(bars)]


def serving(table):
    return lambda *_: {"error": [], "result": {"XXBTZUSD": table, "last": table[-1][0] if table else 0}}


async def fetched(root, host, *, since=NOW - 700 * MINUTE, until=NOW):
    wall = Wall()
    source = KrakenBars(
        SERIES, "XBTUSD", since=since, until=until, get=host, polite=wall.polite, shards=Shards(root)
    )
    result = Fetched(series=source.name, since=source.since, until=source.until, reached=0)
    await Download(Cursors(root), wall.polite, wall.clock).run(source, result)
    return result


def stored(root):
    return pl.concat(map(pl.read_parquet, sorted((root / "ohlcv/kraken/BTC-USD/1m").glob("*.parquet"))))


async def test_closed_bars_with_trades_are_stored(tmp_path):
    host = Host(serving(rows(720)), {1: HTML})
    result = await fetched(tmp_path, host)
    table = stored(tmp_path)
    assert len(table) == 560
    assert table["ts"].max() == NOW // 10**6 - 60_000
    assert table.row(0, named=True) | {"ts": 0} == {
        "ts": 0,
        "open": 100.0,
        "high": 101.0,
        "low": 99.5,
        "close": 100.5,
        "volume": 1.5,
        "trades": table["trades"][0],
        "vwap": 100.2,
    }
    assert host.requests[-1][1] == {"pair": "XBTUSD", "interval": "1"}
    assert (result.reached, result.gaps, result.retries) == (NOW, [], 1)
    # The lake reads them back with the quiet minutes filled in.
    assert len(Lake(tmp_path).read(*SERIES)) >= 690


async def test_what_is_not_served_any_more_is_a_gap(tmp_path):
    result = await fetched(tmp_path, Host(serving(rows(720))), since=NOW - 2000 * MINUTE)
    (gap,) = result.gaps
    assert (gap.after_ts, gap.before_ts) == (NOW - 2000 * MINUTE, NOW - 719 * MINUTE)
    # A later download from within goes on; one from before the gap asks again.
    later = Host(serving(rows(720, until=NOW + 60 * MINUTE)))
    result = await fetched(tmp_path, later, since=NOW - 100 * MINUTE, until=NOW + 60 * MINUTE)
    assert (result.added, result.repeated) == (48, 0)


async def test_pair_without_bars_is_a_gap_and_no_file(tmp_path):
    result = await fetched(tmp_path, Host(serving([])))
    assert len(result.gaps) == 1
    assert not (tmp_path / "ohlcv").exists()


@pytest.mark.parametrize(
    "row,rule",
    [
        ([NOW // 10**9 - 61, "1", "1", "1", "1", "1", "1", 1], "grid"),
        ([NOW // 10**9 - 60, "1", "0.5", "1", "1", "1", "1", 1], "low <= open"),
        ([NOW // 10**9 - 60, "1", "1", "-1", "1", "1", "1", 1], "low > 0"),
        ([NOW // 10**9 - 60, "1", "NaN", "1", "1", "1", "1", 1], "finite"),
        ([NOW // 10**9 - 60, "1", "1", "1", "1", "NaN", "1", 1], "finite"),
        ([NOW // 10**9 - 60, "1", "1", "1", "1", "-1", "1", 1], "vwap > 0"),
        ([NOW // 10**9 - 60, "1", "1", "1", "1", "1", "1", -1], "trades >= 0"),
    ],
)
async def test_impossible_bars_are_refused(tmp_path, row, rule):
    with pytest.raises(VenueError, match=rule):
        await fetched(tmp_path, Host(serving([row, candle(NOW // 10**9)])))


async def test_answer_without_bars_is_refused(tmp_path):
    with pytest.raises(VenueError, match="expected bars of XBTUSD"):
        await fetched(tmp_path, Host(lambda *_: Answer(200, b'{"error":[],"result":{"last":1}}')))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no samples of the exchange beside the checkout")
async def test_documented_sample_is_read(tmp_path):
    body = Answer(200, (SAMPLES / "rest_ohlc.json").read_bytes())
    start = 1_688_671_200 * 10**9
    await fetched(tmp_path, Host(lambda *_: body), since=start, until=start + 10 * MINUTE)
    assert stored(tmp_path)["trades"].to_list() == [23, 18, 25]
