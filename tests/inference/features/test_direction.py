"""Directional movement against TA-Lib; the regime against its rule in numpy."""

import numpy as np
import pytest
import talib

from inference.features.direction import FAMILY
from tests.inference.features.walk import column, fold_family, recorded

WARM = 1_300


@pytest.fixture(scope="module", params=["BTC-USDT", "DOGE-USDT"])
def history(request):
    return recorded(request.param)


def regime(history):
    atr = talib.ATR(history.high, history.low, history.close, 14)
    fast = [talib.EMA(history.close, span) for span in (9, 21, 50)]
    order = np.mean(
        [np.clip(10 * (fast[a] - fast[b]) / atr, -1, 1) for a, b in ((0, 1), (1, 2), (0, 2))], axis=0
    )
    adx = talib.ADX(history.high, history.low, history.close, 14)
    return order * np.clip((adx - 15) / 20, 0, 1)


ORACLE = {
    "adx": lambda h: talib.ADX(h.high, h.low, h.close, 14) / 100,
    "di_plus": lambda h: talib.PLUS_DI(h.high, h.low, h.close, 14) / 100,
    "di_minus": lambda h: talib.MINUS_DI(h.high, h.low, h.close, 14) / 100,
    "trend_regime": regime,
}


def test_oracle_knows_every_column():
    assert tuple(ORACLE) == FAMILY.columns


@pytest.mark.parametrize("name", ORACLE)
def test_column_equals_ta_lib_once_its_start_is_forgotten(history, name):
    found = column(FAMILY, fold_family(FAMILY, history)[0], name)[WARM:]
    assert found == pytest.approx(ORACLE[name](history)[WARM:], rel=1e-9, abs=1e-9)


def test_regime_is_full_in_a_steady_climb_and_none_in_a_zigzag():
    history = recorded("BTC-USDT", 900)
    history.bars[:4] = 1_000.0 + np.arange(900)
    assert column(FAMILY, fold_family(FAMILY, history)[0], "trend_regime")[-1] == 1.0
    history.bars[:4] = 1_000.0 - np.arange(900) / 2
    assert column(FAMILY, fold_family(FAMILY, history)[0], "trend_regime")[-1] == -1.0
    history.bars[:4] = 1_000.0 + np.arange(900) % 2
    assert column(FAMILY, fold_family(FAMILY, history)[0], "trend_regime")[-1] == 0.0
