"""What acting is worth: the same walk, the same costs, and a choice that rests on the past."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import HOUR, MINUTE
from tests.training.manager.made import START, answers, minutes, wandering
from training.guard.market import null_market
from training.guard.score import holds
from training.manager import policy
from training.manager.entries import TradeTerms, simulate
from training.manager.rows import looks
from training.manager.walk import LEFT, NEVER, TARGET, Rule
from training.trades import SCHEDULES

FAR = START + 10**18
DAYS = 30


def held(count=DAYS * 24, seed=1, hours=1):
    """Give positions of an hour each, of a walk that mean nothing."""
    bars = wandering(DAYS * 1440, seed)
    ts = START + np.arange(count, dtype=np.int64) * HOUR
    side = np.random.default_rng(seed).choice([-1, 1], count)
    kept = answers([bars], ts, side, test_start=FAR, atr=0.4)
    return simulate(kept, [bars], TradeTerms(max_hold_s=hours * 3300, cooldown_s=0), 0.1), [bars]


@pytest.fixture(scope="module")
def positions():
    return held()


def test_first_look_that_wants_out_leaves_at_the_next_open():
    bars = minutes([(100 + k, 100.5 + k, 99.5 + k, 100.2 + k) for k in range(30)])
    trades = simulate(
        answers([bars], [START], [1], test_start=FAR, atr=20.0), [bars], TradeTerms(max_hold_s=1200), 0.1
    )
    of, minute = looks(trades.first, trades.minute, 5)
    assert minute.tolist() == [4, 9, 14, 19]
    leave = policy.left_early(trades, of, minute, np.array([False, True, False, True]))
    assert leave.tolist() == [10]
    acted = policy.replayed(trades, [bars], leave)
    assert (acted.minute[0], acted.price[0], acted.how[0]) == (10, 110.0, LEFT)
    assert (trades.minute[0], trades.price[0]) == (20, 120.0)
    assert acted.r[0] - trades.r[0] == pytest.approx(-10 / 40)
    assert policy.left_early(trades, of, minute, np.zeros(4, bool)).tolist() == [NEVER]


@given(seed=st.integers(0, 50))
def test_whoever_never_acts_changes_nothing(positions, seed):
    trades, series = positions
    some = trades.only(np.random.default_rng(seed).choice(len(trades), 40, replace=False))
    for again in (
        policy.replayed(some, series),
        policy.replayed(some, series, np.full(len(some), NEVER)),
        policy.replayed(some, series, rule=Rule(trail=1000.0)),
    ):
        for name in ("minute", "price", "how"):
            assert np.array_equal(getattr(again, name), getattr(some, name))


def test_costs_by_hand():
    trades, _ = held(hours=9, count=60)
    kraken = next(one for one in SCHEDULES if one.name == "kraken")
    gross = next(one for one in SCHEDULES if one.name == "gross")
    found = policy.cost_bps(trades, kraken)
    for cost, how, minutes_held in zip(found, trades.how, trades.held // MINUTE, strict=True):
        margin = 2.5 * (1 + int(minutes_held) // 240)
        # Entry 40 and half a spread of 2; a target rests for 25, everything else takes again.
        assert cost == pytest.approx(41 + (25 if how == TARGET else 41) + margin)
    assert {*trades.how} > {TARGET}
    assert policy.cost_bps(trades, gross).tolist() == [0.0] * len(trades)


def test_gain_is_the_difference_to_the_same_positions_left_alone(positions):
    trades, series = positions
    of, minute = looks(trades.first, trades.minute, 5)
    leave = policy.left_early(trades, of, minute, np.arange(len(of)) % 7 == 0)
    acted = policy.replayed(trades, series, leave)
    by_name = {one.schedule: one for one in policy.gains("some", trades, [acted], seed=1)}
    assert by_name["gross"].bps.value == pytest.approx(np.mean(acted.gross_bps - trades.gross_bps))
    assert by_name["gross"].r.value == pytest.approx(np.mean(acted.r - trades.r))
    assert by_name["gross"].acted == np.sum(acted.how == LEFT)
    kraken = next(one for one in SCHEDULES if one.name == "kraken")
    paid = policy.cost_bps(acted, kraken) - policy.cost_bps(trades, kraken)
    expected = np.mean(acted.gross_bps - trades.gross_bps - paid)
    assert by_name["kraken"].bps.value == pytest.approx(expected)
    assert by_name["kraken"].bps.low < expected < by_name["kraken"].bps.high


def test_acting_on_noise_of_a_martingale_is_worth_nothing_beyond_chance():
    """Wicks of `wandering` are no part of a path, so stops there cost; a martingale's extremes are."""
    series = null_market(1, DAYS, seed=2)
    ts = series[0].ts_open[::60]
    side = np.random.default_rng(2).choice([-1, 1], len(ts))
    kept = answers(series, ts, side, test_start=FAR, atr=0.25)
    trades = simulate(kept, series, TradeTerms(max_hold_s=3300, cooldown_s=0), 0.1)
    of, minute = looks(trades.first, trades.minute, 5)
    noise = np.random.default_rng(5).random(len(of))
    half = len(trades) // 2
    chosen = policy.choose(trades, series, (of, minute), np.where(of < half, noise, np.nan), seed=1)
    assert chosen.threshold is not None
    assert chosen.acted >= policy.FEWEST_ACTED
    leave = policy.left_early(trades, of, minute, noise >= chosen.threshold)
    later = trades.only(np.arange(half, len(trades)))
    acted = policy.replayed(later, series, leave[half:])
    ways = [
        ("noise", acted),
        *((name, policy.replayed(later, series, rule=rule)) for name, rule in policy.RULES[:2]),
    ]
    for name, managed in ways:
        gross = policy.gains(name, later, [managed], seed=1)[0]
        assert gross.acted > 10, name
        assert holds(gross.bps, 0.0), name


