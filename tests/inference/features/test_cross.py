"""Columns of several timeframes: what each says of numbers that can be checked by hand."""

import numpy as np
import pytest

from core.market import Timeframe
from inference.features.cross import CROSS
from inference.features.fold import fold
from inference.features.frame import crossed
from inference.features.spec import Block, Cross, FeatureSpec
from tests.inference.features.whole import M5, M15, PAIR, histories

H1, H4, M1 = Timeframe.H1, Timeframe.H4, Timeframe.M1


def said(column: str, values: list, *, decision=H1, timeframes=(H1, H4), atr=2.0, close=100.0) -> float:
    """Give a cross column for one instrument from its inputs, a list for each timeframe."""
    spec = FeatureSpec("test", decision, ())
    inputs = [np.array(one, float)[:, None] for one in values]
    (found,) = crossed(spec, Cross(column, timeframes), inputs, (np.array([atr]), np.array([close])))
    return float(found[0])


def test_trends_that_agree_say_so_and_those_that_differ_are_a_conflict():
    assert said("trend_alignment", [[2.0], [0.5]]) == 0.75
    assert said("trend_alignment", [[2.0], [-3.0]]) == 0.0
    assert said("trend_conflict", [[2.0], [-3.0]]) == 1.0
    assert said("trend_conflict", [[0.5], [0.5]]) == 0.0


def test_nearest_level_of_the_higher_timeframes_is_measured_in_the_decisions_atr():
    assert said("higher_support", [[96.0], [90.0]]) == 2.0
    assert said("higher_support", [[104.0], [90.0]]) == 5.0  # 104 is above: no support
    assert said("higher_resistance", [[101.0], [130.0]]) == 0.5
    assert said("higher_resistance", [[99.0], [98.0]]) == 20.0
    assert said("higher_support", [[10.0], [10.0]]) == 20.0
    assert said("higher_support", [[96.0], [96.0]], atr=0.0) == 0.0


def test_volatility_of_higher_timeframes_is_their_mean():
    assert said("higher_volatility", [[0.5], [-0.25]]) == 0.125


def test_atr_of_a_random_walk_grows_with_the_root_of_time():
    # Four hours are four times as long: twice the range.
    assert said("atr_ratio", [[0.04]], timeframes=(H4,)) == pytest.approx(0.0)
    assert said("atr_ratio", [[0.02]], timeframes=(H4,)) == pytest.approx(np.log(2))
    assert said("atr_ratio", [[0.0]], timeframes=(H4,)) == 0.0
    assert said("atr_ratio", [[1e-11]], timeframes=(H4,)) == 5.0


def test_hour_that_moves_as_the_day_does_has_a_ratio_of_nought():
    day = 0.03  # root of the sum of 24 squared hourly returns
    hour = day / np.sqrt(24)
    minutes_and_hours = {"timeframes": (M1, H1)}
    assert said("rv_ratio", [[hour, 9.0], [9.0, day]], **minutes_and_hours) == pytest.approx(0, abs=1e-6)
    assert said("rv_ratio", [[3 * hour, 9.0], [9.0, day]], **minutes_and_hours) == pytest.approx(np.log(3))


def test_volume_gap_is_the_short_ratio_less_the_long_one():
    assert said("volume_gap", [[0.5, 9.0], [9.0, 0.2]], timeframes=(M1, H1)) == pytest.approx(0.3)


def test_vwap_of_minutes_is_told_in_the_atr_of_the_hour():
    # 3 ATRs of a minute, each 0.1 % of price; the hour's ATR is 2 %.
    assert said("vwap_60", [[3.0, 0.001]], timeframes=(M1,)) == pytest.approx(0.15)
    assert said("vwap_60", [[3.0, 0.001]], timeframes=(M1,), atr=0.0) == 0.0


def test_cross_columns_of_real_bars_equal_their_formulas():
    history = histories(PAIR)
    spec = FeatureSpec(
        "test",
        M5,
        (Block(M5, ("ema_cross", "atr")), Block(M15, ("ema_cross", "atr"))),
        cross=(Cross("trend_alignment", (M5, M15)), Cross("atr_ratio", (M15,))),
        clock=(),
    )
    folded = fold(spec, history)
    x = folded.x[folded.ready].astype(float)
    assert len(x) > 2_000
    assert x[:, 4] == pytest.approx(np.clip(x[:, [0, 2]], -1, 1).mean(axis=1), abs=1e-6)
    assert x[:, 5] == pytest.approx(np.log(x[:, 1] * np.sqrt(3) / x[:, 3]), abs=1e-5)


def test_cross_inputs_that_are_not_warm_or_not_there_hold_the_row_back():
    history = histories(PAIR)
    spec = FeatureSpec("test", M5, (Block(M5, ("volume_z",)),), cross=(Cross("atr_ratio", (M15,)),))
    folded = fold(spec, history)
    first = int(np.argmax(folded.ready))
    assert folded.ts_close[first] == history[M15].ts_close[339]


@pytest.mark.parametrize("column", CROSS)
def test_whatever_the_inputs_a_cross_column_is_bounded(column):
    terms = CROSS[column]
    random = np.random.default_rng(1)
    many = max(terms.least, 1)
    timeframes = (M1, H1)[:many]
    for _ in range(200):
        values = [10.0 ** random.uniform(-9, 9, len(terms.needs)) for _ in timeframes]
        atr = 10.0 ** random.uniform(-15, 9)
        assert abs(said(column, values, timeframes=timeframes, atr=atr)) < 1e10
