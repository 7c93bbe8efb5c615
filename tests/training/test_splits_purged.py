"""Cross-validation by event times, against brute force, and against a second library's counts."""

from itertools import pairwise
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skfolio.model_selection import CombinatorialPurgedCV as SecondOpinion
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import KFold

from core.clock import HOUR
from core.errors import UsageError
from inference.features.spec import SPECS
from training.alignment import embargo_ns, look_back_ns
from training.cross.purged import combinatorial, k_fold


@st.composite
def events(draw):
    """Random decisions of a few instruments with labels of random lengths, rows in no order of time."""
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    instants = np.cumsum(rng.integers(1, 4, draw(st.integers(12, 60)))).astype(np.int64) * HOUR
    instruments = draw(st.integers(1, 3))
    ts = np.tile(instants, instruments)[rng.random(len(instants) * instruments) < 0.9]
    ts_end = ts + rng.integers(1, draw(st.integers(2, 30)), len(ts)) * HOUR
    return ts, ts_end


def spans(ts, test):
    """Give the closed test spans [first decision, last decision] of contiguous instants among all."""
    every = np.unique(ts)
    tested = np.isin(every, ts[test])
    edges = np.flatnonzero(np.diff(np.r_[False, tested, False].astype(int)))
    return [(every[a], every[b - 1]) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def assert_apart(ts, ts_end, train, test, embargo):
    """Hold every training row's event apart from every test row's, row by row."""
    for row in train:
        for first, last in spans(ts, test):
            inside = test[(ts[test] >= first) & (ts[test] <= last)]
            ended = ts_end[inside].max()
            assert ts_end[row] < first or ts[row] > ended, "a training label touches a test event"
            assert ts[row] < first or ts[row] > ended + embargo, "no embargo after a test span"
    assert not set(ts[train]) & set(ts[test]), "one instant on both sides"


@settings(max_examples=40, deadline=None)
@given(events(), st.integers(2, 5), st.integers(0, 20))
def test_no_training_event_touches_a_test_span(made, splits, embargo_hours):
    ts, ts_end = made
    embargo = embargo_hours * HOUR
    folds = list(k_fold(ts, ts_end, splits=splits, embargo=embargo))
    assert len(folds) == splits
    for train, test in folds:
        assert_apart(ts, ts_end, train, test, embargo)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(ts)))


@settings(max_examples=20, deadline=None)
@given(events(), st.integers(3, 5), st.integers(0, 20))
def test_no_training_event_touches_any_of_the_combined_test_spans(made, groups, embargo_hours):
    ts, ts_end = made
    for tested in (1, 2):
        folds = list(combinatorial(ts, ts_end, groups=groups, tested=tested, embargo=embargo_hours * HOUR))
        assert len(folds) == comb(groups, tested)
        for train, test in folds:
            assert_apart(ts, ts_end, train, test, embargo_hours * HOUR)
        # Each row is tested in as many folds as there are paths through time.
        times = np.bincount(np.concatenate([test for _, test in folds]), minlength=len(ts))
        assert set(times) == {comb(groups - 1, tested - 1)}


def test_no_more_is_purged_than_has_to_be():
    """Twelve hourly rows with labels of two hours, three folds, embargo of one hour: counted by hand."""
    ts = np.arange(12, dtype=np.int64) * HOUR
    folds = list(k_fold(ts, ts + 2 * HOUR, splits=3, embargo=HOUR))
    # Test 4-7, whose last label ends at 9: rows 2 and 3 reach into it, 8 and 9 overlap, 10 is embargoed.
    assert [train.tolist() for train, _ in folds] == [[7, 8, 9, 10, 11], [0, 1, 11], [0, 1, 2, 3, 4, 5]]


def test_combinations_and_paths_agree_with_a_second_library():
    ts = np.arange(60, dtype=np.int64) * HOUR
    for groups, tested in ((6, 2), (5, 3), (10, 2)):
        ours = list(combinatorial(ts, ts, groups=groups, tested=tested, embargo=0))
        theirs = SecondOpinion(n_folds=groups, n_test_folds=tested, purged_size=0, embargo_size=0)
        assert len(ours) == theirs.n_splits
        paths = np.bincount(np.concatenate([test for _, test in ours]), minlength=len(ts))
        assert set(paths) == {theirs.n_test_paths}
        theirs_tested = {
            tuple(sorted(np.concatenate(test).tolist())) for _, test in theirs.split(np.zeros((60, 1)))
        }
        assert {tuple(sorted(test.tolist())) for _, test in ours} == theirs_tested


@pytest.mark.parametrize("name", ["entry_15m", "entry_1h"])
def test_the_embargo_covers_label_and_features(name):
    spec = SPECS[name]
    longest = max(block.warm_up * block.timeframe.ns for block in spec.needed)
    assert look_back_ns(spec) == longest > 0
    assert embargo_ns(spec, 24 * spec.decision.ns) == longest
    assert embargo_ns(spec, longest + 1) == longest + 1


def test_refuses_what_cannot_be_cut():
    ts = np.arange(5, dtype=np.int64)
    with pytest.raises(UsageError, match="expected 2 to 5 splits"):
        list(k_fold(ts, ts, splits=6, embargo=0))
    with pytest.raises(UsageError, match="expected 1 to 2 test groups"):
        list(combinatorial(ts, ts, groups=3, tested=3, embargo=0))


def walk(rows=1_500, horizon=60):
    """A pure random walk: past returns as features, the sign of the next `horizon` steps as the label."""
    rng = np.random.default_rng(7)
    price = np.cumsum(rng.standard_normal(rows + 2 * horizon))
    at = np.arange(horizon, rows + horizon)
    x = np.column_stack([price[at] - price[at - back] for back in (1, 5, 20, horizon)] + [price[at]])
    ts = at.astype(np.int64) * HOUR
    return x, price[at + horizon] > price[at], ts, ts + horizon * HOUR


def accuracy(x, y, folds):
    scores = []
    for train, test in folds:
        forest = RandomForestClassifier(20, min_samples_leaf=3, random_state=1, n_jobs=1)
        scores.append((forest.fit(x[train], y[train]).predict(x[test]) == y[test]).mean())
    return float(np.mean(scores))


def test_shuffled_folds_find_an_edge_in_a_random_walk_and_purged_ones_do_not():
    """Labels that overlap tell each other's answer; only a split by event times keeps them apart."""
    x, y, ts, ts_end = walk()
    shuffled = accuracy(x, y, KFold(5, shuffle=True, random_state=1).split(x))
    purged = accuracy(x, y, k_fold(ts, ts_end, splits=5, embargo=60 * HOUR))
    assert shuffled > 0.75
    # 1,500 rows with labels of 60 are about 25 independent ones: one deviation is ten percent.
    assert purged < 0.6
    assert shuffled - purged > 0.2


def test_neighbours_in_time_are_in_one_fold():
    ts = np.arange(30, dtype=np.int64) * HOUR
    for _, test in k_fold(ts, ts + HOUR, splits=4, embargo=0):
        assert all(b - a == 1 for a, b in pairwise(test.tolist()))
