"""Pauses between calls and after refusals, on a clock that only sleeping moves."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import SECOND
from core.errors import LinkLost, VenueError, VenueUnavailable
from feeds.history_pace import AskLater, Manners
from tests.feeds.history_world import Wall


def caller(wall, outcomes):
    """A call that fails or answers by `outcomes`, and keeps the times at which it was made."""
    times, left = [], list(outcomes)

    async def call():
        times.append(wall.clock.now())
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return call, times


async def test_calls_of_one_lane_are_200_to_300_ms_apart():
    wall = Wall()
    call, times = caller(wall, range(200))
    for _ in range(200):
        await wall.polite.ask("kraken BTC", "trades", call)
    pauses = [(after - before) / SECOND for before, after in pairwise(times)]
    assert 0.2 <= min(pauses) < 0.21
    assert 0.29 < max(pauses) <= 0.3
    assert wall.polite.requests == 200


async def test_lanes_do_not_wait_for_each_other():
    wall = Wall()
    call, times = caller(wall, range(3))
    for lane in "abc":
        await wall.polite.ask(lane, "trades", call)
    assert len(set(times)) == 1


async def test_waits_double_up_to_the_ceiling_and_then_somebody_is_told():
    wall = Wall()
    call, times = caller(wall, [LinkLost(f"no {number}") for number in range(10)])
    with pytest.raises(VenueUnavailable, match="trades of X: expected an answer in 10 tries, found: no 9"):
        await wall.polite.ask("lane", "trades of X", call)
    waits = [refusal.wait_s for refusal in wall.refusals]
    ceilings = [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert len(waits) == len(ceilings)
    assert all(ceiling / 2 <= wait <= ceiling for wait, ceiling in zip(waits, ceilings, strict=True))
    assert (wall.polite.requests, wall.polite.retries, len(times)) == (10, 9, 10)


async def test_host_that_says_how_long_is_believed_within_reason():
    wall = Wall()
    call, _ = caller(wall, [AskLater("429", 20.0), AskLater("429", 10_000.0), "rows"])
    assert await wall.polite.ask("lane", "trades", call) == "rows"
    assert [refusal.wait_s for refusal in wall.refusals] == [20.0, 60.0]


async def test_refusals_slow_the_lane_down_and_answers_speed_it_up_again():
    wall = Wall(manners=Manners(jitter_s=0.0))
    call, times = caller(wall, [LinkLost("busy"), LinkLost("busy"), *range(40)])
    for _ in range(40):
        await wall.polite.ask("lane", "trades", call)
    pauses = [(after - before) / SECOND for before, after in pairwise(times[2:])]
    assert pauses[0] == pytest.approx(0.8)
    assert pauses == sorted(pauses, reverse=True)
    assert pauses[-1] == pytest.approx(0.2)


async def test_definite_no_is_not_repeated():
    wall = Wall()
    call, times = caller(wall, [VenueError("EQuery:Unknown asset pair")])
    with pytest.raises(VenueError, match="Unknown asset pair"):
        await wall.polite.ask("lane", "trades", call)
    assert len(times) == 1
    assert wall.slept == []


@settings(max_examples=50, deadline=None)
@given(fails=st.lists(st.integers(0, 8), min_size=1, max_size=8), seed=st.integers(0, 99))
async def test_whatever_fails_no_lane_is_ever_asked_too_soon(fails, seed):
    wall = Wall(seed)
    outcomes = [one for count in fails for one in (*[LinkLost("x")] * count, "rows")]
    call, times = caller(wall, outcomes)
    for _ in fails:
        assert await wall.polite.ask("lane", "trades", call) == "rows"
    assert all(after - before >= 0.2 * SECOND for before, after in pairwise(times))
