"""Figures of daily returns: by hand, against a library, and never anything but a number or None."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skfolio import measures

from core.clock import DAY, HOUR
from trader.evaluation.metrics import (
    drawdown,
    expected_shortfall,
    growth,
    return_figures,
    sharpe,
    sharpe_error,
    under_water,
    value_at_risk,
)

FOUR = np.array([0.01, -0.02, 0.03, 0.0])
RETURNS = arrays(np.float64, st.integers(2, 300), elements=st.floats(-0.5, 0.5, width=32))


def test_four_days_by_hand():
    found = return_figures(FOUR)
    assert found.days == 4
    assert found.total == pytest.approx(1.01 * 0.98 * 1.03 - 1)
    assert found.annualised == pytest.approx(0.005 * 365)
    assert found.cagr == pytest.approx((1.01 * 0.98 * 1.03) ** (365 / 4) - 1)
    deviation = math.sqrt((0.005**2 + 0.025**2 + 0.025**2 + 0.005**2) / 3)
    assert found.volatility == pytest.approx(deviation * math.sqrt(365))
    assert found.sharpe == pytest.approx(0.005 / deviation * math.sqrt(365))
    assert found.sortino == pytest.approx(0.005 / math.sqrt(0.02**2 / 4) * math.sqrt(365))
    assert (found.best_day, found.worst_day, found.positive_days) == (0.03, -0.02, 0.5)


def test_sharpe_error_by_hand():
    # Apart from the mean: 0.005, -0.025, 0.025, -0.005: no skew; kurtosis from the fourth powers.
    squares, fourths = 2 * 0.005**2 + 2 * 0.025**2, 2 * 0.005**4 + 2 * 0.025**4
    kurtosis = (fourths / 4) / (squares / 4) ** 2
    daily = 0.005 / math.sqrt(squares / 3)
    expected = math.sqrt((1 + (kurtosis - 1) / 4 * daily**2) / 3 * 365)
    assert sharpe_error(FOUR) == pytest.approx(expected)


def test_the_worst_twentieth_by_hand():
    losses = -np.arange(1, 51) / 100  # 50 days: 2.5 of them are the worst 5 %
    assert value_at_risk(losses) == pytest.approx(0.48)
    assert expected_shortfall(losses) == pytest.approx((0.50 + 0.49 + 0.48 / 2) / 2.5)
    assert value_at_risk(losses[:3]) == pytest.approx(0.03)
    assert expected_shortfall(losses[:3]) == pytest.approx(0.03)


@given(RETURNS)
def test_a_library_finds_the_same(daily):
    found = return_figures(daily)
    assert found.value_at_risk == pytest.approx(measures.value_at_risk(daily), abs=1e-12)
    assert found.expected_shortfall == pytest.approx(measures.cvar(daily), abs=1e-12)
    assert found.volatility == pytest.approx(measures.standard_deviation(daily) * math.sqrt(365), abs=1e-12)
    if found.sharpe is not None:
        per_day = measures.mean(daily) / measures.standard_deviation(daily)
        assert found.sharpe == pytest.approx(per_day * math.sqrt(365))
    if found.sortino is not None:
        below = measures.semi_deviation(daily, min_acceptable_return=0.0, biased=True)
        assert found.sortino == pytest.approx(measures.mean(daily) / below * math.sqrt(365), abs=1e-9)
    equity = np.concatenate(([1.0], np.cumprod(1.0 + daily)))
    deepest = drawdown(np.arange(len(equity)) * DAY, equity)
    theirs = measures.max_drawdown(measures.get_drawdowns(np.append(0.0, daily), compounded=True))
    assert (deepest.depth if deepest else 0.0) == pytest.approx(theirs, abs=1e-12)
    if found.sharpe_error is not None and len(daily) > 2:
        luck = measures.probabilistic_sharpe_ratio(daily)
        assert NormalDist().cdf(found.sharpe / found.sharpe_error) == pytest.approx(luck, abs=1e-9)


@given(RETURNS)
def test_every_figure_is_finite_or_none(daily):
    for name in (figures := return_figures(daily)).__struct_fields__:
        value = getattr(figures, name)
        assert value is None or math.isfinite(value), name


@pytest.mark.parametrize("daily", [np.zeros(0), np.zeros(1), np.full(30, 0.001), np.zeros(30)])
def test_what_never_varies_has_no_sharpe(daily):
    assert sharpe(daily) is None
    assert sharpe_error(daily) is None
    assert return_figures(daily).sortino is None


def test_no_day_has_no_figure():
    found = return_figures(np.zeros(0))
    assert found.days == 0
    assert {getattr(found, name) for name in found.__struct_fields__ if name != "days"} == {None}


def test_growth_at_its_ends():
    assert growth(0.21, 730) == pytest.approx(0.1)
    assert growth(-1.0, 10) == -1.0
    assert growth(5.0, 0) is None
    assert growth(1e9, 1) is None  # 1e9 compounded daily for a year is beyond a float


def test_drawdown_by_hand():
    times = np.arange(7) * DAY
    equity = np.array([100.0, 110.0, 99.0, 88.0, 104.5, 111.0, 105.0])
    found = drawdown(times, equity)
    assert found.depth == pytest.approx(0.2)
    assert (found.peak, found.bottom, found.recovered) == (1 * DAY, 3 * DAY, 5 * DAY)
    assert (found.length_days, found.recovery_days) == (4.0, 2.0)


def test_a_drawdown_that_was_not_recovered_lasts_to_the_end():
    found = drawdown(np.array([0, 12, 24, 36]) * HOUR, np.array([100.0, 100.0, 75.0, 80.0]))
    assert (found.depth, found.recovered, found.recovery_days) == (0.25, None, None)
    assert found.peak == 12 * HOUR
    assert found.length_days == 1.0


def test_what_only_rises_has_no_drawdown():
    assert drawdown(np.arange(3), np.array([1.0, 1.0, 2.0])) is None
    assert drawdown(np.zeros(0, int), np.zeros(0)) is None


def test_ruin_is_a_drawdown_of_everything():
    assert drawdown(np.arange(3), np.array([10.0, 0.0, 0.0])).depth == 1.0
    assert under_water(np.array([10.0, 0.0, 5.0])).tolist() == [0.0, -1.0, -0.5]
