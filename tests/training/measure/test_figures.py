"""Figures against numbers by hand and against scikit-learn and scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from core.clock import DAY, HOUR
from tests.training.measure.by_hand import START, noise
from training.bootstrap import binned_auc, ratio
from training.measure import figures
from training.measure.figures import Said, apart, area_sums, days, effective, gain_sums, scores


def said_of(kind, p, *, ts=None, moved=None, base=None, down: int | None = 0, up: int | None = 2) -> Said:
    n, classes = len(kind), p.shape[1]
    return Said(
        ts=START + np.arange(1, n + 1) * HOUR if ts is None else ts,
        kind=np.asarray(kind, np.int8),
        p=np.asarray(p, np.float64),
        moved=np.zeros(n) if moved is None else moved,
        base=np.full(classes, 1 / classes) if base is None else base,
        down=down,
        up=up,
    )


def test_a_small_table_by_hand():
    # came:  down down hold up   named: down hold hold down
    p = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.5, 0.1, 0.4]])
    one = said_of([0, 0, 1, 2], p, base=np.array([0.5, 0.25, 0.25]), moved=np.array([-2.0, -1.0, 0.5, 1.0]))
    found = scores(one, days(one.ts, 1))
    assert found.accuracy == 0.5
    assert found.accuracy_base == 0.5  # always down
    assert found.precision == (0.5, 0.5, None)
    assert found.recall == (0.5, 1.0, 0.0)
    assert found.f1 == pytest.approx((0.5, 2 / 3, 0.0))
    assert found.macro_f1.value == pytest.approx((0.5 + 2 / 3) / 3)
    assert found.macro_f1_base == pytest.approx((2 / 3) / 3)
    assert found.shares == (0.5, 0.25, 0.25)
    assert found.log_loss == pytest.approx(-np.mean(np.log([0.6, 0.2, 0.8, 0.4])))
    assert found.log_loss_base == pytest.approx(-np.mean(np.log([0.5, 0.5, 0.25, 0.25])))
    assert found.gain.value == pytest.approx(found.log_loss_base - found.log_loss)
    assert found.brier == pytest.approx(np.mean([0.26, 1.02 - 0.0 - 0.04, 0.06, 0.62]))
    # up (edge -0.1) against down (-0.5 and 0.1): one of two pairs in order
    assert found.auc.value == pytest.approx(0.5)
    assert found.auc.low is None  # one day
    assert found.ic.value == pytest.approx(stats.spearmanr([-0.5, 0.1, 0.0, -0.1], [-2.0, -1.0, 0.5, 1.0])[0])


def test_calibration_error_by_hand():
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    kind = np.array([0, 1, 1, 1], np.int8)
    # two bins of two rows: said 0.15 came 0.5, said 0.65 came 1.0
    assert figures.calibration_error(p, kind, bins=2) == pytest.approx(0.35)
    assert figures.reliability(p, kind, bins=2) == [
        (pytest.approx(0.15), 0.5, 2),
        (pytest.approx(0.65), 1.0, 2),
    ]
    # of three classes it is the likeliest that is judged
    three = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])
    assert figures.calibration_error(three, np.array([0, 0], np.int8), bins=1) == pytest.approx(0.05)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), skill=st.sampled_from([0.0, 1.0]), classes=st.sampled_from([2, 3]))
def test_figures_are_those_of_scikit_learn(seed, skill, classes):
    kind, p = noise(300, seed, skill=skill, classes=classes)
    sides = (0, 2) if classes == 3 else (None, None)
    one = said_of(kind, p, down=sides[0], up=sides[1])
    found = scores(one, days(one.ts, 1))
    labels = list(range(classes))
    named = p.argmax(axis=1)
    assert found.macro_f1.value == pytest.approx(
        metrics.f1_score(kind, named, labels=labels, average="macro", zero_division=0)
    )
    precision = metrics.precision_score(kind, named, labels=labels, average=None, zero_division=0)
    assert [value or 0.0 for value in found.precision] == pytest.approx(precision.tolist())
    assert found.log_loss == pytest.approx(metrics.log_loss(kind, p, labels=labels))
    rest = [metrics.roc_auc_score(kind == k, p[:, k]) for k in labels]
    assert found.auc_rest == pytest.approx(rest, abs=2e-3)  # 200 bins
    if classes == 2:
        assert found.auc.value == pytest.approx(rest[1], abs=2e-3)
        assert found.ic.value is None
        assert found.brier == pytest.approx(2 * metrics.brier_score_loss(kind, p[:, 1]))


def test_the_interval_of_noise_holds_chance_and_that_of_skill_does_not():
    for seed, skill in ((1, 0.0), (2, 1.0)):
        kind, p = noise(2_000, seed, skill=skill)
        one = said_of(kind, p, moved=kind - 1.0)
        found = scores(one, days(one.ts, 1))
        assert (found.auc.low > 0.5) is (skill > 0)
        assert (found.ic.low > 0.0) is (skill > 0)
        assert found.auc.low < found.auc.value < found.auc.high


def test_rows_said_ten_times_are_worth_what_they_are_once():
    rng = np.random.default_rng(3)
    values = rng.normal(size=400)
    day = np.arange(400) // 2
    weights = days(START + day * DAY + HOUR, 1).weights
    once = effective(values, day, weights)
    tenfold = effective(np.repeat(values, 10), np.repeat(day, 10), weights)
    assert 250 < once <= 400
    assert tenfold == pytest.approx(once, rel=0.1)  # of 4,000 rows
    assert effective(values[:10], day[:10], days(START + day[:10] * DAY + HOUR, 1).weights) is None


def test_a_close_at_midnight_belongs_to_the_day_that_it_ends():
    drawn = days(np.array([START + HOUR, START + DAY]), 1)
    assert drawn.of(np.array([START + HOUR, START + DAY])).tolist() == [0, 0]
    assert drawn.weights.shape[1] == 1


def test_differences_are_paired():
    kind, p = noise(1_500, 5, skill=0.5)
    better, same = said_of(kind, p), said_of(kind, p.copy())
    worse = said_of(kind, np.random.default_rng(1).permutation(p))
    drawn = days(better.ts, 1)
    none = apart(area_sums(better, drawn), area_sums(same, drawn), binned_auc, drawn.weights)
    assert (none.value, none.low, none.high) == (0.0, 0.0, 0.0)
    gain = apart(gain_sums(better, drawn), gain_sums(worse, drawn), ratio, drawn.weights)
    assert 0.0 < gain.low < gain.value < gain.high


def test_ranks_share_the_middle_of_ties():
    assert figures.ranks(np.array([5.0, 1.0, 5.0, 9.0])).tolist() == [0.5, 0.0, 0.5, 1.0]
