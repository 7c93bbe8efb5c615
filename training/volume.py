"""What a volume model is asked: whether more will be traded in the coming hours than usual at this time.

Must not know features, models or files. Asked by training.regime, chosen by training.cli. Reads the
future on purpose, so `ahead` may never reach a feature. What is usual comes from each decision's own
past, so nothing about the label is fitted, and no row knows another row's future.
"""

import numpy as np
import numpy.typing as npt

from core.clock import DAY
from core.errors import UsageError
from feeds.lake import BarArrays
from inference.card import Kind
from training.provenance import Recipe
from training.ranks import row_quantile
from training.regime import Around, Question

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

DAYS = 30
"""Days before a decision whose same hours say what is usual."""
FEWEST = 20
"""Of them that must be known, or nothing is."""
PERCENTILE = 0.8
BACK = (1, 4, 24)
"""Horizons behind a decision that the rival looks at, each beside its own usual volume."""


def traded(bars: BarArrays, ts_close: Times, horizon_ns: int) -> Around:
    """Give volume over its usual level around decisions at `ts_close` (ns): 1 = at the 80th percentile.

    The usual level of [t, t + horizon) is the 80th percentile of the same hours on the 30 days before;
    the last of them ends at t for a horizon of a day, so a longer one raises UsageError. NaN where bars
    are missing inside a span or nothing was traded.
    """
    coming, sums = ahead(bars, ts_close, horizon_ns), _sums(bars)
    behind = [_relative(bars, sums, ts_close - many * horizon_ns, many * horizon_ns) for many in BACK]
    return Around(coming, np.column_stack(behind))


def ahead(bars: BarArrays, ts_close: Times, horizon_ns: int) -> Floats:
    """Give what `traded` says of the future alone."""
    if horizon_ns > DAY:
        raise UsageError(
            f"horizon: expected a day at most, so that what is usual is over; found {horizon_ns / DAY:g}"
        )
    return _relative(bars, _sums(bars), ts_close, horizon_ns)


def _sums(bars: BarArrays) -> Floats:
    return np.concatenate([[0.0], np.cumsum(bars.volume)])


def _relative(bars: BarArrays, sums: Floats, start: Times, length_ns: int) -> Floats:
    past = np.column_stack([_volume(bars, sums, start - day * DAY, length_ns) for day in range(1, DAYS + 1)])
    found = _volume(bars, sums, start, length_ns) / row_quantile(past, PERCENTILE, FEWEST)
    return np.where(found > 0, found, np.nan)


def _volume(bars: BarArrays, sums: Floats, start: Times, length_ns: int) -> Floats:
    """Give what was traded in [start, start + length), NaN where a bar of it is missing."""
    first, stop = (np.searchsorted(bars.ts_open, at) for at in (start, start + length_ns))
    whole = stop - first == length_ns // bars.timeframe.ns
    return np.where(whole, sums[stop] - sums[first], np.nan)


def _rule(recipe: Recipe, _: float) -> str:
    terms = recipe.terms
    return (
        f"rising: over the coming {terms.horizon_bars} bars of {terms.decision.value} more is traded than "
        f"the {PERCENTILE * 100:.0f}th percentile of the same hours on the {DAYS} days before."
    )


VOLUME = Question(
    kind=Kind.VOLUME,
    measure=traded,
    bound=lambda _: 1.0,
    rule=_rule,
    unit="usual",
    rival="logistic regression on the past volume of three spans over their usual one and its mean by hour",
    by_hour=True,
)
