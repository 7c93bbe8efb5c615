"""KERNEL_VERSION is what makes models and saved states of other numbers refuse: it must move with them."""

import numpy as np
import pytest

from core.clock import DAY
from core.market import Timeframe
from inference.features.catalogue import COLUMNS, KERNEL_VERSION, layout
from inference.features.cross import CROSS
from inference.features.family import DELTA, HIGH, INPUTS, LOW, OPEN, VOLUME
from inference.features.series import BarTable, new_marks, numbered, walk

BARS = 800
VERSION = 2
"""When a number changes on purpose: raise the version, then write it and the new sums down here."""
COLUMN_SUMS = {
    "missing": 0.983333333333,
    "atr": 9.1487134375,
    "return_1": -2.77080303266,
    "sma_20": -42.1391414554,
    "sma_50": -141.792828598,
    "ema_5": -6.39763911398,
    "ema_9": -14.3675480366,
    "ema_21": -44.4618078004,
    "ema_50": -128.310930039,
    "ema_cross": -30.0942597639,
    "ema_ribbon": 443.757390403,
    "ema_order": -149.047449454,
    "macd": -37.1776010314,
    "macd_histogram": 2.47483905726,
    "trend_slope": -3.53794242493,
    "adx": 150.433668242,
    "di_plus": 124.551203018,
    "di_minus": 135.40396663,
    "trend_regime": -81.434916515,
    "rsi": -18.8270354177,
    "acceleration": 0.178469356307,
    "return_4": -12.5265768632,
    "return_5": -16.1298061385,
    "return_12": -45.6109447028,
    "return_15": -63.2773590834,
    "return_60": -342.210885098,
    "stochastic_k": -23.5839407654,
    "stochastic_d": -24.3695662167,
    "cci": -95.4396850078,
    "range_position_20": -34.1897980229,
    "bollinger_position": -57.7086669867,
    "bollinger_width": 14.4899560405,
    "bollinger_width_z": 179.428086846,
    "true_range_z": 22.0633695015,
    "range_expansion": 798.644804704,
    "range_percentile_60": 6.03428143391,
    "volatility": 2.30588297993,
    "rv_15": 9.08543910546,
    "rv_24": 11.4604364651,
    "rv_60": 17.861848008,
    "bipower_60": 19.3566379065,
    "jump_share_60": 2.4482708705,
    "volatility_regime": 3.68194856202,
    "skew_15": 22.6661131786,
    "kurtosis_15": -849.922126947,
    "skew_60": 37.6326029172,
    "kurtosis_60": -944.55148312,
    "obv": 16.4076939235,
    "volume_mean_5": -22.972022251,
    "volume_mean_15": -5.92637235673,
    "volume_z": -21.7017943838,
    "volume_burst": 1.33542246162,
    "vwap_distance": -43.5791783738,
    "vwap_60": -174.755632236,
    "signed_volume_15": 43.7968899159,
    "turnover_trend": 26.6785305183,
    "volume_z_week": 10.0036535584,
    "range_position_240": -179.763922639,
    "volume_mean_60": -3.31437044264,
    "support_distance": 324.332646484,
    "resistance_distance": 376.542893671,
    "support_touches": 150,
    "resistance_touches": 152.1875,
    "range_position_60": -84.9047689155,
    "breakout": -2,
    "chop": 654.727644639,
    "swing": 106.599406978,
    "swing_length": 89.55,
    "level_support": 78696.0068855,
    "level_resistance": 79477.473222,
    "rsi_divergence": 2.25262731128,
    "rsi_divergence_age": 603.3,
    "body": 0.707634456315,
    "upper_wick": 275.68539095,
    "lower_wick": 279.232366061,
    "doji": 172,
    "hammer": 8,
    "shooting_star": 16,
    "engulfing": -11,
    "harami": 5,
    "star": 0,
    "soldiers": 0,
    "inside_bar": 4,
    "marubozu": 9,
    "volume_delta": 16.9118826389,
    "volume_delta_20": 26.3476154539,
    "delta_divergence": 17.8013563029,
}
CROSS_SUMS = {
    "trend_alignment": 23.4644898129,
    "trend_conflict": 7.59611761093,
    "higher_support": 426.946333081,
    "higher_resistance": 605.921030834,
    "higher_volatility": 23.7379045486,
    "atr_ratio": 78.4709756919,
    "rv_ratio": 14.9035751719,
    "volume_gap": 0.329310297966,
    "vwap_60": 14.5533285577,
}


def drawn(count: int, seed: int) -> np.ndarray:
    """Numbers of 0 up to 1 by a rule that no library can change (Numerical Recipes' quick generator)."""
    numbers = []
    for _ in range(count):
        seed = (1_664_525 * seed + 1_013_904_223) % 2**32
        numbers.append((seed >> 8) / 2**24)
    return np.array(numbers)


def market() -> BarTable:
    """Give hours of a walk with quiet bars and a short hole."""
    random = drawn(5 * BARS, 7).reshape(5, BARS)
    values = np.empty((INPUTS, BARS))
    close = 100.0 + np.cumsum(random[0] - 0.5)
    opened = np.concatenate([[100.0], close[:-1]])
    values[OPEN], values[3] = opened, close
    values[HIGH] = np.maximum(opened, close) + random[1] * (random[1] > 0.3)
    values[LOW] = np.minimum(opened, close) - random[2] * (random[2] > 0.3)
    values[VOLUME] = 10.0 * random[3] * (random[3] > 0.05)
    values[DELTA] = values[VOLUME] * (2.0 * random[4] - 1.0)
    ts_open = 19_800 * DAY + (np.arange(BARS) + (np.arange(BARS) > 500)) * Timeframe.H1.ns
    return BarTable(ts_open, values)


@pytest.fixture(scope="module")
def columns() -> dict[str, float]:
    """Give each column's sum over the bars in which it is known."""
    plan, bars = layout(COLUMNS), market()
    at = numbered(bars, Timeframe.H1, new_marks(1))
    found = np.empty((plan.width, at.total))

    def sink(origin, count, out):
        found[:, origin : origin + count] = out[:, :count]

    walk(plan, plan.states(1), bars, at, timeframe=Timeframe.H1, sink=sink)
    return {name: float(np.nansum(found[row, at.slots])) for name, row in plan.rows.items()}


def cross_sum(name: str) -> float:
    inputs = len(CROSS[name].needs) * max(CROSS[name].least, 1)
    values = np.ascontiguousarray(drawn(inputs * 50, 11).reshape(inputs, 50) + 0.01)
    scales = np.vstack([0.1 + drawn(50, 12), 0.5 + drawn(50, 13) * 0.2])
    out = np.empty(50)
    CROSS[name].combine(values, scales, np.array([4.0, 16.0])[: CROSS[name].least], out)
    return float(out.sum())


def test_version_is_the_one_that_these_numbers_are_of():
    assert KERNEL_VERSION == VERSION


@pytest.mark.parametrize("name", COLUMNS)
def test_numbers_of_a_column_change_with_the_version_alone(name, columns):
    assert columns[name] == pytest.approx(COLUMN_SUMS[name], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", CROSS)
def test_numbers_of_a_cross_column_change_with_the_version_alone(name):
    assert cross_sum(name) == pytest.approx(CROSS_SUMS[name], rel=1e-9, abs=1e-9)
