import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference.artifact import scaled
from training.normalise import CLIP, fit


def test_scaled_training_rows_have_median_zero_and_the_quartiles_of_a_normal():
    rng = np.random.default_rng(1)
    x = (rng.normal(size=(20_001, 3)) * [1e-4, 1.0, 300.0] + [5.0, 0.0, -7e4]).astype(np.float32)
    inside = scaled(fit(x), x)
    assert np.median(inside, axis=0) == pytest.approx([0, 0, 0], abs=1e-2)
    assert inside.std(axis=0) == pytest.approx([1, 1, 1], rel=0.05)


def test_a_crash_moves_nothing_but_itself():
    x = np.random.default_rng(1).normal(size=(1_000, 1)).astype(np.float32)
    crashed = np.concatenate([x, np.full((3, 1), -1e6, np.float32)])
    calm, after = fit(x), fit(crashed)
    assert after.center[0] == pytest.approx(calm.center[0], abs=0.01)
    assert after.scale[0] == pytest.approx(calm.scale[0], rel=0.02)
    assert scaled(after, crashed).min() == -CLIP


def test_a_window_is_scaled_by_column_over_all_its_slots():
    windows = np.random.default_rng(1).normal(size=(200, 16, 2)).astype(np.float32)
    assert fit(windows) == fit(windows.reshape(-1, 2))


@given(arrays(np.float32, (9, 2), elements=st.floats(-(2.0**60), 2.0**60, width=32)))
def test_any_rows_give_a_scaler_that_the_card_accepts(x):
    scaler = fit(x)
    inside = scaled(scaler, x)
    assert (np.array(scaler.scale) > 0).all()
    assert (np.array(scaler.scale, np.float32) > 0).all()
    assert np.isfinite(inside).all()
    assert (np.abs(inside) <= CLIP).all()
