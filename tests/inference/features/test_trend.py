"""Trend columns against TA-Lib, and against plain numpy where it has none."""

import numpy as np
import pytest
import talib

from inference.features.family import ATR
from inference.features.trend import FAMILY
from tests.inference.features.walk import column, fold_family, recorded, scales_of

WARM = 1_300  # both ours and TA-Lib's start are forgotten


@pytest.fixture(scope="module", params=["BTC-USDT", "DOGE-USDT"])
def history(request):
    return recorded(request.param)


def in_atr(history, distance):
    return np.clip(distance / talib.ATR(history.high, history.low, history.close, 14), -20, 20)


def averages(history):
    return [talib.EMA(history.close, span) for span in (5, 9, 21, 50)]


def order(history):
    fast = averages(history)
    gaps = [fast[a] - fast[b] for a in range(4) for b in range(a + 1, 4)]
    return np.mean([np.clip(10 * in_atr(history, gap), -1, 1) for gap in gaps], axis=0)


ORACLE = {
    "sma_20": lambda h: in_atr(h, h.close - talib.SMA(h.close, 20)),
    "sma_50": lambda h: in_atr(h, h.close - talib.SMA(h.close, 50)),
    "ema_5": lambda h: in_atr(h, h.close - averages(h)[0]),
    "ema_9": lambda h: in_atr(h, h.close - averages(h)[1]),
    "ema_21": lambda h: in_atr(h, h.close - averages(h)[2]),
    "ema_50": lambda h: in_atr(h, h.close - averages(h)[3]),
    "ema_cross": lambda h: in_atr(h, averages(h)[1] - averages(h)[2]),
    "ema_ribbon": lambda h: in_atr(h, np.ptp(averages(h), axis=0)),
    "ema_order": order,
    "macd": lambda h: in_atr(h, talib.MACD(h.close, 12, 26, 9)[0]),
    "macd_histogram": lambda h: in_atr(h, talib.MACD(h.close, 12, 26, 9)[2]),
    "trend_slope": lambda h: in_atr(h, talib.LINEARREG_SLOPE(h.close, 20)),
}


def test_oracle_knows_every_column():
    assert tuple(ORACLE) == FAMILY.columns


@pytest.mark.parametrize("name", ORACLE)
def test_column_equals_ta_lib_once_its_start_is_forgotten(history, name):
    found = column(FAMILY, fold_family(FAMILY, history)[0], name)[WARM:]
    # TA-Lib runs its simple averages and lines on sums, which lose digits of a price.
    assert found == pytest.approx(ORACLE[name](history)[WARM:], rel=1e-9, abs=1e-9)


def test_windows_are_exact_from_the_first_full_one(history):
    out = fold_family(FAMILY, history)[0]
    atr = scales_of(history)[ATR]
    for window in (20, 50):
        last = np.lib.stride_tricks.sliding_window_view(history.close, window)
        expected = (history.close[window - 1 :] - last.mean(1)) / atr[window - 1 :]
        assert column(FAMILY, out, f"sma_{window}")[window - 1 :] == pytest.approx(expected, abs=1e-10)


def test_a_steady_climb_is_in_order_and_its_slope_is_its_step():
    history = recorded("BTC-USDT", 900)
    history.bars[:4] = 1_000.0 + np.arange(900)
    out = fold_family(FAMILY, history)[0]
    assert column(FAMILY, out, "ema_order")[-1] == 1.0
    # Each bar's true range is its step, so the slope is one ATR a bar.
    assert column(FAMILY, out, "trend_slope")[-1] == pytest.approx(1.0, rel=1e-12)
    history.bars[:4] = 3_000.0 - np.arange(900)
    assert column(FAMILY, fold_family(FAMILY, history)[0], "ema_order")[-1] == -1.0
