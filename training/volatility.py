"""What a volatility model is asked: whether prices will move much in the coming hours.

Must not know features, models or files. Asked by training.regime, chosen by training.cli. Reads the
future on purpose, so `ahead` may never reach a feature.
"""

import numpy as np
import numpy.typing as npt

from core.clock import HOUR
from feeds.lake import BarArrays
from inference.card import Kind
from training.provenance import Recipe
from training.regime import Around, Question

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

BACK = (1, 4, 28)
"""Horizons behind a decision that the rival looks at: for six hours a quarter of a day, a day, a week
(Corsi 2009, a simple approximate long-memory model of realized volatility, section 2)."""
PER_HOUR_BPS = 1e4
PERCENTILE = 0.8
"""Of the training rows: a fifth of them is "high"."""


def realised(bars: BarArrays, ts_close: Times, horizon_ns: int) -> Around:
    """Give deviations of returns in bps an hour around decisions at `ts_close` (ns).

    NaN where the bars do not cover the whole of a span, and where nothing moved at all. A bar's return
    is log(close / open), so no move across a hole counts and none is missed inside one bar after the
    other.
    """
    squares = np.concatenate([[0.0], np.cumsum(np.log(bars.close / bars.open) ** 2)])
    steps = horizon_ns // bars.timeframe.ns
    ahead = _deviation(bars, squares, ts_close, steps)
    behind = [
        _deviation(bars, squares, ts_close - many * horizon_ns, many * steps, covered=0.95) for many in BACK
    ]
    return Around(ahead, np.column_stack(behind))


def _deviation(bars: BarArrays, squares: Floats, start: Times, steps: int, covered: float = 1.0) -> Floats:
    length = bars.timeframe.ns
    first, stop = (np.searchsorted(bars.ts_open, at) for at in (start, start + steps * length))
    count = stop - first
    variance = (squares[stop] - squares[first]) / np.maximum(count, 1) * (HOUR / length)
    known = (count >= covered * steps) & (variance > 0)
    return np.where(known, PER_HOUR_BPS * np.sqrt(np.maximum(variance, 0.0)), np.nan)


def _bound(ahead: Floats) -> float:
    """Give one number of bps for all instruments: fees are in bps, too (docs/labels.md)."""
    return float(np.quantile(ahead, PERCENTILE))


def _rule(recipe: Recipe, bound: float) -> str:
    terms = recipe.terms
    return (
        f"high: over the coming {terms.horizon_bars} bars of {terms.decision.value} the deviation of "
        f"{recipe.source.value} log returns is above {bound:.1f} bps an hour, which a fifth of the training "
        "rows exceed."
    )


VOLATILITY = Question(
    kind=Kind.REGIME,
    measure=realised,
    bound=_bound,
    rule=_rule,
    unit="bps",
    rival="logistic regression on the past volatility of three spans and its mean by hour",
)
