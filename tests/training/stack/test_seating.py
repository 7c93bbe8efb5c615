"""Votes as the daemon would have heard them: newest, fresh, weighed by what was known by then."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from core.errors import DataError
from core.market import Timeframe
from inference.card import LabelTerms
from inference.ensemble_card import Policy
from inference.scoreboard import Scoreboard
from tests.training.stack.kept_answers import DAY, HORIZON, PAIRS, START, kept
from training.stack.seating import TAKE, seat
from training.stack.skill import skill_by_then

QUARTER, HOUR = Timeframe.M15.ns, Timeframe.H1.ns


def few(one, hours=60):
    """Give a voter's first hours alone."""
    return one.only(one.ts < START + hours * HOUR)


def test_votes_are_the_newest_that_are_young_enough():
    own, slow = few(kept("own", step=1)), few(kept("slow", "1h", seed=3, step=1))
    seated = seat([own, slow], Policy())
    assert seated.names == ("own", "slow")
    for row in range(0, len(seated), 7):
        ts, pair = seated.rows.ts[row], seated.rows.instrument[row]
        past = np.flatnonzero((slow.instrument == pair) & (slow.ts <= ts))
        fresh = len(past) > 0 and ts - slow.ts[past[-1]] < HOUR
        assert seated.voted[row].tolist() == [True, fresh]
        if fresh:
            np.testing.assert_array_equal(seated.p[row, 1], slow.p[past[-1]])
    assert seated.voted.all(), "closes at which nobody asked the slow one are left out"
    assert seated.rows.ts.min() == START + HOUR


