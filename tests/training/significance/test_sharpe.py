import math
from statistics import NormalDist

import numpy as np
import pytest

from trader.evaluation.daily import annual_sharpe
from training.significance import sharpe

NORMAL = NormalDist()
YEAR = math.sqrt(365)


def days(seed=1, count=400, mean=0.001):
    rng = np.random.default_rng(seed)
    return mean + 0.02 * rng.standard_t(6, count)


def moments(returns):
    """Sharpe a day, skew and kurtosis with the usual corrections for bias, from their definitions."""
    n, apart = len(returns), returns - returns.mean()
    m2, m3, m4 = (np.mean(apart**k) for k in (2, 3, 4))
    skew = m3 / m2**1.5 * math.sqrt(n * (n - 1)) / (n - 2)
    excess = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (m4 / m2**2 - 3) + 6)
    return returns.mean() / math.sqrt(m2), skew, excess + 3


def psr_by_hand(returns, benchmark):
    ratio, skew, kurtosis = moments(returns)
    spread = math.sqrt(1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2)
    return NORMAL.cdf((ratio - benchmark) * math.sqrt(len(returns) - 1) / spread)


def expected_maximum(trials):
    gamma = 0.5772156649015329
    return (1 - gamma) * NORMAL.inv_cdf(1 - 1 / trials) + gamma * NORMAL.inv_cdf(1 - 1 / (trials * math.e))


@pytest.mark.parametrize("benchmark", [0.0, 0.5, 2.0])
def test_psr_is_the_formula_of_the_paper(benchmark):
    found = sharpe.probabilistic(days(), benchmark)
    assert found == pytest.approx(psr_by_hand(days(), benchmark / YEAR), abs=1e-9)


@pytest.mark.parametrize("trials", [2, 50, 500])
def test_dsr_is_the_formula_of_the_paper(trials):
    known = np.random.default_rng(2).normal(0.0, 0.8, 500)
    benchmark = np.std(known, ddof=1) / YEAR * expected_maximum(trials)
    returns = days(mean=0.003)
    assert sharpe.deflated(returns, known, trials) == pytest.approx(psr_by_hand(returns, benchmark), abs=1e-9)
    assert sharpe.luck(known, trials, 400) == pytest.approx(benchmark * YEAR, abs=1e-9)


def test_two_trials_that_are_alike_do_not_speak_for_a_hundred_unknown_ones():
    alike, estimate = np.array([1.5, 1.5001]), math.sqrt(365 / 364)
    assert sharpe.luck(alike, 2, 365) == pytest.approx(0.0, abs=1e-3)
    # 98 of a hundred are as wide apart as estimates are; the known two are not.
    told = expected_maximum(100) * math.sqrt(0.98) * estimate
    assert sharpe.luck(alike, 100, 365) == pytest.approx(told, abs=1e-6)
    assert sharpe.luck(alike, 100, 365, capped=False) == pytest.approx(0.0, abs=1e-3)
    assert sharpe.deflated(days(mean=0.003), alike, 100) < sharpe.deflated(days(mean=0.003), alike, 2)


def test_of_one_trial_luck_makes_nothing():
    assert sharpe.luck(np.array([3.0]), 1, 400) == 0.0
    assert sharpe.deflated(days(), np.array([3.0]), 1) == sharpe.probabilistic(days())


def test_losers_who_differ_by_their_fees_do_not_hide_an_edge():
    rng = np.random.default_rng(1)
    known = np.append(rng.uniform(-12.0, 0.0, 49), 4.0)
    edge = days(count=1000, mean=0.004)
    assert sharpe.deflated(edge, known, 50) > 0.99
    assert sharpe.deflated(edge, known, 50, capped=False) < 0.3
    # Trials that differ by no more than estimates do are not touched.
    alike = rng.normal(0.0, 0.3, 50)
    assert sharpe.luck(alike, 50, 1000) == sharpe.luck(alike, 50, 1000, capped=False)


def test_the_best_of_many_is_what_the_formula_says():
    best = np.random.default_rng(3).standard_normal((4000, 50)).max(axis=1).mean()
    assert expected_maximum(50) == pytest.approx(best, abs=0.05)
    assert sharpe.luck(np.zeros(0), 50, 366) == pytest.approx(expected_maximum(50), abs=1e-9)


def test_two_years_of_random_walks_show_what_a_seller_of_signals_shows():
    returns = 0.02 * np.random.default_rng(7).standard_normal((500, 730))
    ratios = np.array([annual_sharpe(row) for row in returns])
    best = int(ratios.argmax())
    # A Sharpe ratio of two from nothing, and nearly certain if nobody asks how many were tried.
    assert ratios[best] == pytest.approx(2.15, abs=0.35)
    assert sharpe.luck(ratios, 500, 730) == pytest.approx(2.15, abs=0.1)
    assert sharpe.probabilistic(returns[best]) > 0.99
    assert sharpe.deflated(returns[best], ratios, 500) < 0.75


def test_copies_of_one_trial_are_worth_one():
    rng = np.random.default_rng(4)
    one = rng.standard_normal((1, 300))
    assert sharpe.effective_trials(np.repeat(one, 20, axis=0)) == pytest.approx(1.0)
    assert sharpe.effective_trials(rng.standard_normal((20, 300))) == pytest.approx(20.0, abs=0.6)
    half = np.sqrt(0.5) * one + np.sqrt(0.5) * rng.standard_normal((20, 300))
    assert sharpe.effective_trials(half) == pytest.approx(0.5 + 0.5 * 20, abs=1.0)
    assert sharpe.effective_trials(np.zeros((3, 300))) == 3.0


def test_track_length_is_where_psr_reaches_95():
    returns = days(mean=0.002)
    ratio, skew, kurtosis = moments(returns)
    needed = 1 + (1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2) * (NORMAL.inv_cdf(0.95) / ratio) ** 2
    assert sharpe.min_track_days(returns) in (math.ceil(needed), math.ceil(needed) + 1)
    assert sharpe.min_track_days(-np.abs(days())) is None


def test_backtest_length_is_where_luck_reaches_the_sharpe_ratio():
    found = sharpe.min_backtest_days(500, 2.15)
    assert found == pytest.approx(365 * (expected_maximum(500) / 2.15) ** 2, abs=1)
    assert sharpe.min_backtest_days(500, -1.0) is None
    assert sharpe.min_backtest_days(1, 1.0) == 0


def test_a_run_without_trades_has_no_figures():
    nothing = np.zeros(100)
    assert sharpe.probabilistic(nothing) is None
    assert sharpe.deflated(nothing, np.zeros(0), 5) is None
    assert sharpe.min_track_days(nothing) is None
