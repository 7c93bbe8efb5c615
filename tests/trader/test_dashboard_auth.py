"""Credentials and origins: one token, links that work once, and no error for any guess."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import MINUTE, ManualClock
from tests.desk_story import TOKEN
from trader.dashboard.auth import FAILURES_ALLOWED, LINK_LIFE, Gate, host_allowed, same_origin


def test_a_link_grows_old():
    clock = ManualClock(0)
    gate = Gate(TOKEN, clock)
    old = gate.issue_link()
    clock.advance_to(LINK_LIFE + 1)
    assert gate.redeem(old) is None
    assert gate.redeem(gate.issue_link()) is not None


def test_the_oldest_link_makes_room():
    gate = Gate(TOKEN, ManualClock(0))
    links = [gate.issue_link() for _ in range(17)]
    assert gate.redeem(links[0]) is None
    assert gate.redeem(links[1]) is not None


def test_a_session_survives_a_restart_with_the_same_token_only():
    cookie = Gate(TOKEN, ManualClock(0))
    value = cookie.redeem(cookie.issue_link())
    assert Gate(TOKEN, ManualClock(0)).has_session(value)
    assert not Gate(TOKEN + "2", ManualClock(0)).has_session(value)
    assert Gate(TOKEN, ManualClock(0)).cookie != Gate(TOKEN + "2", ManualClock(0)).cookie


def test_a_guessable_token_is_refused():
    with pytest.raises(ValueError, match="at least 32"):
        Gate("short", ManualClock(0))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_no_guess_is_ever_taken_and_none_is_an_error(guess):
    gate = Gate(TOKEN, ManualClock(0))
    assert not gate.has_bearer(guess)
    assert not gate.has_bearer(f"Bearer {guess}")
    assert not gate.has_session(guess)
    assert gate.redeem(guess) is None
    assert host_allowed(guess, frozenset({"desk.local"})) in {True, False}
    assert (
        same_origin({"Origin": f"http://{guess.replace('[', '')}.evil", "Host": "desk.local"}, cookie=True)
        is False
    )


def test_guessing_is_slowed_down_but_the_owner_still_passes():
    clock = ManualClock(0)
    gate = Gate(TOKEN, clock)
    for _ in range(FAILURES_ALLOWED):
        assert not gate.crowded
        gate.note_failure()
    assert gate.crowded
    assert gate.has_bearer(f"Bearer {TOKEN}")
    clock.advance_to(MINUTE)
    assert not gate.crowded
