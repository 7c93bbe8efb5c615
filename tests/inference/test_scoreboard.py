import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import DAY
from core.market import Timeframe
from inference.card import LabelTerms
from inference.scoreboard import Scoreboard

LENGTH = Timeframe.M15.ns
START = 1_000 * LENGTH
SHARES = (0.3, 0.4, 0.3)
HORIZON = 4
UP = (0.1, 0.2, 0.7)
LABEL = LabelTerms("15m", 2.0, HORIZON)


def board(size: int = 1) -> Scoreboard:
    return Scoreboard(LABEL, SHARES, size, half_life_days=30.0)


def tell(to: Scoreboard, step: int, p=UP, atr: float = 1.0, usable: bool = True) -> None:
    """Record one prediction for every instrument at the close of bar `step`."""
    size = to.newest.size
    rows = np.tile(np.array(p), (size, 1))
    to.record(START + step * LENGTH, rows, np.full(size, usable), np.full(size, atr))


def feed(to: Scoreboard, step: int, *ohl: tuple[float, float, float]) -> None:
    """Close bar `step` of instruments 0, 1, ... with open, high and low."""
    bars = np.array(ohl).T
    to.on_bars(np.arange(len(ohl)), START + step * LENGTH, bars)


def total(of: Scoreboard) -> float:
    """Give the gain of all that was judged, in nats."""
    return of.totals[0] * HORIZON


QUIET = (100.0, 100.5, 99.5)


@pytest.mark.parametrize(
    "path, kind",
    [
        ([(100, 101, 99.9), (101, 102.1, 100), QUIET, QUIET], 2),
        ([(100, 101, 99.9), (99, 100, 97.9), QUIET, QUIET], 0),
        ([QUIET, QUIET, QUIET, QUIET], 1),
        ([(100, 102.5, 97.5), (102, 110, 101), QUIET, QUIET], 1),  # both in one bar: neither
        ([QUIET, (103, 103, 97), QUIET, QUIET], 2),  # the gap decides, whatever came after
        ([QUIET, (97, 103, 97), QUIET, QUIET], 0),
        ([(110, 111, 109), (112, 112.5, 111), QUIET, QUIET], 2),  # from the next open, not the last close
    ],
)
def test_prediction_is_judged_as_its_label_is_made(path, kind):
    one = board()
    feed(one, 0, QUIET)
    tell(one, 0)
    for step, bar in enumerate(path, start=1):
        assert one.score(0.0, 20.0).judged == 0
        feed(one, step, bar)
    assert one.score(0.0, 20.0).judged == 1
    assert total(one) == pytest.approx(math.log(UP[kind] / SHARES[kind]))


def test_new_member_starts_at_its_prior_and_outcomes_take_over():
    one = board()
    assert one.score(0.02, 20.0).skill == 0.02
    skills = []
    feed(one, 0, (100, 100, 100))
    for step in range(1, 400):  # a rising market and a member that says so
        tell(one, step - 1, atr=0.5)
        feed(one, step, (100 + step, 101.5 + step, 99.5 + step))
        skills.append(one.score(0.02, 20.0).skill)
    assert skills == sorted(skills)
    gain = math.log(UP[2] / SHARES[2])
    windows = one.score(0.0, 20.0).windows
    assert skills[-1] == pytest.approx((20 * 0.02 + windows * gain) / (20 + windows))
    assert windows == pytest.approx(396 / HORIZON, rel=0.05)


def test_record_fades_with_its_half_life():
    one = board()
    feed(one, 0, QUIET)
    tell(one, 0)
    for step in range(1, HORIZON + 1):
        feed(one, step, QUIET)
    before = one.totals.copy()
    later = HORIZON + round(30 * DAY / LENGTH)
    feed(one, later - HORIZON, QUIET)
    tell(one, later - HORIZON)
    for step in range(later - HORIZON + 1, later + 1):
        feed(one, step, QUIET)
    assert one.totals[0] == pytest.approx(1.5 * before[0])
    assert one.totals[1] == pytest.approx(1.5 * before[1])


