"""Windows in constant time say what numpy says of the last W values, for ever."""

import numpy as np
import pytest

from inference.features.rolling import (
    extreme_slots,
    in_units,
    lagged,
    moment_slots,
    push_extremes,
    push_moments,
    push_shape,
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


def test_extremes_are_those_of_the_last_values():
    state = np.zeros(extreme_slots(WINDOW))
    for count, value in enumerate(series := values()):
        found = push_extremes(state, 0, WINDOW, count, value + 1, value - 1)
        last = series[max(0, count + 1 - WINDOW) : count + 1]
        assert found == (last.max() + 1, last.min() - 1)


def test_quotients_are_bounded_and_silence_is_zero():
    assert in_units(1.0, 4.0, 0.0) == 0.25
    assert in_units(-1e9, 1.0, 0.0) == -20.0
    assert in_units(5.0, 1e-15, 1e-12) == 0.0
