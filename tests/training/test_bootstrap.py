import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.bootstrap import MEAN_BLOCK_DAYS, REPLICATES, binned_auc, day_weights, interval, ratio


def test_every_replicate_draws_as_many_days_as_there_are():
    weights = day_weights(50, 1)
    assert weights.shape == (REPLICATES, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert weights.mean() == pytest.approx(1.0)
    assert (day_weights(50, 1) == weights).all()


def test_blocks_widen_the_interval_of_days_that_resemble_their_neighbours():
    rng = np.random.default_rng(3)
    levels = np.repeat(rng.standard_normal(40), int(MEAN_BLOCK_DAYS))
    shuffled = rng.permutation(levels)
    weights = day_weights(len(levels), 1)

    def width(values):
        found = interval(np.column_stack([values, np.ones(len(values))]), ratio, weights)
        assert found.low < found.value < found.high
        return found.high - found.low

    assert width(levels) > 1.4 * width(shuffled)


def test_interval_of_a_mean_agrees_with_its_textbook_width():
    rng = np.random.default_rng(5)
    sums = np.column_stack([rng.standard_normal(400), np.ones(400)])
    found = interval(sums, ratio, day_weights(400, 1))
    assert found.high - found.low == pytest.approx(2 * 1.96 / 20, rel=0.2)


def test_no_interval_from_too_few_days_and_no_figure_from_nothing():
    few = interval(np.ones((5, 2)), ratio, day_weights(5, 1))
    assert (few.value, few.low, few.high) == (1.0, None, None)
    none = interval(np.zeros((20, 2)), ratio, day_weights(20, 1))
    assert (none.value, none.low, none.high) == (None, None, None)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_binned_auc_equals_the_count_of_pairs(rows):
    sums = np.zeros((1, 12))
    for score, positive in rows:
        sums[0, score + 6 * positive] += 1
    up = [score for score, positive in rows if positive]
    down = [score for score, positive in rows if not positive]
    found = binned_auc(sums)[0]
    if not up or not down:
        assert np.isnan(found)
        return
    wins = sum((u > d) + 0.5 * (u == d) for u in up for d in down)
    assert found == pytest.approx(wins / len(up) / len(down))
