"""The kernels against TA-Lib and against plain numpy over each window."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import talib

from core.market import Timeframe
from inference.features.catalogue import layout, warm_up_of
from inference.features.legacy import FAMILY
from inference.features.scale import FAMILY as BASE
from inference.features.series import BarTable, new_marks, numbered, walk

COLUMNS = (*BASE.columns, *FAMILY.columns)
WINDOW = 20

MARKET = Path(__file__).parents[3] / "configs" / "market" / "ohlcv" / "binance"
STEP = Timeframe.M5.ns
BARS = 6_000


class Series:
    """One recorded instrument and its columns."""

    def __init__(self, pair: str) -> None:
        table = pl.read_parquet(MARKET / pair / "5m.parquet").head(BARS)
        self.ts_open = table["ts"].to_numpy() * 1_000_000
        names = ("open", "high", "low", "close", "volume")
        self.open, self.high, self.low, self.close, self.volume = (
            table[name].cast(pl.Float64).to_numpy() for name in names
        )
        self.columns, self.counts = folded(
            self.ts_open, self.open, self.high, self.low, self.close, self.volume
        )

    def __getitem__(self, column: str) -> np.ndarray:
        return self.columns[:, COLUMNS.index(column)]


def folded(ts_open, *values):
    """Give all columns [T, C] and the count of bars at each."""
    bars = BarTable(ts_open, np.vstack([*values, np.full(len(ts_open), np.nan)]))
    plan = layout(COLUMNS)
    at = numbered(bars, Timeframe.M5, new_marks(1))
    columns = np.full((at.total, len(COLUMNS)), np.nan)

    def sink(origin, count, out):
        columns[origin : origin + count] = out[1:, :count].T

    walk(plan, plan.states(1), bars, at, timeframe=Timeframe.M5, sink=sink)
    return columns[at.slots], at.counts


def flat(bars: int, price: float = 100.0, volume: float = 5.0):
    ts_open = np.arange(bars) * STEP
    return ts_open, *(np.full(bars, value) for value in (price, price, price, price, volume))


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
    warm = warm_up_of(column) + 340
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
    warm = 2 * 340
    assert series["vwap_distance"][warm:] == pytest.approx(distance[warm:], abs=1e-8)


@pytest.mark.parametrize("first", [1, 7, 333, 1_000])
def test_any_start_gives_the_same_columns_after_the_warm_up(series, first):
    late = restarted(series, first)
    for number, column in enumerate(COLUMNS):
        warm = warm_up_of(column) - 1
        np.testing.assert_allclose(
            late[warm:, number], series.columns[first + warm :, number], rtol=1e-9, atol=1e-9
        )


def restarted(series: Series, first: int) -> np.ndarray:
    names = ("ts_open", "open", "high", "low", "close", "volume")
    return folded(*(getattr(series, name)[first:] for name in names))[0]


def test_silence_after_a_storm_is_exactly_silent():
    ts_open, opened, high, low, close, volume = flat(100 + WINDOW)
    volume[50:] = 0.0
    volume[50] = 1e15
    close[50], high[50], low[50] = 1e6, 1e6, 1e-3
    columns, _ = folded(ts_open, opened, high, low, close, volume)
    last = dict(zip(COLUMNS, columns[-1], strict=True))
    for column in ("volume_z", "vwap_distance", "bollinger_position", "bollinger_width", "volatility"):
        assert last[column] == 0.0


def test_market_that_never_moves_gives_zeros_and_no_nan():
    columns, counts = folded(*flat(800, volume=0.0))
    assert np.all(columns == 0.0)
    assert counts[-1] == 800


def test_columns_are_bounded_whatever_a_quiet_market_does_after_a_jump():
    ts_open, opened, high, low, close, volume = flat(900)
    opened[300:] = close[300:] = high[300:] = low[300:] = 1e5
    columns, _ = folded(ts_open, opened, high, low, close, volume)
    assert np.isfinite(columns).all()
    assert np.abs(columns).max() <= 20.0


def test_columns_do_not_depend_on_the_scale_of_price_and_volume():
    series = Series("BTC-USDT")
    scaled, _ = folded(
        series.ts_open,
        *(getattr(series, name) / 1024 for name in ("open", "high", "low", "close")),
        series.volume * 4096,
    )
    assert np.array_equal(scaled, series.columns)


def test_hole_starts_the_count_over_and_forgets_everything_before():
    series = Series("BTC-USDT")
    ts_open = series.ts_open.copy()
    ts_open[2_000:] += 3 * STEP
    columns, counts = folded(ts_open, series.open, series.high, series.low, series.close, series.volume)
    assert counts[1_999:2_002].tolist() == [2_000, 1, 2]
    assert np.array_equal(columns[2_000:], restarted(series, 2_000))
