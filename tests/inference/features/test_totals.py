"""Compact windows say what numpy says of the last W values, for ever."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.features.totals import push_reach, push_sum, reach_slots, sum_slots

FINITE = st.floats(-1e9, 1e9, allow_subnormal=False)


@settings(deadline=None)  # the first call compiles
@given(st.lists(FINITE, min_size=1, max_size=60), st.sampled_from([1, 2, 7, 20]))
def test_sum_and_extremes_are_those_of_the_last_values(values, window):
    sums, reach = np.zeros(sum_slots(window)), np.zeros(reach_slots(window))
    for count, value in enumerate(values):
        last = values[max(0, count + 1 - window) : count + 1]
        total = push_sum(sums, 0, window, count, value)
        assert total == pytest.approx(sum(last), rel=1e-12, abs=1e-14 * np.abs(last).sum())
        assert push_reach(reach, 0, window, count, value + 1, value - 1) == (max(last) + 1, min(last) - 1)


def test_sum_forgets_an_outlier_and_an_unknown_once_they_have_left():
    state = np.zeros(sum_slots(5))
    series = [1e300, np.nan, *[0.25] * 20]
    found = [push_sum(state, 0, 5, count, value) for count, value in enumerate(series)]
    assert np.isnan(found[1:6]).all()
    assert found[6:] == [1.25] * 16
