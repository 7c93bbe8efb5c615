"""Volatility columns against TA-Lib and plain numpy."""

import numpy as np
import pytest
import talib

from inference.features.volatility import FAMILY
from tests.inference.features.walk import column, flat, fold_family, recorded

WARM = 720


@pytest.fixture(scope="module", params=["BTC-USDT", "DOGE-USDT"])
def history(request):
    return recorded(request.param)


def windows(values, length):
    return np.lib.stride_tricks.sliding_window_view(values, length)


def padded(values, history):
    """Give values at the end of as many bars as the history has."""
    return np.concatenate((np.full(len(history.close) - len(values), np.nan), values))


def returns(history):
    return np.diff(np.log(history.close))


def z_score(values, length):
    """Give each value but the first ones against the window that ended just before it."""
    before = windows(values, length)[:-1]
    return np.clip((values[length:] - before.mean(1)) / before.std(1), -20, 20)


def width(history):
    last = windows(history.close, 20)
    return 4 * last.std(1) / last.mean(1)


def true_range(history):
    return talib.TRANGE(history.high, history.low, history.close)[1:]


def atr(history):
    return talib.ATR(history.high, history.low, history.close, 14)


def regime(history):
    fraction = atr(history) / history.close
    mean = padded(windows(fraction, 120).mean(1), history)
    return (fraction - mean) / (fraction + mean)


ORACLE = {
    "bollinger_position": lambda h: (
        (h.close[19:] - talib.SMA(h.close, 20)[19:]) / (2 * windows(h.close, 20).std(1))
    ),
    "bollinger_width": width,
    "bollinger_width_z": lambda h: z_score(width(h), 20),
    "true_range_z": lambda h: z_score(true_range(h), 20),
    "range_expansion": lambda h: windows(true_range(h), 5).mean(1) / atr(h)[5:],
    "volatility": lambda h: windows(returns(h), 20).std(1),
    "volatility_regime": regime,
}
# Those fed with ATR forget with it; the others are exact as soon as their windows are full.
SLOW = ("range_expansion", "volatility_regime")


def test_oracle_knows_every_column():
    assert tuple(ORACLE) == FAMILY.columns


@pytest.mark.parametrize("name", ORACLE)
def test_column_equals_its_oracle_once_its_start_is_forgotten(history, name):
    warm = WARM if name in SLOW else FAMILY.warm_up[name] - 1
    found = column(FAMILY, fold_family(FAMILY, history)[0], name)[warm:]
    # A z-score divides by a deviation of deviations: the reference itself has no more digits.
    assert found == pytest.approx(padded(ORACLE[name](history), history)[warm:], rel=1e-9, abs=1e-9)


def test_bands_equal_ta_lib_as_far_as_it_has_digits(history):
    out = fold_family(FAMILY, history)[0][:, 20:]
    upper, middle, lower = (line[20:] for line in talib.BBANDS(history.close, 20, 2, 2))
    # TA-Lib keeps a sum of squares, which loses half the digits of a price's deviation.
    assert column(FAMILY, out, "bollinger_width") == pytest.approx((upper - lower) / middle, abs=1e-6)
    deviation = talib.STDDEV(np.log(history.close[1:] / history.close[:-1]), 20)
    assert column(FAMILY, out, "volatility") == pytest.approx(deviation[19:], rel=1e-6, abs=1e-9)


def test_regime_is_low_in_a_lull_and_high_in_a_storm():
    history = flat(1_000, price=1_000.0)
    swing = np.where(np.arange(1_000) < 900, 1.0, 4.0)
    history.bars[1:3] = 1_000 + swing, 1_000 - swing
    rising = column(FAMILY, fold_family(FAMILY, history)[0], "volatility_regime")
    assert abs(rising[890]) < 0.01
    assert rising[920] > 0.15
    history.bars[1:3] = 1_000 + 1 / swing, 1_000 - 1 / swing
    assert column(FAMILY, fold_family(FAMILY, history)[0], "volatility_regime")[920] < -0.15
