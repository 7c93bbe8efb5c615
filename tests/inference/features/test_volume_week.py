"""The week's comparison against a search through all bars, at every length of bar."""

import numpy as np
import pytest

from core.clock import DAY, HOUR, MINUTE
from core.market import Timeframe
from inference.features.family import DELTA, VOLUME
from inference.features.volume_week import FAMILY
from tests.inference.features.walk import (
    History,
    assert_live_is_fold,
    assert_scale_free,
    fold_family,
    recorded,
)

WEEK = 7 * DAY


def searched(history: History, t: int) -> float:
    """Give the z of bar t, looking at the hours of its name on the seven days before."""
    ts = history.ts_open
    hour = ts[t] - ts[t] % HOUR
    if ts[0] > hour - WEEK:
        return np.nan
    same = np.zeros(len(ts), bool)
    for day in range(1, 8):
        same |= (ts >= hour - day * DAY) & (ts < hour - day * DAY + HOUR)
    volume = history.volume[same]
    return np.clip((history.volume[t] - volume.mean()) / volume.std(), -20, 20)


def made(timeframe: Timeframe, days: int, seed: int = 3) -> History:
    """Give bars of random volume, one in fifty absent, that begin off the hour where they can."""
    random = np.random.default_rng(seed)
    ts_open = np.arange(days * DAY // timeframe.ns) * timeframe.ns + 20_000 * DAY
    if timeframe.ns < HOUR:
        ts_open += 30 * MINUTE
    ts_open = ts_open[random.random(len(ts_open)) > 0.02]
    bars = np.full((DELTA + 1, len(ts_open)), 100.0)
    bars[VOLUME] = random.lognormal(size=len(ts_open))
    return History(ts_open, bars, timeframe.ns)


@pytest.mark.parametrize("timeframe", Timeframe)
def test_z_is_against_the_same_hour_of_seven_days(timeframe):
    history = made(timeframe, 60 if timeframe.ns >= HOUR else 9)
    out = fold_family(FAMILY, history, gap_limit=10)[0][0]
    for t in np.linspace(0, history.ts_open.size - 1, 300).astype(int):
        assert out[t] == pytest.approx(searched(history, t), abs=1e-9, nan_ok=True)
    known = np.isfinite(out)
    assert not known[history.ts_open < history.ts_open[0] + WEEK].any()
    assert known[history.ts_open >= history.ts_open[0] + WEEK + HOUR].all()


def test_the_bars_of_the_running_hour_are_not_compared_with():
    history = recorded(count=2_600)
    plain = fold_family(FAMILY, history)[0][0]
    at = 2_500 - 2_500 % 12  # an hour's first bar
    history.bars[VOLUME, at] *= 50
    other = fold_family(FAMILY, history)[0][0]
    assert other[at] > plain[at]
    np.testing.assert_array_equal(other[at + 1 :], plain[at + 1 :])


def test_two_starts_agree_to_the_bit_once_both_saw_a_week():
    history = recorded(count=3_000)
    whole = fold_family(FAMILY, history)[0][0]
    for first in (1, 7, 100):
        late = fold_family(FAMILY, history.part(slice(first, None)))[0][0]
        known = np.isfinite(late)
        assert known.sum() > 500
        np.testing.assert_array_equal(late[known], whole[first:][known])


def test_silence_reads_as_nothing_and_live_equals_fold():
    history = recorded(count=2_500)
    history.bars[VOLUME] = 0.0
    out = fold_family(FAMILY, history)[0][0]
    assert (out[-200:] == 0.0).all()
    assert_live_is_fold(FAMILY, made(Timeframe.H1, 30))
    assert_scale_free(FAMILY, recorded(count=2_500))
