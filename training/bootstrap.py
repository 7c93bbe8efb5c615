"""Intervals for figures whose rows overlap in time: a stationary bootstrap over whole days.

Must not know what is being measured. Called by training.evaluate. Politis and Romano (1994): blocks
of geometric length, wrapped around. Days, because all instruments of one day move together and a
label lives for hours; blocks of days, because volatility lives for days.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from inference.card import Interval

Floats = npt.NDArray[np.float64]

REPLICATES = 1000
MEAN_BLOCK_DAYS = 5.0
LEAST_DAYS = 10
"""Below this an interval would be made up, so none is given."""
NAME = f"stationary, {REPLICATES} replicates over days, mean block {MEAN_BLOCK_DAYS:g} days, 95 %"


def day_weights(days: int, seed: int) -> Floats:
    """Give how often each replicate drew each day: [REPLICATES, days]."""
    rng = np.random.default_rng(seed)
    picks = np.empty((REPLICATES, days), np.int64)
    picks[:, 0] = rng.integers(days, size=REPLICATES)
    for position in range(1, days):
        fresh = rng.random(REPLICATES) < 1.0 / MEAN_BLOCK_DAYS
        jump = rng.integers(days, size=REPLICATES)
        picks[:, position] = np.where(fresh, jump, (picks[:, position - 1] + 1) % days)
    weights = np.zeros((REPLICATES, days))
    np.add.at(weights, (np.arange(REPLICATES)[:, None], picks), 1.0)
    return weights


def interval(sums: Floats, statistic: Callable[[Floats], Floats], weights: Floats) -> Interval:
    """Give a statistic of daily `sums` [days, k] with its interval.

    `statistic` takes [n, k] and gives [n], NaN where it is not defined (no trades, one class).
    """
    value = float(statistic(sums.sum(axis=0, keepdims=True))[0])
    if not np.isfinite(value):
        return Interval(None, None, None)
    drawn = statistic(weights @ sums)
    drawn = drawn[np.isfinite(drawn)]
    if len(sums) < LEAST_DAYS or len(drawn) < REPLICATES // 2:
        return Interval(value, None, None)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Interval(value, float(low), float(high))


def ratio(sums: Floats) -> Floats:
    """Give column 0 over column 1, the mean of what column 1 counts."""
    out = np.full(len(sums), np.nan)
    np.divide(sums[:, 0], sums[:, 1], out=out, where=sums[:, 1] > 0)
    return out


def binned_auc(sums: Floats) -> Floats:
    """Give the chance that a positive row is ranked above a negative one, ties counted half.

    `sums` [n, 2 * bins]: negatives then positives per score bin, lowest score first.
    """
    bins = sums.shape[1] // 2
    negative, positive = sums[:, :bins], sums[:, bins:]
    below = np.cumsum(negative, axis=1) - 0.5 * negative
    pairs = negative.sum(axis=1) * positive.sum(axis=1)
    out = np.full(len(sums), np.nan)
    np.divide((positive * below).sum(axis=1), pairs, out=out, where=pairs > 0)
    return out
