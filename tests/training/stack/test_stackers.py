"""The parts of a stack: columns, pool, walk, choice, and graphs that say what the stackers say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError, ModelError
from inference.artifact import open_session
from training.members.kept import TEST
from training.stack import graph, pool
from training.stack.choose import simplest
from training.stack.design import direction, direction_logs, names, taking, taking_logs
from training.stack.stackers import learners
from training.stack.walk import NOBODY, Lesson, Times, cuts, folds, walk

DAY = 86_400 * 10**9
VOTERS = 3


def tensors(rows, seed=1):
    """Give votes and members of voters that are sometimes silent."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet((4, 3, 4), (rows, VOTERS)).astype(np.float32)
    voted = (rng.random((rows, VOTERS)) < 0.8).astype(np.float32)
    voted[:, 0] = 1.0
    mixed = (p * voted[:, :, None]).sum(axis=1) / voted.sum(axis=1, keepdims=True)
    votes = np.column_stack([mixed, rng.random(rows), rng.random(rows)]).astype(np.float32)
    return votes, np.concatenate([p * voted[:, :, None], voted[:, :, None]], axis=2).reshape(rows, -1)


def test_columns_are_those_of_the_blends_side():
    votes = np.array([[0.2, 0.3, 0.5, 0.1, 0.9], [0.5, 0.3, 0.2, 0.1, 0.9]], np.float32)
    members = np.array([[0.1, 0.2, 0.7, 1, 0, 0, 0, 0], [0.4, 0.5, 0.1, 1, 0.3, 0.3, 0.4, 1]], np.float32)
    expected = [
        [0.5, 0.3, 0.1, 0.9, 0.2, 0.0, -0.1, 0.0, 1, 0],
        [0.5, 0.3, 0.1, 0.9, -0.1, -0.2, 0.2, 0.0, 1, 1],
    ]
    np.testing.assert_allclose(taking(votes, members), expected, atol=1e-6)
    assert names(("a", "b"))[4:] == ("a.with", "b.with", "a.hold", "b.hold", "a.voted", "b.voted")
    three = direction(votes, members)
    np.testing.assert_allclose(three[0, 5:8], [-0.1, -0.1, 0.2], atol=1e-6)
    np.testing.assert_allclose(three[0, 8:], [0, 0, 0, 1, 0], atol=1e-6)


@pytest.mark.parametrize("name", [one.name for one in learners(taking_logs)])
def test_a_graph_says_what_its_stacker_says(name):
    votes, members = tensors(3_000)
    x = taking(votes, members)
    kind = (np.random.default_rng(2).random(len(x)) < x[:, 0] + x[:, 4]).astype(np.int8)
    learner = next(one for one in learners(taking_logs) if one.name == name)
    stacker = learner.fit(x, kind, 2, 1)
    model = graph.to_onnx(stacker, VOTERS)
    assert model == graph.to_onnx(learner.fit(x, kind, 2, 1), VOTERS)
    fresh, beside = tensors(1_500, seed=5)
    expected = stacker.chances(taking(fresh, beside))
    assert graph.check_parity(model, fresh, beside, expected) <= 1e-6
    (whole,) = open_session(model).run(None, {"votes": fresh, "members": beside})
    np.testing.assert_allclose(whole, expected, atol=1e-5)
    extreme = np.array([[1, 0, 0, 2, 1], [0, 0, 1, 0, 0], [0, 1, 0, 0, 0]], np.float32)
    silent = np.zeros((3, 4 * VOTERS), np.float32)
    (found,) = open_session(model).run(None, {"votes": extreme, "members": silent})
    np.testing.assert_allclose(found, stacker.chances(taking(extreme, silent)), atol=1e-5)
    with pytest.raises(ModelError, match=r"expected the graph to equal the stacker within 1e-05; found 0\.1"):
        graph.check_parity(model, fresh, beside, expected + 0.1)


