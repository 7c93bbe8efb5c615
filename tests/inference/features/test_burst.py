"""Bursts of volume against plain numpy over each window."""

import numpy as np
import pytest

from inference.features.burst import BURST_LIMIT, FAMILY
from tests.inference.features.walk import (
    assert_finite,
    assert_forgets_its_start,
    assert_live_is_fold,
    assert_scale_free,
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
    history = recorded(pair, 1_200)
    torn = np.ones(1_200, bool)
    torn[[400, 401, 700, 701, 702]] = False
    assert_live_is_fold(FAMILY, history.part(torn))
    assert_scale_free(FAMILY, history)
    assert_finite(FAMILY, silent_after(history, 600))
    for first in (1, 17, 333):
        assert_forgets_its_start(FAMILY, history, first)
