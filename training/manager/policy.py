"""What acting on a manager is worth: positions left early where it says so, beside the same left alone.

Must not know features or how chances were made. Called by training.manager.recipe and by tests. Both ways
of treating a position are walked on the same minutes (training.manager.walk) and paid for alike: the fee of
leaving is owed either way, so an early exit costs only what it gives up, a target that rests as a maker.
"""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import DAY
from feeds.lake import BarArrays
from inference.card import Interval
from training import bootstrap
from training.evaluate import mean
from training.manager.entries import Trades
from training.manager.walk import LEFT, NEVER, TARGET, Floats, Ints, Rule, walk
from training.thresholds import SPREAD_BPS
from training.trades import SCHEDULES, FeeSchedule
from venue import exchange_fees

SHARES = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
"""Candidates of the threshold: the chance of a reversal that so many of the out-of-fold looks reach."""
FEWEST_ACTED = 200
"""A threshold that leaves fewer positions early out of fold is not looked at; an order may say otherwise."""
COINS = 16
"""Draws of the policy by chance, of which the mean counts: one draw's own luck would be measured with it."""
RULES = (
    ("break-even stop at +1 R", Rule(even=1.0)),
    ("trailing stop of 1 R", Rule(trail=1.0)),
    ("trailing stop of 2 R", Rule(trail=2.0)),
)
"""What a desk does without a model; R is the distance to the first stop."""


class Chosen(msgspec.Struct, frozen=True):
    """The least chance of a reversal on which positions are left, and what it rests on, out of fold.

    `threshold` is None where no candidate left enough positions early. `gain_bps` is the mean over
    all positions before fees; `pays` tells whether the lower end of its interval is above 0, which the best
    of several is now and then by luck: the test span is there to tell.
    """

    threshold: float | None
    acted: int
    gain_bps: Interval

    @property
    def pays(self) -> bool:
        """Tell whether acting was better than the stops beyond chance, out of fold."""
        return self.gain_bps.low is not None and self.gain_bps.low > 0.0


class Gain(msgspec.Struct, frozen=True):
    """One way of acting under one fee schedule, per position of all: acted on or not, less left alone."""

    policy: str
    schedule: str
    positions: int
    acted: int
    bps: Interval
    r: Interval


def left_early(trades: Trades, trade: Ints, minute: Ints, wanted: npt.NDArray[np.bool_]) -> Ints:
    """Give the minute at whose open each position is left: after the first look that wants it; or NEVER.

    `trade`, `minute`, `wanted` [looks] lie position by position in time order.
    """
    leave = np.full(len(trades), NEVER, np.int64)
    asked = np.flatnonzero(wanted)[::-1]  # the first one is written last
    leave[trade[asked]] = minute[asked] + 1
    return leave


def replayed(
    trades: Trades, series: Sequence[BarArrays], leave: Ints | None = None, rule: Rule | None = None
) -> Trades:
    """Give the same positions as they end when they are left at `leave` or their stop moves by `rule`."""
    minute, price, how = trades.minute.copy(), trades.price.copy(), trades.how.copy()
    for number, bars in enumerate(series):
        rows = np.flatnonzero(trades.instrument == number)
        if len(rows):
            ended = walk(bars, trades.plans(rows), None if leave is None else leave[rows], rule)
            minute[rows], price[rows], how[rows] = ended
    return replace(trades, minute=minute, price=price, how=how)


def cost_bps(trades: Trades, fees: FeeSchedule) -> Floats:
    """Give each round trip's cost: fees, half the spread for each side that takes, and margin.

    A target rests at the venue and pays the maker's rate; every other exit takes, as the entry does.
    """
    maker = float(exchange_fees.SCHEDULES[fees.name].fees.maker * 10_000)
    takes = fees.taker_bps + (0.0 if fees.name == "gross" else SPREAD_BPS / 2)
    leaving = np.where(trades.how == TARGET, maker, takes)
    margin = fees.cost_bps(trades.held) - 2 * fees.taker_bps
    return takes + leaving + margin


