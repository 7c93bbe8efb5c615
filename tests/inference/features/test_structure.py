"""Levels, ranges and swings against a search through all bars; no level is known before its time."""

import numpy as np
import pytest
import talib

from inference.features.family import ATR
from inference.features.pivots import CONFIRM
from inference.features.structure import FAMILY, LEVELS, MEMORY, TOUCH
from tests.inference.features.test_divergence import swings
from tests.inference.features.walk import (
    History,
    assert_keeps_promises,
    column,
    flat,
    fold_family,
    jumping,
    recorded,
    scales_of,
    silent_after,
)

PAIRS = ("BTC-USDT", "DOGE-USDT")


@pytest.fixture(scope="module", params=PAIRS)
def market(request):
    history = recorded(request.param)
    return history, fold_family(FAMILY, history)[0]


def searched(history: History, t: int) -> tuple[float, float, int, int]:
    """Give support, resistance and their touches at bar t from all swings known by then."""
    tops, bottoms = swings(history.high), swings(-history.low)
    known = sorted(
        [(bar, 0, history.high[bar]) for bar in tops if bar + CONFIRM <= t]
        + [(bar, 1, history.low[bar]) for bar in bottoms if bar + CONFIRM <= t]
    )[-LEVELS:]
    prices = np.array([price for bar, _, price in known if bar > t - MEMORY - 1])
    close, last = history.close[t], slice(max(0, t - 59), t + 1)
    below, above = prices[prices <= close], prices[prices > close]
    support = below.max() if below.size else history.low[last].min()
    resistance = above.min() if above.size else history.high[last].max()
    within = TOUCH * scales_of(history)[ATR, t]
    return (
        support,
        resistance,
        (np.abs(prices - support) <= within).sum(),
        (np.abs(prices - resistance) <= within).sum(),
    )


def test_levels_are_the_nearest_swings_known_by_then(market):
    history, out = market
    for t in range(300, 3_000, 7):
        support, resistance, held, capped = searched(history, t)
        assert column(FAMILY, out, "level_support")[t] == support
        assert column(FAMILY, out, "level_resistance")[t] == resistance
        assert column(FAMILY, out, "support_touches")[t] == held / LEVELS
        assert column(FAMILY, out, "resistance_touches")[t] == capped / LEVELS


def test_distances_are_the_levels_in_atr_and_never_negative(market):
    history, out = market
    atr = scales_of(history)[ATR]
    support, resistance = column(FAMILY, out, "level_support"), column(FAMILY, out, "level_resistance")
    below = np.minimum((history.close - support) / atr, 20)
    assert column(FAMILY, out, "support_distance")[1:] == pytest.approx(below[1:], abs=1e-12)
    above = np.minimum((resistance - history.close) / atr, 20)
    assert column(FAMILY, out, "resistance_distance")[1:] == pytest.approx(above[1:], abs=1e-12)
    assert below.min() >= 0.0
    assert above.min() >= 0.0


def test_range_and_breakout_are_ta_libs_extremes(market):
    history, out = market
    high, low = talib.MAX(history.high, 60), talib.MIN(history.low, 60)
    position = 2 * (history.close - low) / (high - low) - 1
    assert column(FAMILY, out, "range_position_60")[59:] == pytest.approx(position[59:], abs=1e-10)
    broken = (history.close[60:] > high[59:-1]).astype(int) - (history.close[60:] < low[59:-1])
    assert np.count_nonzero(broken) > 10
    np.testing.assert_array_equal(column(FAMILY, out, "breakout")[60:], broken)


def test_chop_is_what_of_the_path_came_to_nothing(market):
    history, out = market
    path = np.lib.stride_tricks.sliding_window_view(np.abs(np.diff(history.close)), 20).sum(1)
    net = np.abs(history.close[20:] - history.close[:-20])
    assert column(FAMILY, out, "chop")[20:] == pytest.approx(1 - net / path, abs=1e-9)


def test_swing_runs_between_the_last_high_and_low(market):
    history, out = market
    tops, bottoms = swings(history.high), swings(-history.low)
    atr = scales_of(history)[ATR]
    for t in range(100, 3_000, 41):
        top, bottom = tops[tops <= t - CONFIRM][-1], bottoms[bottoms <= t - CONFIRM][-1]
        height = (history.high[top] - history.low[bottom]) / atr[t] * (1 if top >= bottom else -1)
        assert column(FAMILY, out, "swing")[t] == pytest.approx(np.clip(height, -20, 20), abs=1e-9)
        assert column(FAMILY, out, "swing_length")[t] == min(abs(top - bottom) / 60, 1)


def test_a_level_is_known_only_once_it_is_confirmed_and_not_for_ever():
    history = flat(500)
    history.bars[1, 100] = 120.0
    history.bars[2, 100] = 80.0
    out = fold_family(FAMILY, history)[0]
    level = column(FAMILY, out, "level_resistance")
    touches = column(FAMILY, out, "resistance_touches")
    assert (touches[: 100 + CONFIRM] == 0).all()
    assert (level[100 + CONFIRM : 100 + MEMORY] == 120.0).all()
    assert (touches[100 + CONFIRM : 100 + MEMORY] == 1 / LEVELS).all()
    assert (level[100 + MEMORY + 1 :] == 100.0).all()
    assert (column(FAMILY, out, "swing")[100 + MEMORY + 1 :] == 0.0).all()


def test_a_market_that_stands_still_is_finite_and_goes_nowhere():
    out = fold_family(FAMILY, silent_after(recorded(count=900), 500))[0]
    assert np.isfinite(out).all()
    assert (column(FAMILY, out, "chop")[520:] == 1.0).all()
    assert (column(FAMILY, out, "breakout")[500:] == 0.0).all()


def test_a_crash_to_a_thousandth_makes_no_touches_of_what_is_not_there():
    out = fold_family(FAMILY, jumping(recorded(count=340), 300, 0.001))[0]
    plain = fold_family(FAMILY, recorded(count=300))[0]
    held = column(FAMILY, out, "support_touches")[300]
    assert held == 0.0
    assert np.isfinite(out).all()
    np.testing.assert_array_equal(out[:, :300], plain)


@pytest.mark.parametrize("pair", PAIRS)
def test_family_keeps_what_every_family_promises(pair):
    assert_keeps_promises(FAMILY, recorded(pair, 1_200))
