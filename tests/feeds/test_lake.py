"""The lake reads what it can trust, names what it cannot, and knows quiet from missing."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from core.clock import DAY, HOUR, MINUTE
from core.errors import DataError, UsageError
from core.market import Bar, Timeframe, Trade
from core.orders import Side
from feeds.bars import BarBuilder
from feeds.lake import BarArrays, Lake, Series, aggregate

START = 19_800 * DAY
SHIPPED = Path(__file__).parents[2] / "configs" / "market"
SHARED = Path(__file__).parents[3] / "shared" / "data"


def rows(count: int = 4, **columns: list[float]) -> dict[str, list[float]]:
    base = {
        "ts": [(START + k * 5 * MINUTE) // 1_000_000 for k in range(count)],
        "open": [10.0] * count,
        "high": [12.0] * count,
        "low": [9.0] * count,
        "close": [11.0] * count,
        "volume": [3.0] * count,
    }
    return base | columns


def lake_of(tmp_path: Path, table: dict[str, list[float]]) -> Lake:
    folder = tmp_path / "ohlcv" / "binance" / "BTC-USDT"
    folder.mkdir(parents=True)
    pl.DataFrame(table).write_parquet(folder / "5m.parquet")
    return Lake(tmp_path)


def read(lake: Lake, **options) -> BarArrays:
    return lake.read("binance", "BTC/USDT", Timeframe.M5, **options)


def test_rows_come_back_as_bars(tmp_path):
    bars = read(lake_of(tmp_path, rows(trades=[7, 8, 9, 10])))
    assert bars.bars()[1] == Bar("BTC/USDT", Timeframe.M5, START + 5 * MINUTE, 10, 12, 9, 11, 3, 32 / 3, 8)
    assert bars.ts_close.tolist() == [START + k * 5 * MINUTE for k in range(1, 5)]
    assert len(bars) == 4


def test_trades_are_some_or_none_where_the_source_does_not_count_them(tmp_path):
    bars = read(lake_of(tmp_path, rows(volume=[3.0, 0.0, 1.0, 0.0])))
    assert bars.trades.tolist() == [1, 0, 1, 0]


def test_span_is_half_open_and_views_are_enough(tmp_path):
    lake = lake_of(tmp_path, rows(10))
    part = read(lake, start=START + 10 * MINUTE, end=START + 25 * MINUTE)
    assert part.ts_open.tolist() == [START + minute * MINUTE for minute in (10, 15, 20)]
    assert read(lake, end=START + 5 * MINUTE).ts_open.tolist() == [START]
    assert len(read(lake, start=START + DAY)) == 0


@pytest.mark.parametrize(
    "broken,rule",
    [
        ({"close": [11.0, float("nan"), 11.0, 11.0]}, "finite"),
        ({"volume": [1.0, None, 1.0, 1.0]}, "no null"),
        ({"ts": [0, 300_000, 300_000, 600_000]}, "ts above"),
        ({"ts": [0, 600_000, 300_000, 900_000]}, "ts above"),
        ({"ts": [0, 300_001, 600_000, 900_000]}, "5m grid"),
        ({"high": [12.0, 10.5, 12.0, 12.0]}, "low <= open"),
        ({"low": [9.0, 10.5, 9.0, 9.0]}, "low <= open"),
        ({"low": [9.0, 0.0, 9.0, 9.0]}, "low > 0"),
        ({"volume": [1.0, -1.0, 1.0, 1.0]}, "volume >= 0"),
    ],
)
def test_row_that_cannot_be_trusted_is_named_in_one_line(tmp_path, broken, rule):
    with pytest.raises(DataError, match=rule) as caught:
        read(lake_of(tmp_path, rows(**broken)))
    message = str(caught.value)
    assert "5m.parquet" in message
    assert f"row={2 if rule == 'ts above' else 1}" in message
    assert "\n" not in message


def test_series_that_is_not_there_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="15m"):
        lake_of(tmp_path, rows()).read("binance", "BTC/USDT", Timeframe.M15)


def test_lake_lists_its_series_and_ignores_other_files(tmp_path):
    lake = lake_of(tmp_path, rows())
    (tmp_path / "ohlcv" / "binance" / "BTC-USDT" / "notes.parquet").write_bytes(b"")
    assert lake.series() == [Series("binance", "BTC/USDT", Timeframe.M5)]


def with_hole(minutes: int) -> dict[str, list[float]]:
    times = [START, START + 5 * MINUTE, START + (10 + minutes) * MINUTE]
    return rows(3, ts=[ts // 1_000_000 for ts in times], close=[11.0, 10.0, 12.0])


def test_rows_absent_for_six_hours_are_quiet_bars(tmp_path):
    bars = read(lake_of(tmp_path, with_hole(360)))
    assert len(bars) == 3 + 72
    assert bars.bars()[2] == Bar("BTC/USDT", Timeframe.M5, START + 10 * MINUTE, 10, 10, 10, 10, 0, 10, 0)
    assert np.all(np.diff(bars.ts_open) == 5 * MINUTE)


def test_rows_absent_for_longer_are_missing(tmp_path):
    assert len(read(lake_of(tmp_path, with_hole(365)))) == 3


def test_quiet_bars_are_the_same_wherever_a_span_begins_and_ends(tmp_path):
    lake = lake_of(tmp_path, with_hole(360))
    whole = read(lake)
    for first in range(0, 75, 7):
        start, end = START + first * 5 * MINUTE, START + (first + 7) * 5 * MINUTE
        assert read(lake, start=start, end=end).bars() == whole.between(start, end).bars()


def test_prices_stored_short_come_back_exactly_on_the_grid(tmp_path):
    exact = [118234.56, 42397.23, 0.1, 99999.99]
    short = [float(np.float32(price)) for price in exact]
    table = rows(open=short, high=[200_000.0] * 4, low=[0.05] * 4, close=short)
    bars = read(lake_of(tmp_path, table), price_increment=Decimal("0.01"))
    assert bars.close.tolist() == exact
    half = [float(np.float32(100.5))] * 4
    (tmp_path / "half").mkdir()
    table = rows(open=half, close=half, high=[101.0] * 4)
    assert read(lake_of(tmp_path / "half", table), price_increment=Decimal("0.5")).close[0] == 100.5


def test_higher_bar_with_a_missing_part_does_not_exist(tmp_path):
    bars = aggregate(read(lake_of(tmp_path, with_hole(365))), Timeframe.M15)
    assert len(bars) == 0


def test_unfinished_higher_bar_does_not_exist(tmp_path):
    bars = aggregate(read(lake_of(tmp_path, rows(7))), Timeframe.M15)
    assert bars.ts_open.tolist() == [START, START + 15 * MINUTE]


def test_timeframe_that_does_not_fit_is_refused(tmp_path):
    bars = read(lake_of(tmp_path, rows()))
    assert aggregate(bars, Timeframe.M5) is bars
    with pytest.raises(UsageError, match="1m"):
        aggregate(bars, Timeframe.M1)


def test_arrays_and_the_live_builder_make_the_same_higher_bars():
    random = np.random.default_rng(5)
    builder = BarBuilder()
    builder.add("BTC/USDT", START)
    times = np.sort(random.integers(0, DAY, 900)).tolist()
    prices = random.integers(80, 120, 900).tolist()
    for ts, price in zip([0, *times], [100, *prices], strict=True):
        builder.on_trade(Trade("BTC/USDT", START + ts, Decimal(price), Decimal("0.5"), Side.BUY, 0))
    bars = [bar for _, group in builder.close_until(START + DAY) for bar in group]
    minutes = [bar for bar in bars if bar.timeframe is Timeframe.M1]
    columns = [np.array(column) for column in zip(*[minute_row(bar) for bar in minutes], strict=True)]
    source = BarArrays("BTC/USDT", Timeframe.M1, *columns)
    for timeframe in list(Timeframe)[1:]:
        live = [bar for bar in bars if bar.timeframe is timeframe]
        offline = aggregate(source, timeframe).bars()
        assert [minute_row(bar)[:5] for bar in live] == [minute_row(bar)[:5] for bar in offline]
        assert [bar.trades for bar in live] == [bar.trades for bar in offline]
        assert [bar.vwap for bar in live] == pytest.approx([bar.vwap for bar in offline])
        assert [bar.volume for bar in live] == pytest.approx([bar.volume for bar in offline])


def minute_row(bar: Bar) -> tuple[float, ...]:
    return (bar.ts_open, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.vwap, bar.trades)


def test_every_shipped_series_reads_without_a_hole():
    lake = Lake(SHIPPED)
    assert len(lake.series()) == 6
    for series in lake.series():
        bars = lake.read(*series)
        assert len(bars) == 57_600
        assert np.all(np.diff(bars.ts_open) == 5 * MINUTE)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the large recordings are not on this machine")
def test_recorded_quarter_hours_equal_those_made_of_five_minutes():
    lake = Lake(SHARED)
    span = {"start": 19_723 * DAY, "end": 19_823 * DAY, "price_increment": Decimal("0.01")}
    made = aggregate(lake.read("binance", "BTC/USDT", Timeframe.M5, **span), Timeframe.M15)
    recorded = lake.read("binance", "BTC/USDT", Timeframe.M15, **span)
    assert len(made) == len(recorded) == 100 * 96
    for column in ("ts_open", "open", "high", "low", "close"):
        assert np.array_equal(getattr(made, column), getattr(recorded, column))
    assert made.volume == pytest.approx(recorded.volume, rel=1e-4)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the large recordings are not on this machine")
def test_outage_of_a_day_is_missing_not_quiet():
    bars = Lake(SHARED).read("binance", "BTC/USDT", Timeframe.H1, start=17_563 * DAY, end=17_574 * DAY)
    assert np.diff(bars.ts_open).max() > 30 * HOUR
