"""Which stacker ships: the best by log-loss out of fold, or a simpler one that cannot be told from it.

Must not know stackers. Called by training.stack.meta. One standard error of the paired difference, from a
bootstrap over days (training.bootstrap), is what cannot be told apart (Breiman et al., Classification and
Regression Trees, 1984, section 3.4.3, with the error of the difference in place of the mean's).
"""

from collections.abc import Mapping

import numpy as np

from core.clock import DAY
from training import bootstrap
from training.panel.panel import Floats, Ints


def simplest(losses: Mapping[str, Floats], ts: Ints, seed: int) -> str:
    """Give the first of the names, simplest first, whose mean loss is within one standard error of the best.

    `losses` [n] are of the same rows decided at `ts`.
    """
    best = min(losses, key=lambda name: float(losses[name].mean()))
    day = ts // DAY - int(ts.min()) // DAY
    days = int(day.max()) + 1
    weights = bootstrap.day_weights(days, seed)
    count = np.bincount(day, minlength=days)
    for name, loss in losses.items():
        worse = loss - losses[best]
        drawn = bootstrap.ratio(weights @ np.stack([np.bincount(day, worse, days), count], axis=1))
        if float(worse.mean()) <= float(np.nanstd(drawn)):
            return name
    return best