def test_older_votes_and_unanswered_rows_do_not_vote():
    own, slow = few(kept("own", step=1)), few(kept("slow", "1h", seed=3, step=1))
    row = np.arange(len(slow)) % (len(slow) // len(PAIRS))
    slow.voices["m"][(row + slow.instrument) % 2 == 0] = np.nan  # always some pair is answered
    once = seat([own, slow], Policy(max_age_bars=1.0)).voted[:, 1].mean()
    twice = seat([own, slow], Policy(max_age_bars=2.0)).voted[:, 1].mean()
    assert 0.4 < once < 0.6
    assert twice > 0.95
    both = seat([own, slow], Policy(min_votes=2))
    assert both.voted.all()


def test_closes_at_which_a_voters_answers_are_thinned_are_left_out():
    own, other = few(kept("own", step=1)), few(kept("other", seed=2, step=3))
    seated = seat([own, other], Policy())
    assert seated.voted.all()
    assert set(seated.rows.ts.tolist()) == set(other.ts.tolist())
    with pytest.raises(DataError, match="expected closes that every voter answered; found none"):
        seat([own, other.only(other.ts < 0)], Policy())


def test_a_pair_that_a_voter_does_not_know_is_heard_without_it():
    own, slow = few(kept("own")), few(kept("slow", "1h", seed=3, step=1))
    named = msgspec.structs.replace(slow.subject, instruments=(PAIRS[2], PAIRS[0], "X/USD"))
    seated = seat([own, replace(slow, subject=named)], Policy())
    for pair, theirs in ((0, 1), (1, None), (2, 0)):
        mine = seated.rows.instrument == pair
        assert seated.voted[mine, 1].any() == (theirs is not None)
        if theirs is not None:
            row = np.flatnonzero(mine & seated.voted[:, 1])[5]
            there = (slow.instrument == theirs) & (slow.ts <= seated.rows.ts[row])
            np.testing.assert_array_equal(seated.p[row, 1], slow.p[np.flatnonzero(there)[-1]])


def test_taking_means_that_the_side_of_the_blend_met_its_barrier_first():
    seated = seat([few(kept("own"))], Policy())
    lean = seated.p[:, 0, 2] - seated.p[:, 0, 0]
    np.testing.assert_array_equal(seated.side, np.sign(lean))
    np.testing.assert_array_equal(seated.took == TAKE, seated.rows.kind == np.where(lean > 0, 2, 0))
    np.testing.assert_allclose(seated.paid, seated.side * (seated.rows.kind.astype(float) - 1) * 0.01)


def test_skill_is_what_the_scoreboard_would_have_it():
    """The daemon's own record, fed bar by bar with prices that lead to the same outcomes."""
    voter = few(kept("v", "1h", step=1, knows=0.5), 400)
    voter = voter.only(voter.instrument == 0)
    policy = Policy(skill_half_life_days=3.0, skill_prior_windows=2.0)
    judged, skill = skill_by_then(voter, policy)
    shares = np.bincount(voter.kind, minlength=3) / len(voter)
    label = LabelTerms("1h", 3.0, HORIZON)
    board = Scoreboard(label, tuple(shares), 1, half_life_days=policy.skill_half_life_days)
    kinds = dict(zip(voter.ts.tolist(), voter.kind.tolist(), strict=True))
    last, found = int(voter.ts.max()), {}
    board.on_bars(np.zeros(1, np.int64), int(voter.ts.min()), np.array([[100.0], [100.0], [100.0]]))
    for ts in range(int(voter.ts.min()), last + 1, HOUR):
        at = int(np.flatnonzero(voter.ts == ts)[0])
        board.record(ts, voter.p[[at]].astype(np.float64), np.ones(1, np.bool_), np.full(1, 1.0))
        board.kind[board._slot(ts), 0] = kinds[ts]
        board.met[board._slot(ts), 0] = True  # the outcome is given, prices stand still
        board.on_bars(np.zeros(1, np.int64), ts + HOUR, np.array([[100.0], [100.0], [100.0]]))
        found[ts + HOUR] = board.score(0.0, policy.skill_prior_windows).skill
    known = {int(ts): value for ts, value in zip(judged, skill, strict=True) if ts in found}
    assert len(known) > 300
    np.testing.assert_allclose([known[ts] for ts in known], [found[ts] for ts in known], atol=1e-12)
    assert max(skill) > 0.02


def test_skill_rests_on_outcomes_known_by_then_alone():
    own = few(kept("own", knows=0.5), 400)
    policy = Policy()
    cut = START + 200 * HOUR
    judged, skill = skill_by_then(own, policy)
    later = own.only(own.ts + HORIZON * QUARTER <= cut)
    fewer, less = skill_by_then(later, policy)
    before = judged <= cut
    np.testing.assert_array_equal(judged[before], fewer)
    # Shares of all rows before the test span are the base; only they differ.
    assert np.abs(skill[before] - less).max() < 0.03
    assert (judged == np.unique(own.ts) + HORIZON * QUARTER).all()


def test_answers_that_do_not_belong_together_are_refused():
    own = few(kept("own"))
    later = replace(own, subject=msgspec.structs.replace(own.subject, name="b", test_start=START))
    with pytest.raises(DataError, match=r"b: expected a test span from 2023-10-20.*as own has it"):
        seat([own, later], Policy())
    other = replace(own, subject=msgspec.structs.replace(own.subject, name="r", kind="regime"))
    with pytest.raises(DataError, match=r"r: expected answers of an entry model, .*; found kind regime"):
        seat([own, other], Policy())
    sweep = msgspec.structs.replace(own.subject, name="s", classes=("none", "swept_low", "swept_high"))
    with pytest.raises(DataError, match=r"s: expected .* down, hold, up; found .* none, swept_low"):
        seat([own, replace(own, subject=sweep)], Policy())


def test_a_vote_fades_with_the_time_since_its_fit():
    """The same answers twice, once by one fit alone and once by one that was made ten days ago at most."""
    old = few(kept("old"), 960)
    often = 1 + (old.ts - START) // (10 * DAY)
    renamed = msgspec.structs.replace(old.subject, name="new")
    new = replace(old, fold=often.astype(np.int8), subject=renamed)
    seated = seat([old, new], Policy(half_life_days=10.0, floor=0.01, cap=0.99))
    ratio = seated.found.weights[:, 1] / seated.found.weights[:, 0]
    since = (seated.rows.ts - old.ts.min()) / DAY
    newest = np.array([new.ts[new.fold == fold].min() for fold in range(1, int(often.max()) + 1)])
    after = (seated.rows.ts - newest[(seated.rows.ts - START) // (10 * DAY)]) / DAY
    np.testing.assert_allclose(ratio, 0.5 ** ((after - since) / 10.0), rtol=1e-9)
    assert ratio.max() > 6
