import numpy as np
import pytest

from core.clock import DAY
from core.errors import DataError
from tests.evaluation_runs import START, run_of
from trader.evaluation.paired import compare, paired, stationary_days


def noise(seed, days=300):
    return np.random.default_rng(seed).normal(0.0, 0.01, days)


def test_a_run_does_not_differ_from_itself():
    found = paired(noise(1), noise(1))
    assert (found.mean_daily.value, found.p, found.differs) == (0.0, None, False)
    assert found.sentence == "The two never differ."


def test_what_the_market_did_to_both_falls_out():
    market, edge = noise(1) * 5, noise(2) * 0.02 + 0.0005
    found = paired(market + edge, market)
    assert found.differs
    assert found.mean_daily.low > 0
    assert "more than the second" in found.sentence
    # Unpaired, five basis points a day are lost in five per cent of daily noise.
    assert not paired(market + edge, market[::-1].copy()).differs


def test_luck_is_called_luck_about_nineteen_times_in_twenty():
    called = sum(paired(noise(2 * n, 100), noise(2 * n + 1, 100)).differs for n in range(100))
    assert 1 <= called <= 11  # binomial(100, 0.05) lies in it with 98 %


def test_the_interval_is_that_of_independent_days_where_days_are_independent():
    found = paired(noise(1, 1000), np.zeros(1000), block_days=1.0)
    half = 1.96 * noise(1, 1000).std() / np.sqrt(1000)
    assert found.mean_daily.high - found.mean_daily.low == pytest.approx(2 * half, rel=0.08)
    assert found.sharpe.value is None  # the second never moves


def test_few_days_give_no_interval():
    found = paired(noise(1, 12), noise(2, 12))
    assert (found.mean_daily.low, found.p) == (None, None)
    assert found.sentence == "12 days are too few to tell."


def test_one_day_has_no_sharpe_ratio_to_compare():
    found = paired(np.array([0.01]), np.array([-0.01]))
    assert (found.sharpe.value, found.mean_daily.value) == (None, pytest.approx(0.02))


def test_blocks_have_the_length_asked_for():
    days = stationary_days(1000, 8.0, seed=3, replicates=50)
    assert days.min() >= 0
    assert days.max() < 1000
    follows = np.mean(np.diff(days, axis=1) % 1000 == 1)
    assert follows == pytest.approx(1 - 1 / 8, abs=0.01)


def test_runs_are_compared_over_the_days_they_share():
    moves = noise(5, 60)
    long, short = run_of(moves), run_of(moves[10:] + 0.01, start=START + 10 * DAY)
    found = compare(short, long)
    assert found.days == 50
    assert found.mean_daily.value == pytest.approx(0.01)
    with pytest.raises(DataError, match="share days"):
        compare(long, run_of(moves, start=START + 90 * DAY))


def test_series_of_different_days_are_refused():
    with pytest.raises(DataError, match="same days"):
        paired(np.zeros(3), np.zeros(4))
