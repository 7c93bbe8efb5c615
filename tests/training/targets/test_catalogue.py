"""Every named target: known after its decision, by its horizon's end, and blind to what comes later."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import DAY, HOUR
from core.errors import UsageError
from core.market import Timeframe
from feeds.lake import BarArrays, aggregate
from inference.card import CLASSES_OF, Kind
from training.guard.market import Shape, null_market
from training.labels import BarrierTerms
from training.panel.panel import UNKNOWN, Followed, Ints
from training.targets.catalogue import MAKERS, PRESETS, target, terms_of

M5, M15 = Timeframe.M5, Timeframe.M15
COLUMNS = ("open", "high", "low", "close", "volume", "vwap", "trades")
FROM_BOUNDS = {"volatility", "vol_high"}
TERMS = BarrierTerms(M15, barrier_atr=1.5, horizon_bars=8)


@pytest.fixture(scope="module")
def bars() -> BarArrays:
    (made,) = null_market(1, 34, seed=4, shape=Shape(minute_bps=12.0))
    return aggregate(made, M5)


@pytest.fixture(scope="module")
def decisions(bars) -> Ints:
    """Closes at which thirty days are known, and a day is left."""
    closes = aggregate(bars, M15).ts_close
    return closes[(closes >= bars.ts_open[0] + 31 * DAY) & (closes <= bars.ts_close[-1] - DAY)]


def asked(name: str, bars: BarArrays, ts: Ints) -> Followed:
    return target(name, M15, TERMS).followed(bars, ts, np.full(len(ts), 0.7))


def altered(bars: BarArrays, start: int, seed: int) -> BarArrays:
    """The bars that open from `start` on are shuffled, and three times as high."""
    order = np.arange(len(bars))
    first = int(np.searchsorted(bars.ts_open, start))
    order[first:] = np.random.default_rng(seed).permutation(order[first:])
    columns = {name: getattr(bars, name)[order].copy() for name in COLUMNS}
    for name in ("open", "high", "low", "close", "vwap"):
        columns[name][first:] *= 3.0
    return BarArrays(bars.instrument, bars.timeframe, bars.ts_open, **columns)


def assert_answers(one: Followed, other: Followed) -> None:
    assert one.kind.tolist() == other.kind.tolist()
    assert np.array_equal(one.value, other.value, equal_nan=True)
    assert one.ts_end.tolist() == other.ts_end.tolist()


@pytest.mark.parametrize("name", MAKERS)
def test_an_answer_is_known_after_the_decision_and_within_the_horizon(bars, decisions, name):
    one = target(name, M15, TERMS)
    found = asked(name, bars, decisions)
    assert (found.ts_end > decisions).all()
    assert (found.ts_end <= decisions + one.horizon_ns).all()
    assert np.isfinite(found.value).all()
    if one.classes and name not in FROM_BOUNDS:
        assert set(np.unique(found.kind)) <= set(range(len(one.classes)))
        assert len(np.unique(found.kind)) > 1
        assert one.bounds(found.value) == ()
    else:
        assert (found.kind == UNKNOWN).all()
        assert len(one.bounds(found.value)) == max(len(one.classes) - 1, 0)


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_what_happens_after_the_answer_changes_nothing(bars, decisions, name, data):
    row = data.draw(st.integers(0, len(decisions) - 1))
    ts = decisions[row : row + 1]
    found = asked(name, bars, ts)
    assert_answers(asked(name, altered(bars, int(found.ts_end[0]), row), ts), found)
    # Without the rest of the horizon nothing is said, or quick answers would be over-represented.
    horizon = target(name, M15, TERMS).horizon_ns
    assert_answers(asked(name, bars.between(0, int(ts[0]) + horizon), ts), found)
    short = asked(name, bars.between(0, int(ts[0]) + horizon - M5.ns), ts)
    assert (short.kind.tolist(), np.isnan(short.value).tolist()) == ([UNKNOWN], [True])


@pytest.mark.parametrize("name", MAKERS)
def test_no_answer_crosses_a_missing_bar(bars, decisions, name):
    horizon = target(name, M15, TERMS).horizon_ns
    ts = decisions[40:41]
    first = int(np.searchsorted(bars.ts_open, ts[0]))
    for hole in (first, first + horizon // M5.ns // 2, first + horizon // M5.ns - 1):
        there = np.arange(len(bars)) != hole
        columns = {column: getattr(bars, column)[there] for column in ("ts_open", *COLUMNS)}
        found = asked(name, BarArrays(bars.instrument, M5, **columns), ts)
        assert (found.kind.tolist(), np.isnan(found.value).tolist()) == ([UNKNOWN], [True])
        assert found.ts_end.tolist() == (ts + horizon).tolist()
        before = asked(name, BarArrays(bars.instrument, M5, **columns), ts - horizon - DAY)
        assert np.isfinite(before.value).all()


def test_presets_go_from_scalping_to_swing():
    assert list(PRESETS) == list(Timeframe)
    assert [preset.style for preset in PRESETS.values()] == ["scalping"] * 2 + ["intraday"] * 4 + ["swing"]
    horizons = [terms_of(timeframe).horizon_ns for timeframe in Timeframe]
    assert horizons == sorted(horizons)
    assert (horizons[0], horizons[-1]) == (HOUR // 2, 10 * DAY)


@pytest.mark.parametrize("decision", Timeframe)
@pytest.mark.parametrize("name", MAKERS)
def test_every_target_is_there_at_every_timeframe(name, decision):
    found = target(name, decision)
    assert found.name == name
    assert found.horizon_ns >= decision.ns
    assert repr(found) == repr(target(name, decision))
    assert " at 0x" not in repr(found)  # a panel is found again by it


def test_the_numbers_of_the_presets():
    three, twelve = target("direction_3", M15), target("direction_12", M15)
    assert (three.epsilon_pct, twelve.epsilon_pct) == pytest.approx((0.5, 1.0))
    assert three.horizon_ns == 3 * M15.ns
    assert target("large_move", M15).epsilon_pct == pytest.approx(math.sqrt(6))
    assert target("volatility", Timeframe.H4).horizon_ns == DAY
    assert target("volatility", M15, TERMS).horizon_ns == 2 * HOUR
    assert target("volume_up", M5).horizon_ns == HOUR
    assert target("expansion", Timeframe.D1).horizon_ns == DAY
    assert target("vol_high", M15).classes == CLASSES_OF[Kind.REGIME]
    assert target("barrier", M15, TERMS).horizon_ns == TERMS.horizon_ns


@pytest.mark.parametrize("name", ["barrier", "trend_6", "trend_12", "trend_24"])
def test_a_walk_falls_into_classes_of_about_a_third(name):
    (made,) = null_market(1, 60, seed=11)
    five = aggregate(made, M5)
    coarse = aggregate(five, M15)
    ranges = np.lib.stride_tricks.sliding_window_view(coarse.high - coarse.low, 14).mean(axis=1)
    found = target(name, M15).followed(five, coarse.ts_close[13:], ranges)
    shares = np.bincount(found.kind[found.kind != UNKNOWN]) / np.sum(found.kind != UNKNOWN)
    assert shares == pytest.approx([1 / 3] * 3, abs=0.08)


@pytest.mark.parametrize(
    "name, decision, terms, words",
    [
        ("fortune", M15, None, "target: expected one of barrier, move_1, .* mfe_short; found 'fortune'"),
        ("barrier", M15, BarrierTerms(M5), "target barrier: expected terms of 15m; found 5m"),
        (
            "volume_up",
            M15,
            BarrierTerms(M15, horizon_bars=97),
            "expected a horizon of a day at most; found 1.01",
        ),
    ],
)
def test_what_there_is_not_is_refused(name, decision, terms, words):
    with pytest.raises(UsageError, match=words):
        target(name, decision, terms)
