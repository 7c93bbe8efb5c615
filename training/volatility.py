"""How much prices moved after a decision, and before it: the label of a regime model and its rival.

Must not know features, models or files. Called by training.regime. Reads the future on purpose, so
`ahead` may never reach a feature.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.clock import HOUR
from feeds.lake import BarArrays

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

BACK = (1, 4, 28)
"""Horizons behind a decision that the rival looks at: for six hours a quarter of a day, a day, a week
(Corsi 2009, a simple approximate long-memory model of realized volatility, section 2)."""
PER_HOUR_BPS = 1e4


class Realised(NamedTuple):
    """Deviations of returns in bps an hour: of the coming horizon [n], of past ones [n, BACK].

    NaN where the bars do not cover the whole of it, and where nothing moved at all.
    """

    ahead: Floats
    behind: Floats


def realised(bars: BarArrays, ts_close: Times, horizon_ns: int) -> Realised:
    """Measure around decisions at `ts_close` (ns) by the squares of the bars' log returns.

    A bar's return is log(close / open), so no move across a hole counts and none is missed inside one
    bar after the other.
    """
    squares = np.concatenate([[0.0], np.cumsum(np.log(bars.close / bars.open) ** 2)])
    steps = horizon_ns // bars.timeframe.ns
    ahead = _deviation(bars, squares, ts_close, steps)
    behind = [
        _deviation(bars, squares, ts_close - many * horizon_ns, many * steps, covered=0.95) for many in BACK
    ]
    return Realised(ahead, np.column_stack(behind))


def _deviation(bars: BarArrays, squares: Floats, start: Times, steps: int, covered: float = 1.0) -> Floats:
    length = bars.timeframe.ns
    first, stop = (np.searchsorted(bars.ts_open, at) for at in (start, start + steps * length))
    count = stop - first
    variance = (squares[stop] - squares[first]) / np.maximum(count, 1) * (HOUR / length)
    known = (count >= covered * steps) & (variance > 0)
    return np.where(known, PER_HOUR_BPS * np.sqrt(np.maximum(variance, 0.0)), np.nan)
