import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import MINUTE
from core.market import Timeframe
from feeds.lake import BarArrays
from training.labels import DOWN, HOLD, UNKNOWN, UP, BarrierTerms, label

STEP = 5 * MINUTE
TERMS = BarrierTerms(Timeframe.M15, barrier_atr=2.0, horizon_bars=2)  # six source bars
ATR = 5.0  # barriers at +-10


def path(rows, *, skip=()) -> BarArrays:
    """Bars from (open, high, low, close) rows; `skip` names positions that are missing."""
    kept = [index for index in range(len(rows)) if index not in skip]
    table = np.array(rows, float)[kept]
    ts_open = np.array(kept, np.int64) * STEP
    ones = np.ones(len(kept))
    return BarArrays(
        "M/USD", Timeframe.M5, ts_open, *table.T.copy(), volume=ones, vwap=ones, trades=ones.astype(np.int32)
    )


FLAT = (100.0, 101.0, 99.0, 100.0)


def one(rows, **options):
    """Label the single decision made at time 0."""
    found = label(path(rows, **options), np.array([0]), np.array([ATR]), TERMS)
    return tuple(
        getattr(found, name)[0] for name in ("kind", "ts_end", "long_return", "short_return", "both")
    )


def test_upper_barrier_first_is_up_and_known_at_that_bars_close():
    rows = [FLAT, (100, 110, 100, 109), *[FLAT] * 4]
    assert one(rows) == (UP, 2 * STEP, pytest.approx(0.1), pytest.approx(-0.1), False)


def test_lower_barrier_first_is_down():
    rows = [FLAT, (100, 100, 90, 95), (95, 120, 95, 120), *[FLAT] * 3]
    assert one(rows) == (DOWN, 2 * STEP, pytest.approx(-0.1), pytest.approx(0.1), False)


def test_neither_barrier_is_hold_and_leaves_at_the_last_close():
    rows = [*[FLAT] * 5, (100, 105, 100, 104)]
    assert one(rows) == (HOLD, 6 * STEP, pytest.approx(0.04), pytest.approx(-0.04), False)


def test_both_barriers_in_one_bar_stop_both_sides_out():
    rows = [FLAT, (100, 111, 89, 100), *[FLAT] * 4]
    assert one(rows) == (HOLD, 2 * STEP, pytest.approx(-0.1), pytest.approx(-0.1), True)


def test_gap_through_a_stop_fills_at_the_open_and_a_target_at_the_barrier():
    down = one([FLAT, (80, 125, 80, 85), *[FLAT] * 4])
    assert down == (DOWN, 2 * STEP, pytest.approx(-0.2), pytest.approx(0.1), False)
    up = one([FLAT, (120, 125, 70, 85), *[FLAT] * 4])
    assert up == (UP, 2 * STEP, pytest.approx(0.1), pytest.approx(-0.2), False)


def test_no_label_where_the_data_end_before_the_horizon_even_after_a_hit():
    assert one([(100, 120, 100, 110), *[FLAT] * 4])[0] == UNKNOWN


@pytest.mark.parametrize("position", range(6))
def test_no_label_across_a_missing_bar(position):
    rows = [FLAT] * 8
    assert one(rows, skip={position})[0] == UNKNOWN
    assert one(rows)[0] == HOLD


@pytest.mark.parametrize("atr", [0.0, float("nan")])
def test_no_label_without_a_scale(atr):
    assert label(path([FLAT] * 8), np.array([0]), np.array([atr]), TERMS).kind[0] == UNKNOWN


def plainly(bars: BarArrays, first: int) -> tuple[int, float, float]:
    """The same rule written slowly: kind, long return, short return."""
    entry = bars.open[first]
    for j in range(first, first + 6):
        opened, high, low = bars.open[j], bars.high[j], bars.low[j]
        above, below = entry + 10.0, entry - 10.0
        if opened >= above:
            return UP, above / entry - 1, 1 - opened / entry
        if opened <= below:
            return DOWN, opened / entry - 1, 1 - below / entry
        if high >= above and low <= below:
            return HOLD, below / entry - 1, 1 - above / entry
        if high >= above:
            return UP, above / entry - 1, 1 - above / entry
        if low <= below:
            return DOWN, below / entry - 1, 1 - below / entry
    last = bars.close[first + 5]
    return HOLD, last / entry - 1, 1 - last / entry


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 6), st.integers(0, 6)), min_size=9
    )
)
def test_labels_follow_the_rule_on_any_path(moves):
    rows, price = [], 200.0
    for gap, move, above, below in moves:
        opened = price + gap
        price = opened + move
        rows.append((opened, max(opened, price) + above, min(opened, price) - below, price))
    bars = path(rows)
    ts_close = bars.ts_open[: len(bars) - 5]
    found = label(bars, ts_close, np.full(len(ts_close), ATR), TERMS)
    for i in range(len(ts_close)):
        kind, long_return, short_return = plainly(bars, i)
        assert found.kind[i] == kind
        assert found.long_return[i] == pytest.approx(long_return)
        assert found.short_return[i] == pytest.approx(short_return)
        assert ts_close[i] < found.ts_end[i] <= ts_close[i] + TERMS.horizon_ns