def choose(
    trades: Trades,
    series: Sequence[BarArrays],
    looks: tuple[Ints, Ints],
    chances: Floats,
    *,
    seed: int,
    fewest: int = FEWEST_ACTED,
) -> Chosen:
    """Choose on positions out of fold: `looks` are (position, minute), `chances` of a reversal, NaN = none.

    The candidate with the best lower bound of its mean gain before fees is taken, not that with the best
    mean: of several thresholds the best mean is luck. One that leaves fewer than `fewest` positions early is
    not looked at. The positions are those that have looks.
    """
    trade, minute = looks
    known = np.isfinite(chances)
    seen = np.unique(trade[known])
    days, weights = _days(trades.only(seen), seed)
    nothing = Chosen(None, 0, Interval(None, None, None))
    best = nothing
    for share in SHARES:
        threshold = float(np.quantile(chances[known], 1.0 - share))
        leave = left_early(trades, trade, minute, known & (chances >= threshold))
        acted = replayed(trades, series, leave)
        count = int(np.sum(acted.how[seen] == LEFT))
        if count < fewest:
            continue
        gain = mean((acted.gross_bps - trades.gross_bps)[seen], days, weights)
        if best is nothing or _low(gain) > _low(best.gain_bps):
            best = Chosen(threshold, count, gain)
    return best


def gains(
    name: str, alone: Trades, ways: Sequence[Trades], seed: int, *, less: Sequence[Trades] = ()
) -> list[Gain]:
    """Give one way of acting under every fee schedule, per position, with intervals over whole days.

    `ways` are the positions as acted on, several where chance draws: their mean counts. What the mean of
    `less` gains, instead of leaving alone, is taken off.
    """
    days, weights = _days(alone, seed)
    touched = np.mean([np.sum((one.minute != alone.minute) | (one.price != alone.price)) for one in ways])
    r = _mean([one.r for one in ways]) - _mean([one.r for one in less or (alone,)])
    found = []
    for fees in SCHEDULES:
        kept, given = (
            _mean([one.gross_bps - cost_bps(one, fees) for one in each]) for each in (ways, less or (alone,))
        )
        net = mean(kept - given, days, weights)
        found.append(Gain(name, fees.name, len(alone), round(touched), net, mean(r, days, weights)))
    return found


def results(name: str, trades: Trades, seed: int) -> list[Gain]:
    """Give what positions made themselves, in the same form: bps after costs, R before them."""
    days, weights = _days(trades, seed)
    r = mean(trades.r, days, weights)
    return [
        Gain(
            name, fees.name, len(trades), 0, mean(trades.gross_bps - cost_bps(trades, fees), days, weights), r
        )
        for fees in SCHEDULES
    ]


def by_chance(trades: Trades, trade: Ints, minute: Ints, acted: int, seed: int) -> Ints:
    """Give `leave` of a coin that leaves as many positions early as a policy did, at looks drawn evenly."""
    rng = np.random.default_rng(seed)
    positions = np.unique(trade)
    drawn = rng.permutation(positions)[: min(acted, len(positions))]
    order = rng.permutation(len(trade))
    picked = order[np.isin(trade[order], drawn)]
    leave = np.full(len(trades), NEVER, np.int64)
    leave[trade[picked]] = minute[picked] + 1  # the last one written is one drawn evenly
    return leave


def _days(trades: Trades, seed: int) -> tuple[Ints, Floats]:
    days = trades.ts // DAY - trades.ts.min() // DAY
    return days, bootstrap.day_weights(int(days.max()) + 1, seed)


def _mean(values: Sequence[Floats]) -> Floats:
    found: Floats = np.mean(values, axis=0)
    return found


def _low(gain: Interval) -> float:
    return -np.inf if gain.low is None else gain.low
