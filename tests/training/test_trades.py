import numpy as np
import pytest

from core.clock import HOUR
from training.trades import SCHEDULES, FeeSchedule, Outcomes, take, threshold_for


def outcomes(instrument, hours, held) -> Outcomes:
    ts = np.array(hours, np.int64) * HOUR
    n = len(ts)
    return Outcomes(np.array(instrument, np.int32), ts, ts + held * HOUR, np.full(n, 0.02), np.full(n, -0.03))


def test_one_position_per_instrument_at_a_time():
    found = take(outcomes([0, 0, 0, 0, 1], [0, 1, 2, 3, 1], 2), np.full(5, 1.0), 0.5)
    assert found.held.tolist() == [2 * HOUR] * 3  # instrument 0 at 0 and 2, instrument 1 at 1
    assert found.gross_bps == pytest.approx([200.0] * 3)


def test_sign_of_the_score_picks_the_side_and_weak_scores_do_not_trade():
    found = take(outcomes([0, 0, 0], [0, 5, 30], 1), np.array([0.5, 0.4, -0.6]), 0.5)
    assert found.gross_bps == pytest.approx([200.0, -300.0])
    assert found.day.tolist() == [0, 1]


def test_zero_score_is_no_side_even_at_threshold_zero():
    assert len(take(outcomes([0], [0], 1), np.zeros(1), 0.0).day) == 0


def test_fees_are_paid_twice_and_margin_at_opening_and_every_four_hours():
    fees = FeeSchedule("x", 40.0, margin_bps=2.5)
    held = np.array([HOUR, 4 * HOUR, 24 * HOUR])
    assert fees.cost_bps(held).tolist() == [82.5, 85.0, 97.5]


def test_schedules_are_the_named_ones():
    assert {fees.name: fees.taker_bps for fees in SCHEDULES} == {
        "gross": 0.0,
        "vip9": 2.0,
        "vip4": 5.4,
        "legacy16": 16.0,
        "kraken": 40.0,
    }


def test_threshold_is_reached_by_the_share_asked_for():
    score = np.linspace(-1, 1, 1001)
    assert np.mean(np.abs(score) >= threshold_for(score, 0.05)) == pytest.approx(0.05, abs=0.003)
