"""Replay gives every closing instant once, in order, with all that closed then."""

from pathlib import Path

import polars as pl
import pytest

from core.clock import DAY, MINUTE
from core.market import TIMEFRAMES, Timeframe
from feeds.lake import Lake, Series, aggregate
from feeds.replay import CHUNK, replay

START = 19_800 * DAY
BTC = Series("binance", "BTC/USDT", Timeframe.M5)
ETH = Series("binance", "ETH/USDT", Timeframe.M15)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Twenty days; BTC is quiet around a chunk border, ETH lacks a whole day."""
    border = (START + CHUNK) // MINUTE
    write(tmp_path, BTC, lambda minute: abs(minute - border) > 120)
    write(tmp_path, ETH, lambda minute: minute * MINUTE // DAY != 19_803)
    return Lake(tmp_path)


def write(root: Path, series: Series, kept) -> None:
    first, step = START // MINUTE, series.timeframe.minutes
    minutes = [minute for minute in range(first, first + 20 * 1440, step) if kept(minute)]
    prices = [100.0 + minute % 97 for minute in minutes]
    folder = root / "ohlcv" / series.venue / series.instrument.replace("/", "-")
    folder.mkdir(parents=True)
    pl.DataFrame(
        {
            "ts": [minute * 60_000 for minute in minutes],
            "open": prices,
            "high": prices,
            "low": prices,
            "close": prices,
            "volume": [1.0] * len(prices),
        }
    ).write_parquet(folder / f"{series.timeframe.value}.parquet")


def test_all_instruments_and_timeframes_that_close_together_come_together(lake):
    instants = dict(replay(lake, [BTC, ETH], START, START + DAY))
    assert [(bar.timeframe.value, bar.instrument[:3]) for bar in instants[START + 15 * MINUTE]] == [
        ("5m", "BTC"),
        ("15m", "BTC"),
        ("15m", "ETH"),
    ]
    assert {bar.timeframe for bar in instants[START + DAY]} == set(TIMEFRAMES[1:])


def test_time_only_moves_forward_and_every_bar_closes_at_its_instant(lake):
    instants = list(replay(lake, [BTC, ETH], START, START + 20 * DAY))
    times = [ts_close for ts_close, _ in instants]
    assert times == sorted(set(times))
    assert all(bar.ts_close == ts_close for ts_close, bars in instants for bar in bars)
    assert times[-1] == START + 20 * DAY


def test_chunks_leave_no_trace(lake):
    bars = [bar for _, group in replay(lake, [BTC, ETH], START, START + 20 * DAY) for bar in group]
    for series in (BTC, ETH):
        whole = lake.read(*series)
        for timeframe in TIMEFRAMES:
            mine = [bar for bar in bars if (bar.instrument, bar.timeframe) == (series.instrument, timeframe)]
            wanted = aggregate(whole, timeframe).bars() if timeframe.ns >= series.timeframe.ns else []
            assert mine == wanted


def test_only_wanted_timeframes_come_beside_the_source(lake):
    wanted = (Timeframe.M1, Timeframe.H1)
    bars = [bar for _, group in replay(lake, [BTC], START, START + DAY, timeframes=wanted) for bar in group]
    assert {bar.timeframe for bar in bars} == {Timeframe.M5, Timeframe.H1}
