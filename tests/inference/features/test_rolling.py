"""Windows in constant time say what numpy says of the last W values, for ever."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.features.rolling import (
    bounded,
    in_units,
    lagged,
    line_slots,
    mean_deviation,
    moment_slots,
    push_line,
    push_moments,
    push_rank,
    push_shape,
    rank_slots,
    reciprocal,
    shape_slots,
)

WINDOW = 7


def values(seed: int = 1, count: int = 400) -> np.ndarray:
    random = np.random.default_rng(seed)
    found = 100 + random.normal(0, 1, count)
    found[50] = 1e6  # an outlier must be forgotten once it has left
    found[200:230] = 3.0  # a window of equal values does not vary at all
    return found


def test_moments_are_those_of_the_last_values():
    state = np.zeros(moment_slots(WINDOW))
    for count, value in enumerate(series := values()):
        mean, variance = push_moments(state, 0, WINDOW, count, value)
        last = series[max(0, count + 1 - WINDOW) : count + 1]
        assert mean == pytest.approx(last.mean(), rel=1e-12)
        assert variance == pytest.approx(last.var(), rel=1e-9, abs=1e-13)
        assert lagged(state, 0, WINDOW, count, 2) == (last[-3] if count > 1 else 0.0)
        if np.all(last == last[0]):
            assert variance == 0.0


# A price far above its moves, the worst case of every formula that squares first and subtracts later.
FAR = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=60)


@given(moves=FAR, level=st.sampled_from([0.0, 1.0, 1e6, 1e9]), outlier=st.sampled_from([0.0, 1e7]))
@settings(max_examples=60, deadline=None)
def test_moments_lose_no_digits_however_far_the_level(moves, level, outlier):
    state = np.zeros(moment_slots(WINDOW))
    series = level + np.array(moves)
    series[len(series) // 2] += outlier
    for count, value in enumerate(series):
        mean, variance = push_moments(state, 0, WINDOW, count, value)
        last = series[max(0, count + 1 - WINDOW) : count + 1].astype(np.longdouble)
        assert mean == pytest.approx(float(last.mean()), rel=1e-14, abs=1e-13)
        assert variance == pytest.approx(float(last.var()), rel=1e-12, abs=0.0)


@given(moves=FAR, level=st.sampled_from([0.0, 1.0, 1e9]), outlier=st.sampled_from([0.0, 1e5]))
@settings(max_examples=60, deadline=None)
def test_shape_loses_few_digits_however_far_the_level(moves, level, outlier):
    state = np.zeros(shape_slots(WINDOW))
    series = level + np.array(moves)
    series[len(series) // 2] += outlier
    for count, value in enumerate(series):
        _, variance, skew, kurtosis = push_shape(state, 0, WINDOW, count, value)
        last = series[max(0, count + 1 - WINDOW) : count + 1].astype(np.longdouble)
        last -= last[0]  # or the reference is worse than what it is to judge
        if last.var() < 1e-50:
            continue
        z = (last - last.mean()) / last.std()
        assert variance == pytest.approx(float(last.var()), rel=1e-12)
        assert skew == pytest.approx(float((z**3).mean()), rel=1e-10, abs=1e-10)
        assert kurtosis == pytest.approx(float((z**4).mean() - 3), rel=1e-10, abs=1e-10)


def test_line_is_the_least_squares_line_of_the_last_values():
    state = np.zeros(line_slots(WINDOW))
    for count, value in enumerate(series := values()):
        mean, slope = push_line(state, 0, WINDOW, count, value)
        last = series[max(0, count + 1 - WINDOW) : count + 1]
        time = np.arange(len(last)) - (len(last) - 1) / 2
        expected = time @ (last - last[0]) / max(time @ time, 0.5)
        assert mean == pytest.approx(last.mean(), rel=1e-13)
        assert slope == pytest.approx(expected, rel=1e-8, abs=1e-10)
        if np.all(last == last[0]):
            assert (mean, slope) == (last[0], 0.0)


@pytest.mark.parametrize("window", [6, 7, 8])
def test_mean_deviation_is_that_of_the_last_values(window):
    state = np.zeros(moment_slots(window))
    for count, value in enumerate(series := values()):
        mean, _ = push_moments(state, 0, window, count, value)
        last = series[max(0, count + 1 - window) : count + 1]
        found = mean_deviation(state, 0, window, count, mean)
        assert found == pytest.approx(np.abs(last - last.mean()).mean(), rel=1e-12)


@pytest.mark.parametrize("window", [7, 16, 60])
def test_rank_says_where_the_newest_stands_among_the_last_before_it(window):
    state = np.zeros(rank_slots(window))
    for count, value in enumerate(series := np.round(values(), 1)):
        last = series[max(0, count - window) : count]
        expected = (np.sum(last < value) - np.sum(last > value)) / max(len(last), 1)
        assert push_rank(state, 0, window, count, value) == pytest.approx(expected, abs=1e-15)


def test_shape_is_that_of_the_last_values():
    state = np.zeros(shape_slots(WINDOW))
    for count, value in enumerate(series := values()):
        mean, variance, skew, kurtosis = push_shape(state, 0, WINDOW, count, value)
        last = series[max(0, count + 1 - WINDOW) : count + 1]
        spread = last.std()
        if np.all(last == last[0]):
            assert (variance, skew, kurtosis) == (0.0, 0.0, 0.0)
            continue
        z = (last - last.mean()) / spread
        assert (mean, variance) == pytest.approx((last.mean(), last.var()), rel=1e-9)
        assert (skew, kurtosis) == pytest.approx(((z**3).mean(), (z**4).mean() - 3), rel=1e-6, abs=1e-6)


def test_quotients_are_bounded_and_silence_is_zero():
    assert in_units(1.0, 4.0, 0.0) == 0.25
    assert in_units(-1e9, 1.0, 0.0) == -20.0
    assert in_units(5.0, 1e-15, 1e-12) == 0.0
    assert reciprocal(4.0, 0.0) == 0.25
    assert reciprocal(1e-15, 1e-12) == 0.0
    assert [bounded(1e9), bounded(-1e9), bounded(3.0)] == [20.0, -20.0, 3.0]
