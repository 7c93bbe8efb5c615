"""Realised volatility against plain numpy; jumps that are known are found."""

import numpy as np
import pytest
import talib

from inference.features.realised import FAMILY
from tests.inference.features.walk import column, flat, fold_family, recorded


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


def true_range(history):
    return talib.TRANGE(history.high, history.low, history.close)[1:]


def percentile(history):
    ranges = true_range(history)
    before, now = windows(ranges, 60)[:-1], ranges[60:, None]
    return (np.sum(before < now, 1) - np.sum(before > now, 1)) / 60


def realised(history, length):
    return (windows(returns(history), length) ** 2).sum(1)


def bipower(history):
    size = np.abs(returns(history))
    return np.pi / 2 * windows(size[1:] * size[:-1], 60).sum(1)


ORACLE = {
    "range_percentile_60": percentile,
    "rv_15": lambda h: np.sqrt(realised(h, 15)),
    "rv_24": lambda h: np.sqrt(realised(h, 24)),
    "rv_60": lambda h: np.sqrt(realised(h, 60)),
    "bipower_60": lambda h: np.sqrt(bipower(h)),
    "jump_share_60": lambda h: np.maximum(1 - bipower(h) / realised(h, 60)[1:], 0),
}


def test_oracle_knows_every_column():
    assert tuple(ORACLE) == FAMILY.columns


@pytest.mark.parametrize("name", ORACLE)
def test_column_equals_its_oracle_as_soon_as_its_window_is_full(history, name):
    warm = FAMILY.warm_up[name] - 1
    found = column(FAMILY, fold_family(FAMILY, history)[0], name)[warm:]
    assert found == pytest.approx(padded(ORACLE[name](history), history)[warm:], rel=1e-9, abs=1e-9)


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
