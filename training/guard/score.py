"""Shares of hits with intervals that know how rows overlap in time.

Must not know what was predicted. Called by training.guard.check and by tests.
"""

import numpy as np
import numpy.typing as npt

from core.clock import DAY
from inference.card import Interval
from training import bootstrap
from training.evaluate import mean

Floats = npt.NDArray[np.float64]
SEED = 7


def share(values: Floats, ts: npt.NDArray[np.int64]) -> Interval:
    """Give the mean of `values` [n] made at `ts` (ns) with its 95 % interval over whole days."""
    days = ts // DAY - ts.min() // DAY
    return mean(values, days, bootstrap.day_weights(int(days.max()) + 1, SEED))


def holds(interval: Interval, value: float, widths: float = 1.7) -> bool:
    """Tell whether `value` lies in the interval stretched `widths` times about its figure.

    1.7 half-widths of a 95 % interval are 3.3 deviations: a true value lies outside once in 1,000.
    """
    if interval.value is None or interval.low is None or interval.high is None:
        return False
    below, above = interval.value - interval.low, interval.high - interval.value
    return interval.value - widths * below <= value <= interval.value + widths * above
