"""Columns of volume, patterns and structure stay within what they say, in storms and in silence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.features import burst, divergence, flow, patterns, structure, volume, volume_week, wide
from inference.features.family import CLOSE, DELTA, HIGH, LOW, OPEN, VOLUME
from tests.inference.features.walk import (
    History,
    assert_finite,
    flat,
    fold_family,
    jumping,
    recorded,
    silent_after,
)

FAMILIES = [
    volume.FAMILY,
    burst.FAMILY,
    volume_week.FAMILY,
    wide.FAMILY,
    flow.FAMILY,
    patterns.FAMILY,
    divergence.FAMILY,
    structure.FAMILY,
]
UNIT = (-1.0, 1.0)
SHARE = (0.0, 1.0)
DISTANCE = (0.0, 20.0)
BOUNDS = {
    "obv": UNIT,
    "volume_mean_5": (np.log(0.001), np.log(12)),
    "volume_mean_15": (np.log(0.001), np.log(4)),
    "volume_mean_60": (np.log(0.001), np.log(4)),
    "volume_burst": (0.0, 5.0),
    "turnover_trend": UNIT,
    "range_position_240": UNIT,
    **dict.fromkeys(flow.FAMILY.columns, UNIT),
    **dict.fromkeys(patterns.FAMILY.columns, UNIT),
    "upper_wick": SHARE,
    "lower_wick": SHARE,
    "doji": SHARE,
    "rsi_divergence": UNIT,
    "rsi_divergence_age": SHARE,
    "support_distance": DISTANCE,
    "resistance_distance": DISTANCE,
    "support_touches": SHARE,
    "resistance_touches": SHARE,
    "range_position_60": UNIT,
    "breakout": UNIT,
    "chop": SHARE,
    "swing_length": SHARE,
}
MEASURED = (-20.0, 20.0)  # all others are in ATR or deviations
ROUNDING = 1e-9


@pytest.fixture(params=FAMILIES, ids=lambda family: family.name)
def family(request):
    return request.param


def assert_within_bounds(family, history: History) -> None:
    out = fold_family(family, history)[0]
    for name, values in zip(family.columns, out, strict=True):
        if not name.startswith("level_"):
            low, high = BOUNDS.get(name, MEASURED)
            bad = np.flatnonzero((values < low - ROUNDING) | (values > high + ROUNDING))
            assert bad.size == 0, f"{family.name}.{name}: {values[bad[0]]} at bar {bad[0]}"


@st.composite
def markets(draw) -> History:
    """Give up to 400 bars of any market: crashes, silence, bars of one tick, volumes of any size."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(1, 400))
    history = flat(count, draw(st.sampled_from([1e-8, 0.3, 1e5])))
    calm = draw(st.sampled_from([0.0, 0.001, 0.3]))
    move = np.cumsum(random.normal(0, calm, count) * (random.random(count) < draw(st.floats(0, 1))))
    close = history.close[0] * np.exp(np.clip(move, -20, 20))
    opened = np.append(close[0], close[:-1])
    wick = np.exp(np.abs(random.normal(0, calm, (2, count))))
    bars = history.bars
    bars[OPEN], bars[CLOSE] = opened, close
    bars[HIGH], bars[LOW] = np.maximum(opened, close) * wick[0], np.minimum(opened, close) / wick[1]
    traded = random.random(count) < draw(st.floats(0, 1))
    bars[VOLUME] = random.lognormal(0, draw(st.sampled_from([0.1, 8.0])), count) * traded
    bars[DELTA] = bars[VOLUME] * random.uniform(-1, 1, count)
    return history


@settings(max_examples=60, deadline=None)
@given(history=markets())
def test_every_column_stays_within_its_bounds_in_any_market(history):
    for family in FAMILIES:
        assert_within_bounds(family, history)
        if family is not volume_week.FAMILY:
            assert_finite(family, history)


def test_bounds_hold_on_recorded_bars_in_a_crash_and_in_silence(family):
    history = recorded("DOGE-USDT", 1_500)
    for other in (history, jumping(history, 700), jumping(history, 700, 0.001), silent_after(history, 700)):
        assert_within_bounds(family, other)


def test_columns_are_unique_and_each_says_its_warm_up():
    names = [name for family in FAMILIES for name in family.columns]
    assert len(set(names)) == len(names)
    assert set(BOUNDS) < set(names)
    for family in FAMILIES:
        assert set(family.warm_up) == set(family.columns)
        assert max(family.warm_up.values()) <= 720  # what Kraken's REST serves


def test_what_comes_later_changes_nothing_before_it(family):
    history = recorded("XRP-USDT", 2_400)
    whole = fold_family(family, history)[0]
    for stop in (1, 2, 61, 700, 2_399):
        part = fold_family(family, history.part(slice(0, stop)))[0]
        np.testing.assert_array_equal(part, whole[:, :stop])
