"""Which kind of market each day was, by a rule that is written down and knows the days before only.

Must not know trades. Called by trader.evaluation.assessment. Pure. The rule is RULE, in words that the
report prints: an index holds all instruments of the run in equal parts, set right every day. A day is
judged from what the index did up to the end of the day before, so that a strategy could have known.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

TREND_DAYS = 30
TREND_SIGMAS = 0.75
SPREAD_DAYS = 90
CALM_DAYS = 20
RANK_DAYS = 365
RANK = 0.8
FEWEST = 30
"""Days of a window that must be known; with fewer a day has no regime."""

BULL, BEAR, SIDEWAYS, HIGH_VOLATILITY, UNKNOWN = "bull", "bear", "sideways", "high volatility", "unknown"
REGIMES = (BULL, BEAR, SIDEWAYS, HIGH_VOLATILITY, UNKNOWN)

RULE = (
    f"High volatility: the index's daily volatility over {CALM_DAYS} days lies above the {RANK:.0%} mark of "
    f"its own values in the {RANK_DAYS} days before. Otherwise bull or bear: its return over {TREND_DAYS} "
    f"days lies more than {TREND_SIGMAS} standard deviations above or below zero, the deviation taken from "
    f"the last {SPREAD_DAYS} days' volatility. Otherwise sideways. The index holds the run's instruments in "
    "equal parts, set right daily; each day is judged by the days before it alone, and is unknown where "
    f"fewer than {FEWEST} of them are known."
)

Floats = NDArray[np.float64]


def index_returns(closes: Mapping[str, Floats]) -> Floats:
    """Give the equal-weighted index's returns [D]; NaN on days on which no instrument has two closes."""
    prices = np.array([closes[name] for name in sorted(closes)])
    moves = np.full(prices.shape, np.nan)
    moves[:, 1:] = prices[:, 1:] / prices[:, :-1] - 1.0
    known = ~np.isnan(moves)
    count = known.sum(axis=0)
    return np.divide(
        np.where(known, moves, 0.0).sum(axis=0), count, out=np.full(len(count), np.nan), where=count > 0
    )


def regimes(returns: Floats) -> list[str]:
    """Name the regime of each day [D]; day d is judged from returns[:d]."""
    calm = _trailing_deviation(returns, CALM_DAYS, CALM_DAYS)
    spread = _trailing_deviation(returns, SPREAD_DAYS, FEWEST)
    names = []
    for day in range(len(returns)):
        past = calm[max(0, day - RANK_DAYS) : day]
        past = past[~np.isnan(past)]
        window = returns[max(0, day - TREND_DAYS) : day]
        if len(past) < FEWEST or len(window) < TREND_DAYS or np.isnan(window).any():
            names.append(UNKNOWN)
            continue
        trend = float(np.prod(1.0 + window)) - 1.0
        limit = TREND_SIGMAS * float(spread[day - 1]) * np.sqrt(TREND_DAYS)
        if calm[day - 1] > np.quantile(past, RANK):
            names.append(HIGH_VOLATILITY)
        elif abs(trend) > limit:
            names.append(BULL if trend > 0.0 else BEAR)
        else:
            names.append(SIDEWAYS)
    return names


def _trailing_deviation(returns: Floats, days: int, fewest: int) -> Floats:
    """Give at each day the deviation of the newest `days` returns, its own included; NaN without enough."""
    out = np.full(len(returns), np.nan)
    for day in range(len(returns)):
        window = returns[max(0, day + 1 - days) : day + 1]
        window = window[~np.isnan(window)]
        if len(window) >= fewest:
            out[day] = np.std(window, ddof=1)
    return out
