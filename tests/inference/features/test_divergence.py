"""Swings and divergences against a search through all bars, and told no bar too early."""

import numpy as np
import pytest
import talib

from inference.features.divergence import FAMILY, SPAN
from inference.features.pivots import CONFIRM, pivot_slots, push_pivot
from tests.inference.features.walk import (
    History,
    assert_keeps_promises,
    column,
    flat,
    fold_family,
    recorded,
    silent_after,
)


def swings(values: np.ndarray) -> np.ndarray:
    """Give the bars whose value is above CONFIRM before it and not below CONFIRM after it."""
    around = np.lib.stride_tricks.sliding_window_view(values, 2 * CONFIRM + 1)
    middle = around[:, CONFIRM]
    before, after = around[:, :CONFIRM].max(1), around[:, CONFIRM + 1 :].max(1)
    return np.flatnonzero((middle > before) & (middle >= after)) + CONFIRM


def test_pivots_are_told_when_confirmed_and_are_all_there_are():
    history = recorded("XRP-USDT", 2_000)
    state = np.zeros(pivot_slots())
    highs, lows = [], []
    for count, (high, low) in enumerate(zip(history.high, history.low, strict=True)):
        top, bottom = push_pivot(state, 0, count, high, low)
        if top:
            assert top == history.high[count - CONFIRM]
            highs.append(count - CONFIRM)
        if bottom:
            assert bottom == history.low[count - CONFIRM]
            lows.append(count - CONFIRM)
    assert highs == swings(history.high).tolist()
    assert lows == swings(-history.low).tolist()


def searched(history: History) -> tuple[np.ndarray, np.ndarray]:
    """Give both columns by looking, at each bar, at all swings confirmed by then."""
    count = history.ts_open.size
    rsi = talib.RSI(history.close, 14) / 100
    sides = [(1, history.high, swings(history.high)), (-1, -history.low, swings(-history.low))]
    told = []  # (when confirmed, bar of the swing, side, strength)
    for side, values, found in sides:
        for last, bar in zip([None, *found], found, strict=False):
            near = last is not None and bar - last <= SPAN and values[bar] > values[last]
            strength = max((rsi[last] - rsi[bar]) * side, 0.0) if near else 0.0
            told.append((bar + CONFIRM, bar, side, strength))
    strengths, ages = np.zeros(count), np.ones(count)
    for t in range(count):
        newest = {side: (bar, value) for known, bar, side, value in sorted(told) if known <= t}
        fresh = [(bar, side, value) for side, (bar, value) in newest.items() if value > 0 and t - bar < SPAN]
        if fresh:
            bar, side, value = max(fresh)
            strengths[t], ages[t] = -side * value, (t - bar) / SPAN
    return strengths, ages


@pytest.mark.parametrize("pair", ["BTC-USDT", "DOGE-USDT"])
def test_divergence_is_that_of_the_last_two_confirmed_swings(pair):
    history = recorded(pair, 1_500)
    out = fold_family(FAMILY, history)[0]
    strength, age = searched(history)
    warm = FAMILY.warm_up["rsi_divergence"]
    assert column(FAMILY, out, "rsi_divergence")[warm:] == pytest.approx(strength[warm:], abs=1e-9)
    assert column(FAMILY, out, "rsi_divergence_age")[warm:] == pytest.approx(age[warm:], abs=1e-12)
    found = column(FAMILY, out, "rsi_divergence")[warm:]
    assert 0.02 < (found > 0).mean() < 0.6
    assert 0.02 < (found < 0).mean() < 0.6


def peaks(second: float) -> History:
    """Give a market that rises steeply to 110, falls back, then creeps up to `second` and falls again."""
    legs = [(100, 100, 30), (100, 110, 6), (110, 103, 8), (103, second, 20), (second, 100, 8)]
    close = np.concatenate([np.linspace(a, b, n, endpoint=False) for a, b, n in legs])
    history = flat(close.size)
    history.bars[:4] = close
    return history


def test_a_higher_peak_on_weaker_strength_is_bearish_from_its_confirmation_on():
    history = peaks(112.0)
    strength, age = fold_family(FAMILY, history)[0]
    top = int(history.high.argmax())
    assert (strength[: top + CONFIRM] == 0.0).all()
    assert (age[: top + CONFIRM] == 1.0).all()
    assert (strength[top + CONFIRM :] < -0.05).all()
    assert age[top + CONFIRM] == CONFIRM / SPAN


def test_a_lower_peak_shows_no_divergence():
    assert (fold_family(FAMILY, peaks(109.0))[0][0] == 0.0).all()


def test_nothing_is_told_of_a_market_that_stands_still():
    out = fold_family(FAMILY, silent_after(recorded(count=400), 200))[0]
    assert (out[0, 200 + SPAN + CONFIRM :] == 0.0).all()
    assert (out[1, 200 + SPAN + CONFIRM :] == 1.0).all()


def test_family_keeps_what_every_family_promises():
    assert_keeps_promises(FAMILY, recorded("SOL-USDT", 1_200))
