import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import SECOND
from venue.limits import SPARE, ConnectionBudget, EngineCounter, RestBudget, amend_cost, cancel_cost


@pytest.mark.parametrize(
    "age_s, amend, cancel",
    [
        (0, 4, 8),
        (4.9, 4, 8),
        (5, 3, 6),
        (9, 3, 6),
        (12, 2, 5),
        (15, 1, 4),
        (44, 1, 4),
        (45, 1, 2),
        (90, 1, 1),
        (299, 1, 1),
        (300, 1, 0),
    ],
)
def test_costs_fall_with_the_age_of_the_order(age_s, amend, cancel):
    assert amend_cost(age_s) == amend
    assert cancel_cost(age_s) == cancel


def test_documented_example_add_amend_cancel():
    assert 1 + amend_cost(7) + cancel_cost(36) == 8


def test_documented_example_of_fifty_adds_and_ten_seconds():
    counter = EngineCounter(125)
    for _ in range(50):
        counter.charge("BTC/USD", 1, 0)
    assert counter.level("BTC/USD", 10 * SECOND) == pytest.approx(26.6)
    assert counter.level("ETH/USD", 0) == 0


def test_entries_leave_a_quarter_for_protection():
    counter = EngineCounter(60)
    counter.charge("BTC/USD", 44, 0)
    assert counter.entry_allowed("BTC/USD", 0)
    counter.charge("BTC/USD", 1, 0)
    assert not counter.entry_allowed("BTC/USD", 0)
    assert counter.entry_allowed("ETH/USD", 0)
    assert counter.entry_allowed("BTC/USD", SECOND)


def test_unknown_tier_decays_as_the_slowest():
    assert EngineCounter(77).decay == 1.0
    assert EngineCounter(180).decay == 3.75


def test_rest_call_waits_until_it_fits():
    budget = RestBudget(maximum=5, decay=0.5)
    assert budget.wait_s(4, 0) == 0
    budget.charge(4, 0)
    assert budget.wait_s(4, 0) == pytest.approx(6.0)
    assert budget.wait_s(4, 6 * SECOND) == 0


def test_connections_are_counted_in_a_rolling_window():
    budget = ConnectionBudget(maximum=2, window_s=10)
    assert [budget.take(at * SECOND) for at in (0, 4)] == [0, 0]
    # Two links that ask at the same moment wait for two different places.
    assert [budget.take(5 * SECOND) for _ in range(3)] == [5, 9, 15]
    assert budget.take(60 * SECOND) == 0


def test_the_default_leaves_room_below_the_ban():
    budget = ConnectionBudget()
    assert sum(budget.take(second * SECOND) == 0 for second in range(600)) == 140


def test_what_trades_is_not_kept_waiting_by_what_only_watches():
    """Seven links through an outage of ten minutes: the private one may always try."""
    budget, watching = ConnectionBudget(), [0] * 6
    for second in range(0, 600, 5):
        now = second * SECOND
        for link, free_at in enumerate(watching):
            if free_at <= now:
                watching[link] = now + round(budget.take(now, spare=SPARE) * SECOND)
        if second % 30 == 0:
            assert budget.take(now) == 0
    assert min(watching) == 600 * SECOND  # these wait until the window has moved on


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0, 2])), min_size=1, max_size=60),
)
def test_no_window_ever_holds_more_attempts_than_allowed(steps):
    budget, now, made = ConnectionBudget(maximum=5, window_s=10), 0, []
    for passed, spare in steps:
        now += passed * SECOND
        made.append(now + round(budget.take(now, spare=spare) * SECOND))
    assert all(sum(at <= other < at + 10 * SECOND for other in made) <= 5 for at in made)


def test_tiers_follow_the_engine_threshold():
    budget = RestBudget()
    budget.adopt(125)
    assert (budget.maximum, budget.decay) == (20, 0.5)
    budget.adopt(7)
    assert (budget.maximum, budget.decay) == (20, 0.5)


def test_a_counter_that_the_venue_calls_full_is_full():
    budget, counter = RestBudget(), EngineCounter(60)
    budget.exceeded(0)
    assert budget.wait_s(1, 0) == pytest.approx(1 / 0.33)
    budget.exceeded(0)
    assert budget.wait_s(1, 0) == pytest.approx(1 / 0.33)
    counter.charge("BTC/USD", 80, 0)
    counter.exceeded("BTC/USD", 0)
    counter.exceeded("XRP/USD", 0)
    assert (counter.level("BTC/USD", 0), counter.level("XRP/USD", 0)) == (80, 60)
    assert not counter.entry_allowed("XRP/USD", 10 * SECOND)
    assert counter.entry_allowed("XRP/USD", 20 * SECOND)
