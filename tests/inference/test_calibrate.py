import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference import calibrate
from inference.card import Calibration

ROWS = arrays(np.float64, (5, 3), elements=st.floats(0.001, 1.0))


@given(ROWS, st.floats(0.1, 10.0), st.floats(-2, 2), st.floats(-2, 2))
def test_calibrated_rows_are_probabilities_and_shifting_all_biases_changes_nothing(raw, heat, a, b):
    p = raw / raw.sum(axis=1, keepdims=True)
    found = calibrate.apply(Calibration(heat, (0.0, a, b)), p)
    assert found.dtype == np.float32
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-5
    assert (found >= 0).all()
    assert np.abs(calibrate.apply(Calibration(heat, (3.0, a + 3, b + 3)), p) - found).max() < 1e-6


@given(ROWS)
def test_neutral_calibration_and_none_give_the_same(raw):
    p = (raw / raw.sum(axis=1, keepdims=True)).astype(np.float32)
    assert np.abs(calibrate.apply(Calibration(1.0, (0.0,) * 3), p) - p).max() < 1e-6
    assert calibrate.apply(None, p) is p


@given(ROWS, st.floats(0.1, 10.0))
def test_temperature_alone_keeps_the_order_of_classes(raw, heat):
    p = raw / raw.sum(axis=1, keepdims=True)
    found = calibrate.apply(Calibration(heat, (0.0,) * 3), p)
    order = np.argsort(p, axis=1)
    assert (np.diff(np.take_along_axis(found, order, 1), axis=1) >= -1e-6).all()


def test_rows_that_are_not_finite_stay_so():
    found = calibrate.apply(Calibration(2.0, (0.0,) * 3), np.array([[np.nan, 0.5, 0.5], [0.0, 0.5, 0.5]]))
    assert np.isnan(found[0]).any()
    assert np.isfinite(found[1]).all()
