"""Skew and kurtosis against plain numpy, and of returns whose shape is known."""

import numpy as np
import pytest

from inference.features.moments import FAMILY
from tests.inference.features.walk import column, flat, fold_family, recorded


def moment(history, window, power):
    last = np.lib.stride_tricks.sliding_window_view(np.diff(np.log(history.close)), window)
    centred = last - last.mean(1)[:, None]
    return (centred**power).mean(1) / last.std(1) ** power


@pytest.mark.parametrize("pair", ["BTC-USDT", "DOGE-USDT"])
@pytest.mark.parametrize("window", [15, 60])
def test_columns_equal_plain_numpy_from_the_first_full_window(pair, window):
    history = recorded(pair)
    out = fold_family(FAMILY, history)[0]
    skew, kurtosis = (column(FAMILY, out, f"{name}_{window}")[window:] for name in ("skew", "kurtosis"))
    assert skew == pytest.approx(moment(history, window, 3), rel=1e-9, abs=1e-9)
    assert kurtosis == pytest.approx(moment(history, window, 4) - 3, rel=1e-9, abs=1e-9)


def test_one_crash_is_all_tail():
    history = flat(100)
    history.bars[:4, 70:] *= 0.9
    last = fold_family(FAMILY, history)[0][:, -1]
    n = 60  # one of 60 returns is not 0: moments of a Bernoulli variable with p = 1/60, mirrored
    p = 1 / n
    expected = [0.0, 0.0, -(1 - 2 * p) / np.sqrt(p * (1 - p)), (1 - 6 * p * (1 - p)) / (p * (1 - p))]
    assert last == pytest.approx(expected, rel=1e-9)


def test_rounding_of_prices_has_no_shape():
    history = flat(100)
    history.bars[:4] *= 1 + np.random.default_rng(1).choice([0, 2.3e-16], 100)
    assert np.any(np.diff(history.close) != 0.0)
    assert np.all(fold_family(FAMILY, history)[0] == 0.0)
