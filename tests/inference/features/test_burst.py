"""Bursts of volume against plain numpy over each window."""

import numpy as np
import pytest

from inference.features.burst import BURST_LIMIT, FAMILY
from tests.inference.features.walk import (
    assert_keeps_promises,
    column,
    fold_family,
    recorded,
    silent_after,
)

PAIRS = ("BTC-USDT", "DOGE-USDT")


@pytest.mark.parametrize("pair", PAIRS)
def test_burst_is_measured_from_the_third_highest_of_the_sixty_before(pair):
    history = recorded(pair)
    out = fold_family(FAMILY, history)[0]
    third = np.sort(np.lib.stride_tricks.sliding_window_view(history.volume, 60)[:-1], axis=1)[:, -3]
    expected = np.clip(np.log(history.volume[60:] / third), 0.0, BURST_LIMIT)
    found = column(FAMILY, out, "volume_burst")
    assert found[60:] == pytest.approx(expected, abs=1e-12)
    assert (found[:60] == 0.0).all()
    assert 0.02 < (found > 0.0).mean() < 0.1


def test_first_trade_after_hours_without_one_is_a_burst():
    history = silent_after(recorded(count=1_000), 500)
    history.bars[4, 900] = 3.0
    out = fold_family(FAMILY, history)[0]
    assert (out[:, 620:900] == 0.0).all()
    assert column(FAMILY, out, "volume_burst")[900] == BURST_LIMIT


@pytest.mark.parametrize("pair", PAIRS)
def test_family_keeps_what_every_family_promises(pair):
    assert_keeps_promises(FAMILY, recorded(pair, 1_200))
