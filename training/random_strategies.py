"""Strategies that know nothing, a strategy that knows a little, and the random twin of a real one.

Must not know tests or verdicts. Called by training.significance. All of it is arithmetic on closes
(training.significance.closes), every number from the generator that is handed in.
"""

import numpy as np
import numpy.typing as npt

from core.clock import DAY
from core.errors import DataError
from training.significance.closes import Closes, Trades

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TRADES_A_DAY = (0.25, 4.0)
"""Over all instruments, drawn evenly in the logarithm: from a patient trader to a nervous one."""
HOLD_HOURS = (3.0, 72.0)
"""Mean holding time, drawn likewise."""


def noise(closes: Closes, rng: np.random.Generator) -> Trades:
    """Draw a strategy that enters at random, holds at random and takes a side at random.

    How often, how long and what share of longs is drawn for each strategy, so a set of them has patient and
    nervous, long and short ones: a rising market lends some of them a profit that is no skill.
    """
    a_day = float(np.exp(rng.uniform(*np.log(TRADES_A_DAY))))
    hours = float(np.exp(rng.uniform(*np.log(HOLD_HOURS))))
    return _sided(_drawn(closes, rng, a_day, hours), rng, float(rng.uniform()))


def planted(
    closes: Closes, rng: np.random.Generator, *, accuracy: float, a_day: float = 4.0, hold_hours: float = 24.0
) -> Trades:
    """Draw a strategy that enters at random and is right about what follows with a chance of `accuracy`."""
    made = _drawn(closes, rng, a_day, hold_hours)
    before, after = closes.price[made.entry, made.instrument], closes.price[made.exit, made.instrument]
    right = np.where(after >= before, 1.0, -1.0)
    return made._replace(side=np.where(rng.uniform(size=len(right)) < accuracy, right, -right))


def random_twin(trades: Trades, groups: Ints, closes: Closes, rng: np.random.Generator, draws: int) -> Trades:
    """Put the same trades at random moments, `draws` times over, at 1 / `draws` of their weight.

    Number, holding times, sizes, costs and share of longs of each group stay; moments and the order of sides
    are drawn anew, without overlap inside a group (`groups` [n]: one for each position that can be held
    beside others, such as account x instrument). The daily returns of what comes back are those of the MEAN
    of all draws, which is what entering at random is worth on that day. The median draw would add its own
    luck to the comparison and hide an edge as large as that luck.
    """
    rows = len(closes.price) - 1
    parts = []
    for group in np.unique(groups):
        at = np.flatnonzero(groups == group)
        lengths = np.maximum(trades.exit[at] - trades.entry[at], 1)
        free = rows - int(lengths.sum())
        if free < 0:
            raise DataError(f"random twin: expected trades one after the other; found {-free} rows too many")
        order = rng.permuted(np.tile(np.arange(len(at)), (draws, 1)), axis=1)
        held = lengths[order]
        gaps = np.sort(rng.integers(0, free + 1, size=held.shape), axis=1)
        entry = gaps + np.cumsum(held, axis=1) - held
        side = rng.permuted(np.tile(trades.side[at], (draws, 1)), axis=1)
        of = at[order].ravel()
        parts.append(
            Trades(
                trades.instrument[of],
                entry.ravel(),
                (entry + held).ravel(),
                side.ravel(),
                trades.weight[of] / draws,
                trades.cost[of],
            )
        )
    return _joined(parts)


def costing(trades: Trades, fee: float) -> Trades:
    """Give the trades with a fee a side, as a fraction of notional."""
    return trades._replace(cost=np.full(len(trades.entry), 2.0 * fee))


def _drawn(closes: Closes, rng: np.random.Generator, a_day: float, hours: float) -> Trades:
    """Draw moments: in each instrument one position after the other, holds and pauses of geometric length."""
    rows, count = closes.price.shape
    per_day = DAY / closes.step
    hold = max(hours / 24.0 * per_day, 1.0)
    # The rate asked for, unless positions already stand back to back.
    pause = max(per_day * count / a_day - hold, 1.0)
    parts = []
    for instrument in range(count):
        size = int(2.0 * rows / (hold + pause)) + 20
        held, paused = rng.geometric(1.0 / hold, size), rng.geometric(1.0 / pause, size)
        leave = np.cumsum(held + paused)
        entry = leave - held
        kept = entry < rows - 1
        entry, leave = entry[kept], np.minimum(leave[kept], rows - 1)
        ones = np.ones(len(entry))
        parts.append(
            Trades(np.full(len(entry), instrument), entry, leave, ones, ones / count, np.zeros(len(entry)))
        )
    return _joined(parts)


def _sided(trades: Trades, rng: np.random.Generator, longs: float) -> Trades:
    return trades._replace(side=np.where(rng.uniform(size=len(trades.entry)) < longs, 1.0, -1.0))


def _joined(parts: list[Trades]) -> Trades:
    return Trades(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