def test_path_with_a_missing_bar_is_never_judged():
    one = board(2)
    feed(one, 0, QUIET, QUIET)
    tell(one, 0)
    feed(one, 1, QUIET, QUIET)
    feed(one, 2, QUIET)  # the second instrument's bar is lost
    feed(one, 3, QUIET, QUIET)
    feed(one, 4, QUIET, QUIET)
    assert one.score(0.0, 20.0).judged == 1


def test_records_do_not_depend_on_which_bars_come_in_together():
    """Histories come one instrument after the other, live bars all at once."""
    together, apart = board(2), board(2)
    rng = np.random.default_rng(3)
    path = [[(100, 100 + up, 100 - down) for up, down in rng.exponential(2, (2, 2))] for _ in range(12)]
    for to in (together, apart):
        feed(to, 0, QUIET, QUIET)
        tell(to, 0)
        feed(to, 1, QUIET, QUIET)
        tell(to, 1)
    for step, (one, other) in enumerate(path, start=2):
        feed(together, step, one, other)
    for k in (1, 0):
        for step, bars in enumerate(path, start=2):
            apart.on_bars(np.array([k]), START + step * LENGTH, np.array(bars[k])[:, None])
    assert together.totals[2] == 4
    assert apart.totals.tolist() == pytest.approx(together.totals.tolist(), rel=1e-12)


def test_prediction_that_was_not_usable_or_has_no_scale_is_not_judged():
    one = board()
    feed(one, 0, QUIET)
    tell(one, 0, usable=False)
    feed(one, 1, QUIET)
    tell(one, 1, atr=0.0)
    for step in range(2, 8):
        feed(one, step, QUIET)
    assert one.score(0.0, 20.0).judged == 0


def test_bars_seen_before_change_nothing():
    one, other = board(), board()
    for to in (one, other):
        feed(to, 0, QUIET)
        tell(to, 0)
    for step in range(1, HORIZON + 1):
        feed(one, step, QUIET)
        for again in range(step + 1):
            feed(other, again, QUIET)
    assert np.array_equal(one.totals, other.totals)


def test_impossible_answer_cannot_ruin_a_record():
    one = board()
    feed(one, 0, QUIET)
    tell(one, 0, p=(1.0, 0.0, 0.0))
    for step in range(1, HORIZON + 1):
        feed(one, step, QUIET)
    assert total(one) == pytest.approx(math.log(0.01 / 0.4))


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_score_equals_a_plain_recount(seed):
    """Compare with one prediction at a time, judged by a loop over its own bars."""
    rng = np.random.default_rng(seed)
    steps, size = 40, 3
    one = board(size)
    opens = 100 + rng.normal(0, 1, (steps, size)).cumsum(axis=0)
    highs, lows = opens + rng.exponential(1, opens.shape), opens - rng.exponential(1, opens.shape)
    p = rng.dirichlet((2, 2, 2), (steps, size))
    seen = rng.random((steps, size)) < 0.97
    for step in range(steps):
        rows = np.flatnonzero(seen[step])
        bars = np.stack([opens[step, rows], highs[step, rows], lows[step, rows]])
        one.on_bars(rows, START + step * LENGTH, bars)
        one.record(START + step * LENGTH, p[step], seen[step], np.ones(size))
    gains = []
    for step in range(steps - HORIZON):
        for k in range(size):
            if not seen[step : step + HORIZON + 1, k].all():
                continue
            entry, kind = opens[step + 1, k], 1
            for at in range(step + 1, step + 1 + HORIZON):
                rose, fell = highs[at, k] >= entry + 2, lows[at, k] <= entry - 2
                gap_up, gap_down = opens[at, k] >= entry + 2, opens[at, k] <= entry - 2
                if rose or fell:
                    kind = 2 if gap_up or (rose and not fell) else 0 if gap_down or not rose else 1
                    break
            gains.append(math.log(p[step, k, kind] / SHARES[kind]) if p[step, k, kind] > 0.01 else None)
    assert one.score(0.0, 20.0).judged == len(gains)
