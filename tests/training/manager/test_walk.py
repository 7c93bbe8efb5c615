"""Positions walked minute by minute: by hand, against a naive loop, and against their own past."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.manager.made import minutes, wandering
from training.manager.walk import LEFT, NEVER, STOP, TARGET, TIME, Plans, Rule, states, walk

FLAT = (100.0, 100.2, 99.8, 100.0)


def plans(side, stop, target, *, first=0, limit=5) -> Plans:
    return Plans(
        np.array([first]), np.array([limit]), np.array([side], np.int8), np.array([stop]), np.array([target])
    )


def ended(rows, plan, **how):
    found = walk(minutes(rows), plan, **how)
    return int(found.minute[0]), float(found.price[0]), int(found.how[0])


@pytest.mark.parametrize(
    "rows, plan, expected",
    [
        ([FLAT, (100, 100.5, 98.9, 99.5), *[FLAT] * 4], plans(1, 99.0, 103.0), (1, 99.0, STOP)),
        ([FLAT, (100, 103.5, 99.9, 103.0), *[FLAT] * 4], plans(1, 99.0, 103.0), (1, 103.0, TARGET)),
        ([FLAT, (100, 103.5, 98.5, 103.0), *[FLAT] * 4], plans(1, 99.0, 103.0), (1, 99.0, STOP)),
        ([FLAT, (98.0, 98.5, 97.5, 98.0), *[FLAT] * 4], plans(1, 99.0, 103.0), (1, 98.0, STOP)),
        ([FLAT, (104.0, 104.5, 103.5, 104.0), *[FLAT] * 4], plans(1, 99.0, 103.0), (1, 103.0, TARGET)),
        ([*[FLAT] * 5, (100.1, 105.0, 95.0, 100.0)], plans(1, 99.0, 103.0), (5, 100.1, TIME)),
        ([FLAT, (100, 101.0, 96.9, 97.0), *[FLAT] * 4], plans(-1, 101.0, 97.0), (1, 101.0, STOP)),
        ([FLAT, (100, 100.5, 96.9, 97.0), *[FLAT] * 4], plans(-1, 101.0, 97.0), (1, 97.0, TARGET)),
        ([FLAT, (102, 102.5, 101.5, 102.0), *[FLAT] * 4], plans(-1, 101.0, 97.0), (1, 102.0, STOP)),
        ([(100, 103.5, 100.0, 103.0), *[FLAT] * 5], plans(1, 99.0, 103.0), (0, 103.0, TARGET)),
    ],
    ids=[
        "stop", "target", "both: stop first", "gap through the stop fills at the open",
        "gap through the target fills at the target", "time limit at the open, before its minute moves",
        "short, both", "short target", "short gap", "within the minute of the entry",
    ],
)  # fmt: skip
def test_position_ends_where_a_hand_says(rows, plan, expected):
    assert ended(rows, plan) == expected


def test_leaving_early_fills_at_the_open_and_a_gap_through_the_stop_comes_first():
    rows = [FLAT, FLAT, (100.4, 100.5, 98.0, 99.0), *[FLAT] * 3]
    assert ended(rows, plans(1, 99.0, 103.0), leave=np.array([2])) == (2, 100.4, LEFT)
    assert ended(rows, plans(1, 99.0, 103.0), leave=np.array([NEVER])) == (2, 99.0, STOP)
    rows[2] = (98.5, 99.0, 98.0, 98.6)
    assert ended(rows, plans(1, 99.0, 103.0), leave=np.array([2])) == (2, 98.5, STOP)


def test_moving_stop_counts_from_the_minute_after_the_best_price():
    # +1.5 R within minute 1, which falls back through the entry within the same minute: no ratchet yet.
    rows = [FLAT, (100, 101.5, 99.5, 100.2), (100.2, 100.3, 99.9, 100.0), *[FLAT] * 3]
    plan = plans(1, 99.0, 103.0)
    assert ended(rows, plan, rule=Rule(even=1.0)) == (2, 100.0, STOP)
    assert ended(rows, plan, rule=Rule(trail=1.0)) == (2, 100.2, STOP)  # 101.5 - 1 R lies above its open
    assert ended(rows, plan, rule=Rule(trail=2.0)) == (5, 100.0, TIME)  # 99.5 is never met
    short = [FLAT, (100, 100.5, 98.5, 99.8), (99.8, 100.1, 99.7, 100.0), *[FLAT] * 3]
    assert ended(short, plans(-1, 101.0, 97.0), rule=Rule(even=1.0)) == (2, 100.0, STOP)


sides = st.sampled_from([1, -1])


@given(
    seed=st.integers(0, 500),
    side=sides,
    reach=st.floats(0.05, 1.0),
    far=st.floats(0.05, 1.5),
    leave=st.integers(-1, 40),
    trail=st.sampled_from([0.0, 0.5, 2.0]),
    even=st.sampled_from([0.0, 1.0]),
)
def test_walk_equals_a_naive_loop(seed, side, reach, far, leave, trail, even):
    bars = wandering(60, seed)
    entry = bars.open[7]
    plan = plans(side, entry - side * reach, entry + side * far, first=7, limit=47)
    found = walk(bars, plan, np.array([leave + 7 if leave >= 0 else NEVER]), Rule(trail, even))
    expected = naive(bars, plan, leave + 7 if leave >= 0 else NEVER, trail, even)
    assert (int(found.minute[0]), float(found.price[0]), int(found.how[0])) == expected


def naive(bars, plan, leave, trail, even):
    side, stop, target = int(plan.side[0]), float(plan.stop[0]), float(plan.target[0])
    first, limit = int(plan.first[0]), int(plan.limit[0])
    entry = float(bars.open[first])
    risk, best = abs(entry - stop), entry
    for j in range(first, limit + 1):
        opened = float(bars.open[j])
        beyond = opened <= stop if side > 0 else opened >= stop
        if beyond:
            return j, opened, STOP
        if j == leave:
            return j, opened, LEFT
        if j == limit:
            return j, opened, TIME
        low, high = float(bars.low[j]), float(bars.high[j])
        if (low <= stop) if side > 0 else (high >= stop):
            return j, stop, STOP
        if (high >= target) if side > 0 else (low <= target):
            return j, target, TARGET
        best = max(best, high) if side > 0 else min(best, low)
        levels = [stop]
        if trail:
            levels.append(best - side * trail * risk)
        if even and side * (best - entry) >= even * risk:
            levels.append(entry)
        stop = max(levels) if side > 0 else min(levels)
    raise AssertionError


@given(seed=st.integers(0, 500), side=sides, ages=st.lists(st.integers(0, 30), min_size=1, unique=True))
def test_position_columns_equal_a_naive_loop_over_the_minutes_since_the_entry(seed, side, ages):
    bars = wandering(60, seed)
    entry = float(bars.open[9])
    plan = plans(side, entry - side * 0.7, entry + side, first=9, limit=59)
    at = np.array(sorted(ages)) + 9
    found = states(bars, plan, np.zeros(len(at), np.int64), at)
    for row, minute in zip(found, at.tolist(), strict=True):
        results = [
            side * (float(p) - entry) / 0.7 for j in range(9, minute + 1) for p in (bars.low[j], bars.high[j])
        ]
        expected = [
            side * (float(bars.close[minute]) - entry) / 0.7, minute - 9 + 1,
            min(0.0, *results), max(0.0, *results), side,
        ]  # fmt: skip
        assert row == pytest.approx(expected, abs=1e-9)


def test_position_columns_by_hand():
    rows = [(100, 101, 99.5, 100.5), (100.5, 102, 100.4, 101.0), (101, 101.2, 99.0, 99.4)]
    found = states(minutes(rows), plans(1, 98.0, 104.0), np.zeros(3, np.int64), np.arange(3))
    assert found.tolist() == [
        pytest.approx([0.25, 1, -0.25, 0.5, 1]),
        pytest.approx([0.5, 2, -0.25, 1.0, 1]),
        pytest.approx([-0.3, 3, -0.5, 1.0, 1]),
    ]
