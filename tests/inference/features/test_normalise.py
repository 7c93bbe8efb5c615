"""Scaling is arithmetic on numbers from a card; what cannot scale is refused."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.features.normalise import RobustScaler

SCALER = RobustScaler((1.0, -2.0), (0.5, 4.0), 3.0)


def test_each_column_has_its_own_center_and_scale():
    x = np.array([[1.0, -2.0], [1.5, 2.0], [0.0, -10.0]], np.float32)
    assert SCALER.apply(x).tolist() == [[0.0, 0.0], [1.0, 1.0], [-2.0, -2.0]]


def test_window_is_scaled_slot_by_slot():
    random = np.random.default_rng(1)
    window = random.normal(size=(5, 7, 2)).astype(np.float32)
    scaled = SCALER.apply(window)
    assert scaled.dtype == np.float32
    assert all(np.array_equal(scaled[:, w], SCALER.apply(window[:, w])) for w in range(7))


@given(st.lists(st.floats(-(2.0**99), 2.0**99, width=32, allow_subnormal=False), min_size=1, max_size=20))
def test_nothing_is_scaled_beyond_the_clip(values):
    x = np.array([[value, value] for value in values], np.float32)
    assert np.abs(SCALER.apply(x)).max() <= 3.0


def test_value_that_is_not_known_stays_unknown():
    assert np.isnan(SCALER.apply(np.array([[np.nan, 0.0]], np.float32))[0, 0])


@pytest.mark.parametrize(
    "center,scale,clip,said",
    [
        ((0.0,), (1.0, 1.0), 3.0, "as many centers as scales"),
        ((np.nan,), (1.0,), 3.0, "finite centers"),
        ((0.0,), (0.0,), 3.0, "scales above 0"),
        ((0.0,), (np.inf,), 3.0, "scales above 0"),
        ((0.0,), (1.0,), 0.0, "clip above 0"),
    ],
)
def test_numbers_that_cannot_scale_are_refused(center, scale, clip, said):
    with pytest.raises(ValueError, match=said):
        RobustScaler(center, scale, clip)


def test_other_number_of_columns_is_refused():
    with pytest.raises(ValueError, match="expected 2 columns; found 3"):
        SCALER.apply(np.zeros((1, 3), np.float32))


def test_scaler_on_a_card_is_read_back_equal_and_checked():
    assert msgspec.json.decode(msgspec.json.encode(SCALER), type=RobustScaler) == SCALER
    with pytest.raises(msgspec.ValidationError, match="scales above 0"):
        msgspec.json.decode(b'{"center":[0],"scale":[0],"clip":1}', type=RobustScaler)
