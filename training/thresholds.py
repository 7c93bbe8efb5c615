"""How sure a model must be before its fold acts: the confidence that pays best on validation rows.

Must not know models, files or the engine. Called by training.walkforward. The choice is by mean result
after costs with the lower bound of its interval, not by the mean: of many thresholds the best mean is luck.
"""

from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import DAY
from training import bootstrap
from training.evaluate import mean
from training.labels import DOWN, UP
from training.trades import FeeSchedule, Outcomes, take, threshold_for

FEWEST_TRADES = 200
"""A threshold that leaves fewer trades on the validation rows is not looked at."""
SHARES = (0.1, 0.05, 0.02, 0.01, 0.005)
"""Candidates: the confidence that so many of the rows reach. Whoever acts on more is always in the market."""
POOLED_SHARE = 0.05
"""What a choice is pulled towards: the confidence that a twentieth of all pairs' rows reach, which is a
turnover and was not tuned on any result."""
SPREAD_BPS = 2.0
"""Of notional, for both sides of a round trip: the labels fill at one price, the market has two."""

Floats = npt.NDArray[np.float64]


class Tuned(msgspec.Struct, frozen=True):
    """A fold's threshold under one fee schedule and what it rests on.

    `threshold` = w x `best` + (1 - w) x `pooled`, w = n / (n + 200) of the n validation `trades` at `best`.
    `utility_bps` is the mean result per trade at `best` after fees and spread, `low_bps` the lower end
    of its 95 % interval. Without a candidate that leaves 200 trades `best` and the figures are None.
    """

    threshold: float
    pooled: float
    best: float | None = None
    trades: int = 0
    utility_bps: float | None = None
    low_bps: float | None = None

    @property
    def pays(self) -> bool:
        """Tell whether validation says that acting earns more than its costs."""
        return self.low_bps is not None and self.low_bps > 0.0


def confidence(p: Floats) -> Floats:
    """Give the chance [n] of the likelier side of p [n, 3], negative for down: what a risk policy reads."""
    side = np.sign(p[:, UP] - p[:, DOWN])
    chosen: Floats = side * np.maximum(p[:, UP], p[:, DOWN])
    return chosen


def edge(p: Floats) -> Floats:
    """Give p_up - p_down [n] of p [n, 3]: what a card's threshold is about."""
    found: Floats = p[:, UP] - p[:, DOWN]
    return found


def tune(
    outcomes: Outcomes,
    p: Floats,
    fees: FeeSchedule,
    *,
    seed: int,
    scored: Callable[[Floats], Floats] = confidence,
) -> Tuned:
    """Choose on validation rows with probabilities p [n, 3] of a model that has not seen them.

    The threshold is one of what `scored` makes of p.
    """
    score = scored(p)
    pooled = threshold_for(score, POOLED_SHARE)
    first = int(outcomes.ts.min()) // DAY
    weights = bootstrap.day_weights(int(outcomes.ts.max()) // DAY - first + 1, seed)
    best: Tuned | None = None
    for share in SHARES:
        threshold = threshold_for(score, share)
        trades = take(outcomes, score, threshold)
        if len(trades.day) < FEWEST_TRADES:
            continue
        net = trades.gross_bps - fees.cost_bps(trades.held) - SPREAD_BPS
        found = mean(net, trades.day - first, weights)
        low = -np.inf if found.low is None else found.low
        if best is None or best.low_bps is None or low > best.low_bps:
            best = Tuned(0.0, pooled, threshold, len(trades.day), found.value, low)
    if best is None or best.best is None or not np.isfinite(best.low_bps or 0.0):
        return Tuned(pooled, pooled)
    weight = best.trades / (best.trades + FEWEST_TRADES)
    return msgspec.structs.replace(best, threshold=weight * best.best + (1.0 - weight) * pooled)
