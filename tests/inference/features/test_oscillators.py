"""Oscillators against TA-Lib, and against plain numpy from their first full window."""

import numpy as np
import pytest
import talib

from inference.features.oscillators import FAMILY
from tests.inference.features.walk import column, fold_family, recorded

WARM = 720


@pytest.fixture(scope="module", params=["BTC-USDT", "DOGE-USDT"])
def history(request):
    return recorded(request.param)


def stochastic(history, line):
    both = talib.STOCH(history.high, history.low, history.close, 14, 3, 0, 3, 0)
    return both[line] / 50 - 1


def position(history):
    highest, lowest = talib.MAX(history.high, 20), talib.MIN(history.low, 20)
    return 2 * (history.close - lowest) / (highest - lowest) - 1


ORACLE = {
    "stochastic_k": lambda h: stochastic(h, 0),
    "stochastic_d": lambda h: stochastic(h, 1),
    "cci": lambda h: talib.CCI(h.high, h.low, h.close, 20) / 100,
    "range_position_20": position,
}


def test_oracle_knows_every_column():
    assert tuple(ORACLE) == FAMILY.columns


@pytest.mark.parametrize("name", ORACLE)
def test_column_equals_ta_lib_once_its_start_is_forgotten(history, name):
    found = column(FAMILY, fold_family(FAMILY, history)[0], name)[WARM:]
    assert found == pytest.approx(ORACLE[name](history)[WARM:], rel=1e-9, abs=1e-9)


def test_windows_equal_plain_numpy_as_soon_as_they_are_full(history):
    out = fold_family(FAMILY, history)[0]
    typical = (history.high + history.low + history.close) / 3
    last = np.lib.stride_tricks.sliding_window_view(typical, 20)
    spread = np.abs(last - last.mean(1)[:, None]).mean(1)
    expected = (typical[19:] - last.mean(1)) / (1.5 * spread)
    assert column(FAMILY, out, "cci")[19:] == pytest.approx(expected, abs=1e-10)
    assert column(FAMILY, out, "range_position_20")[19:] == pytest.approx(position(history)[19:], abs=1e-12)
    smooth = stochastic(history, 1)[17:]
    assert column(FAMILY, out, "stochastic_d")[17:] == pytest.approx(smooth, abs=1e-12)


def test_extremes_of_the_range_are_minus_one_and_one():
    history = recorded("BTC-USDT", 100)
    history.bars[:4] = 1_000.0 + np.arange(100)
    out = fold_family(FAMILY, history)[0]
    for name in ("stochastic_k", "stochastic_d", "range_position_20"):
        assert column(FAMILY, out, name)[-1] == pytest.approx(1.0, abs=1e-15)