def test_oracle_of_what_is_left_pays_and_only_its_own_positions_choose(positions):
    trades, series = positions
    of, minute = looks(trades.first, trades.minute, 5)
    rest = trades.side[of] * (trades.price[of] - series[0].open[minute + 1])
    knows = 1.0 / (1.0 + np.exp(5 * rest))
    chosen = policy.choose(trades, series, (of, minute), knows, seed=1)
    assert chosen.pays
    half = np.where(of < len(trades) // 2, knows, np.nan)
    early = policy.choose(trades, series, (of, minute), half, seed=1)
    blind = np.where(of < len(trades) // 2, knows, 1.0)
    blind[of >= len(trades) // 2] = np.nan
    assert policy.choose(trades, series, (of, minute), blind, seed=1) == early
    assert early.acted <= len(trades) // 2


def test_too_few_positions_to_choose_on_leave_no_threshold(positions):
    trades, series = positions
    few = trades.only(np.arange(150))
    of, minute = looks(few.first, few.minute, 5)
    chosen = policy.choose(few, series, (of, minute), np.random.default_rng(1).random(len(of)), seed=1)
    assert (chosen.threshold, chosen.acted, chosen.pays) == (None, 0, False)


def test_chance_leaves_as_many_positions_at_looks_of_their_own(positions):
    trades, _ = positions
    of, minute = looks(trades.first, trades.minute, 5)
    leave = policy.by_chance(trades, of, minute, 100, seed=2)
    left = np.flatnonzero(leave != NEVER)
    assert len(left) == 100
    pairs = set(zip(of.tolist(), (minute + 1).tolist(), strict=True))
    assert all((position, int(leave[position])) in pairs for position in left.tolist())
    assert np.array_equal(leave, policy.by_chance(trades, of, minute, 100, seed=2))
    assert not np.array_equal(leave, policy.by_chance(trades, of, minute, 100, seed=3))


def test_gain_beyond_chance_is_the_difference_to_the_mean_of_the_draws(positions):
    trades, series = positions
    of, minute = looks(trades.first, trades.minute, 5)
    coins = [
        policy.replayed(trades, series, policy.by_chance(trades, of, minute, 200, seed=seed))
        for seed in (1, 2)
    ]
    acted = policy.replayed(trades, series, rule=Rule(even=1.0))
    alone, drawn, beyond = (
        policy.gains("x", trades, ways, 1, less=less)[4]
        for ways, less in (([acted], ()), (coins, ()), ([acted], coins))
    )
    assert beyond.bps.value == pytest.approx(alone.bps.value - drawn.bps.value)
    assert beyond.r.value == pytest.approx(alone.r.value - drawn.r.value)
    assert 150 < drawn.acted < 200  # one drawn at its last look leaves where time runs out anyway
