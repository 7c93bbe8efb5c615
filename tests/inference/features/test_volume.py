"""Columns of volume against TA-Lib and against plain numpy over each window."""

import numpy as np
import pytest
import talib

from inference.features.ratios import LEAST_RATIO
from inference.features.volume import FAMILY
from tests.inference.features.walk import (
    assert_keeps_promises,
    column,
    flat,
    fold_family,
    recorded,
    scales_of,
    silent_after,
)

PAIRS = ("BTC-USDT", "DOGE-USDT")


@pytest.fixture(scope="module", params=PAIRS)
def market(request):
    history = recorded(request.param)
    return history, fold_family(FAMILY, history)[0]


def windows(values: np.ndarray, size: int) -> np.ndarray:
    """Give the last `size` values of each bar from bar size - 1 on."""
    return np.lib.stride_tricks.sliding_window_view(values, size)


def volume_z(volume: np.ndarray) -> np.ndarray:
    """Give each bar's z against the 20 before, NaN for the first 20."""
    before = windows(volume, 20)[:-1]
    return np.append(np.full(20, np.nan), (volume[20:] - before.mean(1)) / before.std(1)).clip(-20, 20)


def test_obv_is_the_change_of_ta_libs_over_the_volume_traded(market):
    history, out = market
    obv = talib.OBV(history.close, history.volume)
    share = (obv[20:] - obv[:-20]) / windows(history.volume, 20)[1:].sum(1)
    assert column(FAMILY, out, "obv")[20:] == pytest.approx(share, abs=1e-9)


@pytest.mark.parametrize("bars", [5, 15])
def test_volume_means_are_log_ratios_to_the_hour(market, bars):
    history, out = market
    slow = windows(history.volume, 60).mean(1)
    ratio = np.log(windows(history.volume, bars)[60 - bars :].mean(1) / slow)
    assert column(FAMILY, out, f"volume_mean_{bars}")[59:] == pytest.approx(ratio, abs=1e-11)


def test_volume_z_compares_with_the_bars_before_only(market):
    history, out = market
    expected = volume_z(history.volume)
    assert column(FAMILY, out, "volume_z")[20:] == pytest.approx(expected[20:], abs=1e-9)


@pytest.mark.parametrize("name, bars", [("vwap_distance", 20), ("vwap_60", 60)])
def test_vwap_is_of_the_typical_price(market, name, bars):
    history, out = market
    typical = (history.high + history.low + history.close) / 3
    vwap = windows(typical * history.volume, bars).sum(1) / windows(history.volume, bars).sum(1)
    distance = (history.close[bars - 1 :] - vwap) / scales_of(history)[0][bars - 1 :]
    assert column(FAMILY, out, name)[bars - 1 :] == pytest.approx(distance.clip(-20, 20), abs=1e-8)


def test_signed_volume_counts_falling_bars_against(market):
    history, out = market
    signed = np.sign(history.close - history.open) * volume_z(history.volume)
    expected = windows(signed[20:], 15).mean(1)
    assert column(FAMILY, out, "signed_volume_15")[34:] == pytest.approx(expected, abs=1e-9)


def test_turnover_trend_weighs_twenty_bars_against_the_twenty_before(market):
    history, out = market
    turnover = (history.high + history.low + history.close) / 3 * history.volume
    recent, all_40 = windows(turnover, 20)[20:].sum(1), windows(turnover, 40).sum(1)
    expected = (recent - (all_40 - recent)) / all_40
    assert column(FAMILY, out, "turnover_trend")[39:] == pytest.approx(expected, abs=1e-11)


def test_hours_without_a_trade_read_as_nothing():
    history = silent_after(recorded(count=1_000), 500)
    history.bars[4, 900] = 3.0
    out = fold_family(FAMILY, history)[0]
    assert (np.abs(out[:, 620:900]) <= 1e-9).all()
    assert column(FAMILY, out, "volume_mean_5")[910] == pytest.approx(np.log(LEAST_RATIO))
    assert np.isfinite(out).all()


def test_equal_bars_stand_out_in_no_column():
    out = fold_family(FAMILY, flat(300))[0]
    assert np.abs(out[:, 40:]).max() < 1e-12


@pytest.mark.parametrize("pair", PAIRS)
def test_family_keeps_what_every_family_promises(pair):
    assert_keeps_promises(FAMILY, recorded(pair, 1_200))
