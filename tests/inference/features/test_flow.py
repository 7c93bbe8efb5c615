"""Columns of takers' sides against plain numpy; what is unknown stays unknown."""

import msgspec
import numpy as np
import pytest

from core.market import Bar, Timeframe
from inference.features.family import DELTA
from inference.features.flow import FAMILY
from inference.features.live import tables
from tests.inference.features.walk import (
    assert_keeps_promises,
    assert_live_is_fold,
    column,
    fold_family,
    recorded,
    scales_of,
    silent_after,
)


def known(count: int = 1_500):
    """Give a history in which the taker's side of every trade is known."""
    history = recorded("ETH-USDT", count)
    history.bars[DELTA] = history.volume * np.random.default_rng(5).uniform(-1, 1, count)
    return history


def windows(values: np.ndarray) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(values, 20)


def test_delta_is_a_share_of_the_volume_of_one_bar_and_of_twenty():
    history = known()
    out = fold_family(FAMILY, history)[0]
    np.testing.assert_array_equal(column(FAMILY, out, "volume_delta"), history.bars[DELTA] / history.volume)
    share = windows(history.bars[DELTA]).sum(1) / windows(history.volume).sum(1)
    assert column(FAMILY, out, "volume_delta_20")[19:] == pytest.approx(share, abs=1e-12)


def test_divergence_shows_only_where_price_went_the_other_way():
    history = known()
    out = fold_family(FAMILY, history)[0]
    move = (history.close[20:] - history.close[:-20]) / scales_of(history)[0][20:]
    share = column(FAMILY, out, "volume_delta_20")[20:]
    expected = np.where(move * share < 0, share * np.minimum(np.abs(move), 1), 0)
    found = column(FAMILY, out, "delta_divergence")[20:]
    assert found == pytest.approx(expected, abs=1e-12)
    assert 0.2 < (found != 0).mean() < 0.8


def test_one_unknown_bar_leaves_the_window_with_itself():
    history = known(300)
    clean = fold_family(FAMILY, history)[0]
    history.bars[DELTA, 100] = np.nan
    out = fold_family(FAMILY, history)[0]
    unknown = np.isnan(out)
    assert np.flatnonzero(unknown[0]).tolist() == [100]
    assert np.flatnonzero(unknown[1]).tolist() == list(range(100, 120))
    assert np.flatnonzero(unknown[2]).tolist() == list(range(100, 120))
    np.testing.assert_array_equal(out[:, 120:], clean[:, 120:])


def test_a_source_without_sides_gives_no_number_at_all():
    history = silent_after(known(300), 150)
    history.bars[DELTA] = np.nan
    assert np.isnan(fold_family(FAMILY, history)[0]).all()


def test_quiet_bars_are_known_to_be_balanced():
    out = fold_family(FAMILY, silent_after(known(300), 150))[0]
    assert (out[:, 170:] == 0.0).all()


def test_bars_bring_their_takers_sides_to_the_kernels_and_none_is_unknown():
    bought = Bar("ETH/USD", Timeframe.M5, 0, 1.0, 1.0, 1.0, 1.0, 4.0, 1.0, 2, 1.5)
    served = msgspec.structs.replace(bought, ts_open=Timeframe.M5.ns, delta=None)
    _, table = tables([bought, served], {"ETH/USD": 0})
    assert table.values[DELTA] == pytest.approx([1.5, np.nan], nan_ok=True)


def test_family_keeps_what_every_family_promises():
    history = known(1_200)
    assert_keeps_promises(FAMILY, history)
    assert_live_is_fold(FAMILY, recorded("ETH-USDT", 500))
