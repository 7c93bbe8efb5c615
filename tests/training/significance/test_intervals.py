import numpy as np
import pytest

from training.significance.intervals import block_days, drawdown, growth, intervals


def noise(days, seed=1, mean=0.0):
    return mean + 0.02 * np.random.default_rng(seed).standard_normal(days)


def test_two_years_cannot_tell_zero_from_one():
    found = intervals(noise(730), seed=1)
    # One standard error is 0.71 over two years, so the interval is some 2.8 wide.
    assert found.sharpe.high - found.sharpe.low == pytest.approx(2 * 1.96 / np.sqrt(2), rel=0.15)
    assert found.sharpe.low < found.sharpe.value < found.sharpe.high
    assert found.mean_daily.high - found.mean_daily.low == pytest.approx(
        2 * 1.96 * 0.02 / np.sqrt(730), rel=0.15
    )
    assert -1.0 < found.cagr.low < found.cagr.value < found.cagr.high
    assert 0.0 < found.max_drawdown.low < found.max_drawdown.high < 1.0


def test_the_same_seed_gives_the_same_interval():
    assert intervals(noise(100), seed=3) == intervals(noise(100), seed=3)


def test_figures_by_hand():
    assert growth(np.full(365, 0.0)) == 0.0
    assert growth(np.array([0.1])) == pytest.approx(1.1**365 - 1)
    assert growth(np.array([0.5, -1.0, 0.0])) == -1.0
    assert drawdown(np.array([0.5, -0.2, -0.5, 1.0])) == pytest.approx(0.6)
    assert drawdown(np.array([-0.1, 0.2])) == pytest.approx(0.1)


def test_days_that_resemble_their_neighbours_get_longer_blocks():
    slow = np.convolve(noise(1000), np.ones(40) / 40, mode="valid")
    assert block_days(noise(1000)) == 5
    assert block_days(slow) > 15


def test_few_days_or_none_with_trades_give_no_interval():
    few = intervals(noise(12), seed=1)
    assert (few.sharpe.low, few.cagr.high) == (None, None)
    still = intervals(np.zeros(200), seed=1)
    assert (still.sharpe.value, still.mean_daily.value) == (None, 0.0)
