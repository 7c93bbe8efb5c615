"""Strength of moves, and moves over n bars, against TA-Lib."""

import numpy as np
import pytest
import talib

from inference.features.momentum import FAMILY
from tests.inference.features.walk import column, fold_family, recorded

WARM = 720


@pytest.fixture(scope="module", params=["BTC-USDT", "DOGE-USDT"])
def history(request):
    return recorded(request.param)


def in_atr(history, distance):
    return np.clip(distance / talib.ATR(history.high, history.low, history.close, 14), -20, 20)


def move(history, bars):
    return in_atr(history, talib.MOM(history.close, bars))


ORACLE = {
    "rsi": lambda h: talib.RSI(h.close, 14) / 50 - 1,
    "acceleration": lambda h: in_atr(h, talib.MOM(talib.MOM(h.close, 1), 1)),
    "return_4": lambda h: move(h, 4),
    "return_5": lambda h: move(h, 5),
    "return_12": lambda h: move(h, 12),
    "return_15": lambda h: move(h, 15),
    "return_60": lambda h: move(h, 60),
}


def test_oracle_knows_every_column():
    assert tuple(ORACLE) == FAMILY.columns


@pytest.mark.parametrize("name", ORACLE)
def test_column_equals_ta_lib_once_its_start_is_forgotten(history, name):
    found = column(FAMILY, fold_family(FAMILY, history)[0], name)[WARM:]
    assert found == pytest.approx(ORACLE[name](history)[WARM:], rel=1e-9, abs=1e-9)


def test_first_bars_move_from_the_first_close(history):
    out = fold_family(FAMILY, history)[0]
    assert np.array_equal(column(FAMILY, out, "return_60")[:12], column(FAMILY, out, "return_15")[:12])
    assert np.abs(column(FAMILY, out, "return_60")[:60]).max() < 20


def test_market_that_only_rises_is_one():
    history = recorded("BTC-USDT", 100)
    history.bars[:4] = 1_000.0 + np.arange(100)
    assert column(FAMILY, fold_family(FAMILY, history)[0], "rsi")[-1] == pytest.approx(1.0, abs=1e-15)
