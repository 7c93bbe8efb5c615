"""Regimes: the rule on markets made for it, and no look ahead."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trader.evaluation.regimes import (
    BEAR,
    BULL,
    FEWEST,
    HIGH_VOLATILITY,
    RULE,
    SIDEWAYS,
    UNKNOWN,
    index_returns,
    regimes,
)


def market(*parts, seed=3):
    """Give daily returns: each part is days, drift and deviation, its deviation exact on even days."""
    draw = np.random.default_rng(seed)
    pieces = []
    for days, drift, deviation in parts:
        signs = np.where(np.arange(days) % 2, 1.0, -1.0)
        pieces.append(drift + deviation * signs * (1.0 + 0.01 * draw.random(days)))
    return np.concatenate(pieces)


def test_a_steady_rise_is_bull_and_a_steady_fall_is_bear():
    # Alternating days of +-1 % around a drift of 0.5 %: 30 days make 15 %, the limit is about 4 %.
    rise = regimes(market((120, 0.0, 0.01), (60, 0.005, 0.01)))
    assert set(rise[150:]) == {BULL}
    fall = regimes(market((120, 0.0, 0.01), (60, -0.005, 0.01)))
    assert set(fall[150:]) == {BEAR}


def test_a_market_that_goes_nowhere_is_sideways():
    assert set(regimes(market((200, 0.0, 0.01), seed=4))[100:]) <= {SIDEWAYS, HIGH_VOLATILITY}
    assert SIDEWAYS in regimes(market((200, 0.0, 0.01), seed=4))


def test_a_storm_is_high_volatility_even_while_it_falls():
    found = regimes(market((150, 0.0, 0.01), (30, -0.02, 0.05)))
    assert set(found[155:175]) == {HIGH_VOLATILITY}


def test_days_without_enough_past_are_unknown():
    found = regimes(market((200, 0.0, 0.01)))
    assert set(found[: FEWEST + 19]) == {UNKNOWN}
    assert found[FEWEST + 30] != UNKNOWN


def test_the_index_holds_equal_parts_of_what_is_listed():
    closes = {"A": np.array([10.0, 11.0, 11.0]), "B": np.array([np.nan, 50.0, 40.0])}
    found = index_returns(closes)
    assert np.isnan(found[0])
    assert found[1:].tolist() == [10.0 * 0 + 11.0 / 10.0 - 1.0, (0.0 + (40.0 / 50.0 - 1.0)) / 2]


def test_the_rule_is_in_words():
    for word in ("days before", "equal parts", "bull or bear", "sideways", "High volatility"):
        assert word in RULE


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 199), st.integers(0, 99))
def test_no_day_is_judged_by_itself_or_what_follows(day, seed):
    draw = np.random.default_rng(seed)
    returns = draw.normal(0.0, 0.02, 200)
    other = returns.copy()
    other[day:] = draw.normal(0.01, 0.2, 200 - day)
    assert regimes(returns)[: day + 1] == regimes(other)[: day + 1]