def test_pool_finds_the_weights_that_made_the_classes():
    votes, members = tensors(40_000, seed=3)
    logs, extra = direction_logs(direction(votes, members))
    scores = 1.0 * logs[:, 0] + 0.7 * logs[:, 1] + np.array([0.0, 0.4, 0.0])
    odds = np.exp(scores)
    p = odds / odds.sum(axis=1, keepdims=True)
    kind = (np.random.default_rng(4).random(len(p))[:, None] > p.cumsum(axis=1)).sum(axis=1).astype(np.int8)
    found = pool.fit(logs, extra, kind)
    np.testing.assert_allclose(found.weights, [1.0, 0.7, 0.0, 0.0], atol=0.08)
    np.testing.assert_allclose(found.bias - found.bias[0], [0.0, 0.4, 0.0], atol=0.06)
    assert (found.weights >= 0).all()


def test_pool_bets_on_no_source_being_wrong():
    votes, members = tensors(5_000, seed=6)
    logs, extra = direction_logs(direction(votes, members))
    against = logs[:, 1].argmin(axis=1).astype(np.int8)
    found = pool.fit(logs, extra, against)
    assert found.weights[1] == 0.0


def made_times(seed, *, days=60, test_day=40):
    rng = np.random.default_rng(seed)
    ts = np.sort(rng.integers(0, days * 24, 900)) * 3600 * 10**9 + DAY
    return Times(ts, ts + rng.integers(1, 12, len(ts)) * 3600 * 10**9, test_day * DAY, 12 * 3600 * 10**9)


class Noting:
    """A stacker's maker that notes which rows it saw; column 0 of a row is its number."""

    def __init__(self):
        self.seen = []
        self.name = "noting"

    def fit(self, x, kind, classes, seed):
        self.seen.append(x[:, 0].astype(int))
        return self

    def chances(self, x):
        return np.full((len(x), 2), len(self.seen) / 10)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_no_fit_sees_a_label_that_reaches_into_what_it_answers(seed, count):
    times = made_times(seed)
    cut = folds(times, count)
    learner = Noting()
    x = np.arange(len(times.ts), dtype=np.float32)[:, None]
    walked = walk(learner, Lesson(x, np.zeros(len(x), np.int8), 2), times, cut, seed=1, max_rows=10**9)
    spans = list(cuts(times, cut))
    assert [number for number, _ in spans] == [*range(1, count + 1), TEST]
    for (number, _), seen in zip(spans, learner.seen, strict=True):
        first = times.ts[cut == number].min()
        assert times.ts_end[seen].max() + times.embargo <= first
    assert np.isnan(walked.p[cut == NOBODY]).all()
    assert not np.isnan(walked.p[cut != NOBODY]).any()
    assert (times.ts[cut == TEST] >= times.test_start).all()
    assert walked.p[cut == TEST][0, 0] == (count + 1) / 10


def test_thinned_rows_still_span_the_whole_time():
    times = made_times(1)
    learner = Noting()
    x = np.arange(len(times.ts), dtype=np.float32)[:, None]
    walk(learner, Lesson(x, np.zeros(len(x), np.int8), 2), times, folds(times, 2), seed=1, max_rows=50)
    for seen in learner.seen:
        assert len(seen) <= 50
        assert np.ptp(times.ts[seen]) > 10 * DAY
    with pytest.raises(DataError, match="expected out-of-fold answers before 1970-01-02"):
        folds(times._replace(test_start=DAY), 2)


def test_the_simplest_that_cannot_be_told_from_the_best_is_chosen():
    rng = np.random.default_rng(1)
    ts = np.repeat(np.arange(60) * DAY, 50)
    loss = rng.normal(0.69, 0.1, len(ts))
    noise = rng.normal(0.0, 0.02, len(ts))
    worse = loss + 0.002 + rng.normal(0.0, 0.02, len(ts))
    assert simplest({"plain": loss + noise - noise.mean() + 1e-5, "rich": loss}, ts, 1) == "plain"
    assert simplest({"plain": worse, "rich": loss}, ts, 1) == "rich"
    assert simplest({"plain": loss, "rich": worse}, ts, 1) == "plain"


def test_logs_of_a_silent_voter_are_the_blends():
    votes, members = tensors(50)
    logs, rest = taking_logs(taking(votes, members))
    silent = members.reshape(50, VOTERS, 4)[:, :, 3] == 0
    assert silent.any()
    assert np.abs(logs[:, 1:][silent]).max() == 0.0
    np.testing.assert_allclose(rest, votes[:, [1, 3, 4]])
