"""Intervals of a run's figures: the stationary bootstrap of `arch` over its daily returns.

Must not know runs or files. Called by training.significance.judge. Politis and Romano (1994), block length by
Politis and White (2004) but no shorter than five
days: positions last for days.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from arch.bootstrap import StationaryBootstrap, optimal_block_length

from inference.card import Interval
from trader.evaluation.daily import annual_sharpe
from trader.evaluation.metrics import YEAR

Floats = npt.NDArray[np.float64]

REPLICATES = 1_000
LEAST_BLOCK = 5
LEAST_DAYS = 20
"""Below this an interval would be made up, so none is given."""


class Intervals(NamedTuple):
    """95 % intervals; a drawdown is a fraction below the peak.

    Resampled days lose the order in which trouble came, so the interval of the drawdown is that of paths that
    could have been.
    """

    sharpe: Interval
    cagr: Interval
    mean_daily: Interval
    max_drawdown: Interval


def block_days(returns: Floats) -> int:
    """Give the mean block length for these returns, in days: at least five, at most a fifth of all."""
    if len(returns) < LEAST_DAYS or np.ptp(returns) == 0.0:
        return LEAST_BLOCK
    found = float(optimal_block_length(returns)["stationary"].iloc[0])
    wanted = math.ceil(found) if math.isfinite(found) else LEAST_BLOCK
    return max(LEAST_BLOCK, min(wanted, len(returns) // 5))


def intervals(returns: Floats, *, seed: int, replicates: int = REPLICATES) -> Intervals:
    """Give Sharpe ratio, growth a year, mean daily return and deepest drawdown with their intervals."""
    values = _figures(returns)
    sharpe = annual_sharpe(returns)
    if len(returns) < LEAST_DAYS or sharpe is None:
        plain = [Interval(float(value), None, None) for value in values]
        return Intervals(Interval(sharpe, None, None), plain[1], plain[2], plain[3])
    drawn = StationaryBootstrap(block_days(returns), returns, seed=seed).apply(_figures, replicates)
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
    made = [Interval(float(v), float(a), float(b)) for v, a, b in zip(values, low, high, strict=True)]
    return Intervals(*made)


def growth(returns: Floats) -> float:
    """Give the growth a year (CAGR) that daily returns amount to; -1 after ruin."""
    total = float(np.prod(1.0 + returns))
    return float(total ** (YEAR / len(returns)) - 1.0) if total > 0.0 else -1.0


def drawdown(returns: Floats) -> float:
    """Give the deepest fall below an earlier peak, as a fraction."""
    equity = np.cumprod(np.append(1.0, 1.0 + returns))
    return float(np.max(1.0 - equity / np.maximum.accumulate(equity)))


def _figures(returns: Floats) -> Floats:
    return np.array([annual_sharpe(returns) or 0.0, growth(returns), returns.mean(), drawdown(returns)])
