"""Trades walked by hand, by a slow rule, and beside the labels that the daemon judges by."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import HOUR
from core.market import Timeframe
from tests.training.targets.paths import FLAT, START, STEP, path, told
from training.labels import BarrierTerms, label
from training.panel.panel import UNKNOWN
from training.targets.sides import LONG, SHORT, STOP, TARGET, TIME, Excursion, Exits, StopOrTarget, outcome
from training.trades import FeeSchedule

EXITS = Exits(Timeframe.M15, stop_atr=2.0, target_atr=4.0, bars=2)  # 6 source bars
ATR = 5.0  # a long: stop 90, target 120; a short: stop 110, target 80


def one(rows, side):
    """Walk the decision before the first row: how it ended, result, bars held, MAE and MFE in price."""
    found = outcome(path(rows), np.array([START]), np.array([ATR]), EXITS, side)
    entry = rows[0][0]
    return (
        int(found.ended[0]),
        round(float(found.gross[0]) * entry, 9),
        int(found.held[0]) // STEP,
        round(float(found.adverse[0]) * entry, 9),
        round(float(found.favourable[0]) * entry, 9),
    )


@pytest.mark.parametrize(
    "rows, long, short",
    [
        # Out at the last close: 3 up, having seen 95 and 108.
        ([FLAT, (100, 108, 95, 100), *[FLAT] * 3, (100, 104, 99, 103)], (TIME, 3, 6, 5, 8),
         (TIME, -3, 6, 8, 5)),
        # The long's target in the third bar; the short was stopped in the second.
        ([FLAT, (100, 112, 97, 111), (111, 121, 108, 119), *[FLAT] * 3], (TARGET, 20, 3, 3, 20),
         (STOP, -10, 2, 10, 1)),
        # Stop and target of the long within one bar: stopped, and the high is not granted.
        ([FLAT, (100, 125, 85, 100), *[FLAT] * 4], (STOP, -10, 2, 10, 1), (STOP, -10, 2, 10, 1)),
        # A gap through the long's stop fills at the open; the short's target fills where it lies.
        ([FLAT, (75, 76, 74, 75), *[FLAT] * 4], (STOP, -25, 2, 25, 1), (TARGET, 20, 2, 1, 20)),
        # A gap through the short's stop fills at the open.
        ([FLAT, (118, 119, 100, 110), *[FLAT] * 4], (TIME, 0, 6, 1, 19), (STOP, -18, 2, 18, 1)),
        # The low of the bar that reaches the target may have come first.
        ([FLAT, (100, 120, 91, 118), *[FLAT] * 4], (TARGET, 20, 2, 9, 20), (STOP, -10, 2, 10, 1)),
    ],
)  # fmt: skip
def test_a_trade_ends_as_it_does_on_paper(rows, long, short):
    assert one(rows, LONG) == long
    assert one(rows, SHORT) == short


def test_nothing_is_known_across_a_hole_or_past_the_end():
    rows = [FLAT, (100, 130, 100, 120), *[FLAT] * 4]
    for bars in (path(rows, skip={3}), path(rows[:5])):
        found = outcome(bars, np.array([START]), np.array([ATR]), EXITS, LONG)
        assert found.ended.tolist() == [UNKNOWN]
        assert math.isnan(found.gross[0] + found.adverse[0])
        assert found.held.tolist() == [6 * STEP]


def test_net_is_gross_less_both_fees_and_the_margin_of_the_time_held():
    rows = [*[(100.0, 101.0, 99.0, 100.0)] * 53, (100, 121, 99, 120), *[FLAT] * 6]
    exits = Exits(Timeframe.M15, 2.0, 4.0, 20)
    found = outcome(path(rows), np.array([START]), np.array([ATR]), exits, LONG)
    assert found.held.tolist() == [54 * STEP]  # 4 h 30 min
    assert 54 * STEP // (4 * HOUR) == 1
    assert found.net_bps(FeeSchedule("made", 40.0, 2.5)).tolist() == pytest.approx([2_000 - 80 - 5.0])
    assert found.net_bps(FeeSchedule("none", 0.0)).tolist() == pytest.approx([2_000.0])


WALKS = st.lists(
    st.tuples(st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 6), st.integers(0, 6)),
    min_size=9,
    max_size=40,
)


def walked(moves) -> list:
    rows, price = [], 200.0
    for gap, move, above, below in moves:
        opened = price + gap
        price = opened + move
        rows.append((opened, max(opened, price) + above, min(opened, price) - below, price))
    return rows


@settings(max_examples=60, deadline=None)
@given(WALKS)
def test_equal_barriers_give_the_returns_that_the_daemon_judges_by(moves):
    bars = path(walked(moves))
    terms = BarrierTerms(Timeframe.M15, barrier_atr=2.0, horizon_bars=2)
    exits = Exits(Timeframe.M15, 2.0, 2.0, 2)
    ts, atr = bars.ts_open, np.full(len(bars), ATR)
    labels = label(bars, ts, atr, terms)
    long, short = (outcome(bars, ts, atr, exits, side) for side in (LONG, SHORT))
    known = labels.kind != UNKNOWN
    assert (known == (long.ended != UNKNOWN)).all()
    assert long.gross[known].tolist() == pytest.approx(labels.long_return[known].tolist())
    assert short.gross[known].tolist() == pytest.approx(labels.short_return[known].tolist())
    assert (ts + long.held)[known].tolist() == labels.ts_end[known].tolist()
    assert (ts + short.held)[known].tolist() == labels.ts_end[known].tolist()
    both = known & labels.both
    assert (long.ended[both] == STOP).all()
    assert (short.ended[both] == STOP).all()


def plainly(rows, side) -> tuple:
    """The rule written slowly, in gains of the side."""
    entry = rows[0][0]
    worst = best = 0.0
    for j, row in enumerate(rows[:6]):
        opened, high, low, close = (side * (price - entry) for price in row)
        bad, good = min(high, low), max(high, low)
        if opened <= -10.0:
            return STOP, opened, j + 1, max(worst, -opened), best
        if opened >= 20.0:
            return TARGET, 20.0, j + 1, worst, 20.0
        if bad <= -10.0:
            return STOP, -10.0, j + 1, 10.0, max(best, opened)
        if good >= 20.0:
            return TARGET, 20.0, j + 1, max(worst, -bad), 20.0
        worst, best = max(worst, -bad), max(best, good)
    return TIME, close, 6, worst, best


@settings(max_examples=80, deadline=None)
@given(WALKS, st.sampled_from([LONG, SHORT]))
def test_any_path_follows_the_rule(moves, side):
    rows = walked(moves)
    for first in range(len(rows) - 5):
        assert one(rows[first:], side) == pytest.approx(plainly(rows[first:], side))


def test_as_targets_they_tell_which_came_first_and_how_far_it_went():
    rows = [FLAT, (100, 120, 91, 118), *[FLAT] * 4]
    assert told(StopOrTarget("outcome_long", EXITS, LONG), rows) == (TARGET, pytest.approx(20.0), 2)
    assert told(StopOrTarget("outcome_short", EXITS, SHORT), rows) == (STOP, pytest.approx(-10.0), 2)
    adverse, favourable = (Excursion("mae", EXITS, LONG, adverse) for adverse in (True, False))
    assert told(adverse, rows) == (UNKNOWN, pytest.approx(9.0), 2)
    assert told(favourable, rows) == (UNKNOWN, pytest.approx(20.0), 2)
