"""Volatility columns against TA-Lib and plain numpy; jumps that are known are found."""

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


def percentile(history):
    ranges = true_range(history)
    before, now = windows(ranges, 60)[:-1], ranges[60:, None]
    return (np.sum(before < now, 1) - np.sum(before > now, 1)) / 60


def realised(history, length):
    return (windows(returns(history), length) ** 2).sum(1)


def bipower(history):
    size = np.abs(returns(history))
    return np.pi / 2 * windows(size[1:] * size[:-1], 60).sum(1)


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
    "range_percentile_60": percentile,
    "volatility": lambda h: windows(returns(h), 20).std(1),
    "rv_15": lambda h: np.sqrt(realised(h, 15)),
    "rv_24": lambda h: np.sqrt(realised(h, 24)),
    "rv_60": lambda h: np.sqrt(realised(h, 60)),
    "bipower_60": lambda h: np.sqrt(bipower(h)),
    "jump_share_60": lambda h: np.maximum(1 - bipower(h) / realised(h, 60)[1:], 0),
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


def test_a_jump_is_found_and_left_out_of_bipower_variation():
    random = np.random.default_rng(5)
    moves = random.choice([-1e-3, 1e-3], 200)
    moves[170] = 0.05
    history = flat(200)
    history.bars[:4] = 100 * np.exp(np.cumsum(moves))
    out = fold_family(FAMILY, history)[0]
    share, smooth, realised_60 = (
        column(FAMILY, out, name) for name in ("jump_share_60", "bipower_60", "rv_60")
    )
    assert share[169] == 0.0
    assert share[170] > 0.9
    assert smooth[170] < 1.4 * smooth[169]
    assert realised_60[170] > 6 * realised_60[169]


def test_regime_is_low_in_a_lull_and_high_in_a_storm():
    history = flat(1_000, price=1_000.0)
    swing = np.where(np.arange(1_000) < 900, 1.0, 4.0)
    history.bars[1:3] = 1_000 + swing, 1_000 - swing
    rising = column(FAMILY, fold_family(FAMILY, history)[0], "volatility_regime")
    assert abs(rising[890]) < 0.01
    assert rising[920] > 0.15
    history.bars[1:3] = 1_000 + 1 / swing, 1_000 - 1 / swing
    assert column(FAMILY, fold_family(FAMILY, history)[0], "volatility_regime")[920] < -0.15
