"""A planted edge whose best possible score is known, and the oracle that reaches it.

Must not know how markets are drawn. Called by training.guard.market (which plants it) and
training.guard.check (which looks whether a pipeline finds it).
"""

import math
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from core.market import Timeframe
from feeds.lake import BarArrays, aggregate

Floats = npt.NDArray[np.float64]


class Optimum(NamedTuple):
    """The best that any predictor of the coming bar's sign can do; knowing nothing: 0.5, 0.5, 0."""

    accuracy: float
    auc: float
    log_loss_gain: float
    """In nats per bar, against even odds."""


class Edge(msgspec.Struct, frozen=True):
    """The coming bar drifts towards the side of its EMA on which the last close lies.

    Let d be a bar of `decision`, x its log close and e the EMA of log closes with weight
    2 / (span + 1), seeded by the first close, d included. The state is s = sign(x - e): causal, and
    made of closed bars only. With V the variance of bar d + 1 (whatever its minutes are), its log
    return is s * strength * sqrt(V) - V / 2 + sqrt(V) * Z, with Z normal and independent of all before.
    """

    decision: Timeframe = Timeframe.M15
    strength: float = 0.1
    span: int = 21

    @property
    def weight(self) -> float:
        """Weight of the newest close in the EMA."""
        return 2.0 / (self.span + 1)

    def optimum(self) -> Optimum:
        """Give the Bayes optimum for the sign of the coming bar.

        With strength > 0, P(sign = s) = P(Z > -strength) = Phi(strength) =: p, but for the term
        sqrt(V) / 2 < 0.005, whose first order cancels over s = +1 and -1. The state is all that can be
        known of the sign, so the rule "say s" is best and p its accuracy; below 0 the rule is "say -s".
        Ranking by s alone has pairs right p^2 and ties 2 p (1 - p) of the time: AUC = p^2 + p (1 - p)
        = p. The gain over even odds is ln 2 + p ln p + (1 - p) ln(1 - p).
        """
        p = 0.5 * math.erfc(-abs(self.strength) / math.sqrt(2.0))
        return Optimum(p, p, math.log(2.0) + p * math.log(p) + (1.0 - p) * math.log1p(-p))

    def state(self, bars: BarArrays) -> tuple[npt.NDArray[np.int64], Floats]:
        """Give ts_close [D] of the decision bars and x - e [D], whose sign is the oracle's answer."""
        decided = aggregate(bars, self.decision)
        x = np.log(decided.close)
        average = np.empty(len(x))
        value = x[0]
        for t, close in enumerate(x.tolist()):
            value += self.weight * (close - value)
            average[t] = value
        return decided.ts_close, x - average
