"""What every family of price columns promises, whatever it computes."""

import numpy as np
import pytest
from hypothesis import given, settings

from inference.features import direction, moments, momentum, oscillators, realised, trend, volatility
from tests.inference.features.walk import (
    assert_finite,
    assert_forgets_its_start,
    assert_live_is_fold,
    assert_scale_free,
    flat,
    fold_family,
    histories,
    jumping,
    recorded,
    silent_after,
)

FAMILIES = [one.FAMILY for one in (trend, direction, momentum, oscillators, volatility, realised, moments)]


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def family(request):
    return request.param


def test_columns_are_unique_and_each_says_its_warm_up():
    names = [name for family in FAMILIES for name in family.columns]
    assert len(set(names)) == len(names)
    for family in FAMILIES:
        assert set(family.warm_up) == set(family.columns)
        assert max(family.warm_up.values()) <= 720  # what Kraken's REST serves


def test_live_is_fold_to_the_bit_also_across_holes(family):
    history = recorded("SOL-USDT", 900)
    kept = np.ones(900, bool)
    kept[[100, 205, 206]] = False  # the state goes on
    kept[400:403] = False  # it starts over
    assert_live_is_fold(family, history.part(kept))


@given(history=histories())
@settings(max_examples=25, deadline=None)
def test_any_market_gives_sane_numbers_and_the_same_ones_live(family, history):
    assert_live_is_fold(family, history)
    assert_finite(family, history, limit=70.0)


@pytest.mark.parametrize("first", [1, 333])
def test_start_is_forgotten_after_the_warm_up(family, first):
    for pair in ("BTC-USDT", "DOGE-USDT"):
        assert_forgets_its_start(family, recorded(pair), first)


def test_start_in_a_storm_is_forgotten_too(family):
    history = recorded("SOL-USDT", 2_000)
    history.bars[1, 50] *= 1.5  # the late one's first bar has thirty times the range of the others
    assert_forgets_its_start(family, history, 50)


def test_units_do_not_matter(family):
    assert_scale_free(family, recorded("ETH-USDT"))


def test_market_that_never_moves_is_all_zeros(family):
    assert np.all(fold_family(family, flat(900, volume=0.0))[0] == 0.0)


@pytest.mark.parametrize("factor", [1_000.0, 0.001])
def test_numbers_stay_sane_through_jumps_and_silence(family, factor):
    history = recorded("BTC-USDT", 1_500)
    assert_finite(family, history, limit=70.0)
    assert_finite(family, jumping(history, 400, factor), limit=70.0)
    assert_finite(family, silent_after(jumping(history, 400, factor), 405), limit=70.0)


def test_later_bars_change_nothing(family):
    history = recorded("BTC-USDT", 900)
    changed = history.part(slice(None))
    changed.bars[:4, 600:] *= 3.0
    whole, other = fold_family(family, history)[0], fold_family(family, changed)[0]
    assert np.array_equal(whole[:, :600], other[:, :600])
    assert not np.array_equal(whole[:, 600:], other[:, 600:])
