"""The kernels against TA-Lib and against plain numpy over each window."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import talib

from core.clock import MINUTE
from core.market import Timeframe
from inference.features.indicators import COLUMNS, NEVER, STATE, WINDOW, fold_series, step_rows
from inference.features.spec import SLOW_WARM_UP, WARM_UP

MARKET = Path(__file__).parents[3] / "configs" / "market" / "ohlcv" / "binance"
STEP = Timeframe.M5.ns
BARS = 6_000


class Series:
    """One recorded instrument and its columns."""

    def __init__(self, pair: str) -> None:
        table = pl.read_parquet(MARKET / pair / "5m.parquet").head(BARS)
        self.ts_open = table["ts"].to_numpy() * 1_000_000
        names = ("high", "low", "close", "volume")
        self.high, self.low, self.close, self.volume = (
            table[name].cast(pl.Float64).to_numpy() for name in names
        )
        self.columns, self.counts = folded(self.ts_open, self.high, self.low, self.close, self.volume)

    def __getitem__(self, column: str) -> np.ndarray:
        return self.columns[:, COLUMNS.index(column)]


def folded(ts_open, high, low, close, volume):
    columns = np.full((len(ts_open), len(COLUMNS)), np.nan)
    counts = np.zeros(len(ts_open), np.int64)
    fold_series(ts_open, high, low, close, volume, STEP, columns, counts)
    return columns, counts


def flat(bars: int, price: float = 100.0, volume: float = 5.0):
    ts_open = np.arange(bars) * STEP
    return ts_open, *(np.full(bars, value) for value in (price, price, price, volume))


@pytest.fixture(scope="module", params=["BTC-USDT", "DOGE-USDT"])
def series(request) -> Series:
    return Series(request.param)


def in_atr(series: Series, distance: np.ndarray) -> np.ndarray:
    return np.clip(distance / talib.ATR(series.high, series.low, series.close, 14), -20, 20)


ORACLE = {
    "ema_5": lambda s: in_atr(s, s.close - talib.EMA(s.close, 5)),
    "ema_9": lambda s: in_atr(s, s.close - talib.EMA(s.close, 9)),
    "ema_21": lambda s: in_atr(s, s.close - talib.EMA(s.close, 21)),
    "ema_50": lambda s: in_atr(s, s.close - talib.EMA(s.close, 50)),
    "ema_cross": lambda s: in_atr(s, talib.EMA(s.close, 9) - talib.EMA(s.close, 21)),
    "macd": lambda s: in_atr(s, talib.MACD(s.close, 12, 26, 9)[0]),
    "macd_histogram": lambda s: in_atr(s, talib.MACD(s.close, 12, 26, 9)[2]),
    "rsi": lambda s: talib.RSI(s.close, 14) / 50 - 1,
    "atr": lambda s: talib.NATR(s.high, s.low, s.close, 14) / 100,
    "adx": lambda s: talib.ADX(s.high, s.low, s.close, 14) / 100,
    "di_plus": lambda s: talib.PLUS_DI(s.high, s.low, s.close, 14) / 100,
    "di_minus": lambda s: talib.MINUS_DI(s.high, s.low, s.close, 14) / 100,
    "bollinger_position": lambda s: (s.close - talib.SMA(s.close, 20)) / (2 * talib.STDDEV(s.close, 20)),
    "bollinger_width": lambda s: 4 * talib.STDDEV(s.close, 20) / talib.SMA(s.close, 20),
    "return_1": lambda s: in_atr(s, talib.MOM(s.close, 1)),
    "return_4": lambda s: in_atr(s, talib.MOM(s.close, 4)),
    "return_12": lambda s: in_atr(s, talib.MOM(s.close, 12)),
}
# TA-Lib keeps a sum of squares, which loses half the digits of a price's deviation.
LOOSE = {"bollinger_position": 1e-4, "bollinger_width": 1e-6}


@pytest.mark.parametrize("column", ORACLE)
def test_column_equals_ta_lib_once_its_start_is_forgotten(series, column):
    warm = SLOW_WARM_UP.get(column, WARM_UP) + WARM_UP
    expected = ORACLE[column](series)[warm:]
    assert series[column][warm:] == pytest.approx(expected, abs=LOOSE.get(column, 1e-8), rel=1e-6)


def windows(values: np.ndarray) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(values, WINDOW)


def test_window_columns_equal_plain_numpy_to_the_last_bar(series):
    close, volume = windows(series.close), windows(series.volume)
    bands = (series.close[WINDOW - 1 :] - close.mean(1)) / (2 * close.std(1))
    assert series["bollinger_position"][WINDOW - 1 :] == pytest.approx(bands, abs=1e-9)
    volume_z = (series.volume[WINDOW - 1 :] - volume.mean(1)) / volume.std(1)
    assert series["volume_z"][WINDOW - 1 :] == pytest.approx(volume_z, abs=1e-11)
    returns = np.log(series.close[1:] / series.close[:-1])
    assert series["volatility"][WINDOW:] == pytest.approx(windows(returns).std(1), abs=1e-15)
    typical = (series.high + series.low + series.close) / 3
    vwap = windows(typical * series.volume).sum(1) / volume.sum(1)
    distance = in_atr(series, series.close - np.append(np.full(WINDOW - 1, np.nan), vwap))
    warm = 2 * WARM_UP
    assert series["vwap_distance"][warm:] == pytest.approx(distance[warm:], abs=1e-8)


@pytest.mark.parametrize("first", [1, 7, 333, 1_000])
def test_any_start_gives_the_same_columns_after_the_warm_up(series, first):
    late = restarted(series, first)
    for number, column in enumerate(COLUMNS):
        warm = SLOW_WARM_UP.get(column, WARM_UP) - 1
        np.testing.assert_allclose(
            late[warm:, number], series.columns[first + warm :, number], rtol=1e-9, atol=1e-9
        )


def restarted(series: Series, first: int) -> np.ndarray:
    names = ("ts_open", "high", "low", "close", "volume")
    return folded(*(getattr(series, name)[first:] for name in names))[0]


def test_silence_after_a_storm_is_exactly_silent():
    ts_open, high, low, close, volume = flat(100 + WINDOW)
    volume[50:] = 0.0
    volume[50] = 1e15
    close[50], high[50], low[50] = 1e6, 1e6, 1e-3
    columns, _ = folded(ts_open, high, low, close, volume)
    last = dict(zip(COLUMNS, columns[-1], strict=True))
    for column in ("volume_z", "vwap_distance", "bollinger_position", "bollinger_width", "volatility"):
        assert last[column] == 0.0


def test_market_that_never_moves_gives_zeros_and_no_nan():
    columns, counts = folded(*flat(800, volume=0.0))
    assert np.all(columns == 0.0)
    assert counts[-1] == 800


def test_columns_are_bounded_whatever_a_quiet_market_does_after_a_jump():
    ts_open, high, low, close, volume = flat(900)
    close[300:] = high[300:] = low[300:] = 1e5
    columns, _ = folded(ts_open, high, low, close, volume)
    assert np.isfinite(columns).all()
    assert np.abs(columns).max() <= 20.0


def test_columns_do_not_depend_on_the_scale_of_price_and_volume():
    series = Series("BTC-USDT")
    scaled, _ = folded(
        series.ts_open, series.high / 1024, series.low / 1024, series.close / 1024, series.volume * 4096
    )
    assert np.array_equal(scaled, series.columns)


def test_hole_starts_the_count_over_and_forgets_everything_before():
    series = Series("BTC-USDT")
    ts_open = series.ts_open.copy()
    ts_open[2_000:] += STEP
    columns, counts = folded(ts_open, series.high, series.low, series.close, series.volume)
    assert counts[1_999:2_002].tolist() == [2_000, 1, 2]
    assert np.array_equal(columns[2_000:], restarted(series, 2_000))


def test_stepping_all_instruments_at_once_equals_folding_each_to_the_bit():
    pairs = [Series(pair) for pair in ("BTC-USDT", "ETH-USDT", "SOL-USDT")]
    state, columns = np.zeros((3, STATE)), np.zeros((3, len(COLUMNS)))
    counts, last_open = np.zeros(3, np.int64), np.full(3, NEVER, np.int64)
    order = np.array([2, 0, 1])
    for t in range(1_500):
        ts_open = np.array([pairs[k].ts_open[t] for k in order])
        values = np.array(
            [[getattr(pairs[k], name)[t] for k in order] for name in ("high", "low", "close", "volume")]
        )
        step_rows(state, counts, last_open, columns, order, ts_open, values, STEP)
        assert all(np.array_equal(columns[k], pairs[k].columns[t]) for k in range(3))


def test_bar_seen_twice_counts_once():
    state, columns = np.zeros((1, STATE)), np.zeros((1, len(COLUMNS)))
    counts, last_open = np.zeros(1, np.int64), np.full(1, NEVER, np.int64)
    rows, values = np.zeros(3, np.int64), np.ones((4, 3))
    ts_open = np.array([0, 5 * MINUTE, 0])
    step_rows(state, counts, last_open, columns, rows, ts_open, values, STEP)
    assert counts[0] == 2
    assert last_open[0] == 5 * MINUTE
