"""Columns of long windows against plain numpy."""

import numpy as np
import pytest

from inference.features.wide import FAMILY
from tests.inference.features.walk import (
    assert_keeps_promises,
    column,
    fold_family,
    recorded,
    silent_after,
)


def windows(values: np.ndarray, size: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(values, size)


def test_columns_are_those_of_the_last_240_bars():
    history = recorded("SOL-USDT")
    out = fold_family(FAMILY, history)[0]
    high, low = windows(history.high, 240).max(1), windows(history.low, 240).min(1)
    position = 2 * (history.close[239:] - low) / (high - low) - 1
    assert column(FAMILY, out, "range_position_240")[239:] == pytest.approx(position, abs=1e-10)
    ratio = windows(history.volume, 60)[180:].mean(1) / windows(history.volume, 240).mean(1)
    assert column(FAMILY, out, "volume_mean_60")[239:] == pytest.approx(np.log(ratio), abs=1e-11)


def test_a_long_silence_lies_nowhere_in_its_range():
    out = fold_family(FAMILY, silent_after(recorded(count=900), 500))[0]
    assert (out[:, 740:] == 0.0).all()


def test_family_keeps_what_every_family_promises():
    assert_keeps_promises(FAMILY, recorded("SOL-USDT", 1_200))
