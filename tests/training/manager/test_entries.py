"""Simulated entries: whose answers, where filled, one at a time, never over a hole."""

import numpy as np
import pytest

from core.clock import MINUTE
from core.errors import DataError
from tests.training.manager.made import START, answers, minutes, wandering
from training.manager.entries import TradeTerms, simulate, threshold
from training.manager.walk import STOP, TARGET, TIME
from training.members.kept import TEST

FAR = START + 10_000 * MINUTE
TERMS = TradeTerms(stop_atr=2.0, target_atr=3.0, max_hold_s=600, cooldown_s=120)


def at(*positions):
    return [START + position * MINUTE for position in positions]


def test_entry_fills_at_the_next_open_with_distances_in_atrs_of_the_answer():
    bars = minutes([(100 + k, 100 + k + 0.2, 100 + k - 0.2, 100 + k + 0.1) for k in range(40)])
    found = simulate(answers([bars], at(5), [1], test_start=FAR, atr=1.0), [bars], TERMS, 0.1)
    assert (found.entry[0], found.stop[0], found.target[0]) == (105.0, 103.0, 108.0)
    assert (found.ts[0], found.minute[0], found.price[0], found.how[0]) == (at(5)[0], 8, 108.0, TARGET)
    assert found.gross_bps[0] == pytest.approx(3 / 105 * 1e4)
    assert found.r[0] == pytest.approx(1.5)
    assert found.held[0] == 3 * MINUTE
    short = simulate(answers([bars], at(5), [-1], test_start=FAR, atr=1.0), [bars], TERMS, 0.1)
    assert (short.stop[0], short.how[0], short.price[0]) == (107.0, STOP, 107.0)
    assert short.r[0] == pytest.approx(-1.0)


def test_one_position_at_a_time_and_a_pause_after_it():
    bars = minutes([(100, 100.1, 99.9, 100)] * 60)
    found = simulate(
        answers([bars], at(0, 3, 10, 12, 13, 30), [1] * 6, test_start=FAR, atr=1.0), [bars], TERMS, 0.1
    )
    # Held from 0 to the time limit at minute 10, then two whole minutes of pause.
    assert found.first.tolist() == [0, 13, 30]
    assert found.how.tolist() == [TIME] * 3


def test_answers_below_the_threshold_and_of_no_side_are_left_alone():
    bars = wandering(200, 1)
    mixed = answers([bars], at(0, 40, 80), [1, 0, -1], test_start=FAR, atr=0.5)
    assert simulate(mixed, [bars], TERMS, 0.1).side.tolist() == [1, -1]
    with pytest.raises(DataError, match="expected positions"):
        simulate(mixed, [bars], TERMS, 0.9)


def test_threshold_is_a_turnover_of_the_folds_and_the_test_span_has_no_say():
    bars = wandering(300, 1)
    ts = at(*range(0, 200, 2))
    kept = answers([bars], ts, [0] * 100, test_start=ts[50])
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(3), 100).astype(np.float32)
    kept.voices["made"] = p
    least = threshold(kept, 0.2)
    lean = np.abs(p[:, 2].astype(float) - p[:, 0])
    assert np.sum(lean[:50] >= least) == 10
    changed = p.copy()
    changed[50:] = (0.0, 0.0, 1.0)
    kept.voices["made"] = changed
    assert threshold(kept, 0.2) == least
    assert set(kept.fold[:50]) == {1}
    assert set(kept.fold[50:]) == {TEST}


def test_no_position_over_a_hole_also_not_one_that_would_have_ended_before_it():
    whole = wandering(60, 3)
    keep = np.r_[0:18, 20:60]
    columns = [getattr(whole, name)[keep] for name in ("open", "high", "low", "close")]
    holed = minutes(np.column_stack(columns), ts_open=whole.ts_open[keep])
    asked = answers([holed], at(5, 9, 19, 25, 45, 55), [1] * 6, test_start=FAR, atr=0.01)
    found = simulate(asked, [holed], TERMS, 0.1)
    # From 9 and 19 ten minutes reach into the hole, 19 itself is missing, from 55 they reach past the end.
    assert found.ts.tolist() == at(5, 25, 45)
    assert set(found.how.tolist()) <= {STOP, TARGET, TIME}


def test_instruments_do_not_wait_for_each_other():
    series = [wandering(100, 1, "A/USD"), wandering(100, 2, "B/USD")]
    both = answers(series, at(0, 1), [1, 1], test_start=FAR, atr=0.5, instrument=[0, 1])
    found = simulate(both, series, TERMS, 0.1)
    assert found.instrument.tolist() == [0, 1]
    assert found.entry.tolist() == [series[0].open[0], series[1].open[1]]
