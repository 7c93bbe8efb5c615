"""Whether two runs differ by more than luck: a paired bootstrap of the difference of their days.

Must not know how runs are made or shown. Called by `trader backtest compare` and training.significance.
The stationary bootstrap of Politis and Romano (1994): the same days are drawn for both runs, in blocks of
geometric length, so what the market did to both falls out and what lasts for days stays together.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.clock import DAY
from core.errors import DataError
from inference.card import Interval
from trader.backtest.record import RunRecord
from trader.evaluation.daily import daily_returns
from trader.evaluation.metrics import YEAR

REPLICATES = 2_000
LEAST_DAYS = 20
"""Below this an interval would be made up, so none is given."""

Floats = NDArray[np.float64]


class Paired(msgspec.Struct, frozen=True, kw_only=True):
    """Run A minus run B over the days that both have; intervals 95 %.

    `mean_daily` is the difference of mean daily returns, `sharpe` that of annual Sharpe ratios (None where a
    run never moves). `p` is two-sided: how often luck alone would move the mean difference as far.
    """

    days: int
    block_days: float
    mean_daily: Interval
    sharpe: Interval
    p: float | None
    differs: bool
    sentence: str


def compare(a: RunRecord, b: RunRecord, *, seed: int = 0) -> Paired:
    """Compare two runs over the days that both cover; DataError if there is none."""
    start, end = max(a.card.start, b.card.start), min(a.card.end, b.card.end)
    if end <= start:
        raise DataError("compare: expected runs that share days; found none")
    first, second = (_between(run, start, end) for run in (a, b))
    return paired(first, second, seed=seed)


def paired(a: Floats, b: Floats, *, seed: int = 0, block_days: float | None = None) -> Paired:
    """Bootstrap the difference of two series of daily returns [days] of the same days.

    Blocks have a mean of `block_days`, by default the cube root of the length and at least five days:
    positions last for days, and so does what they earn.
    """
    if a.shape != b.shape:
        raise DataError(f"paired: expected two series of the same days; found {len(a)} and {len(b)}")
    days = len(a)
    block = block_days or max(5.0, round(days ** (1 / 3)))
    apart = a - b
    value = float(apart.mean()) if days else 0.0
    sharpe = _sharpe(a[None]) - _sharpe(b[None])
    if days < LEAST_DAYS or not np.any(apart):
        known = None if np.isnan(sharpe[0]) else float(sharpe[0])
        said = "The two never differ." if not np.any(apart) else f"{days} days are too few to tell."
        return Paired(
            days=days,
            block_days=block,
            mean_daily=Interval(value, None, None),
            sharpe=Interval(known, None, None),
            p=None,
            differs=False,
            sentence=said,
        )
    picks = stationary_days(days, block, seed)
    means = apart[picks].mean(axis=1)
    # Moved to a mean of zero the replicates show what luck does where there is no difference.
    p = float((1 + np.sum(np.abs(means - value) >= abs(value))) / (1 + len(means)))
    low, high = np.percentile(means, (2.5, 97.5))
    drawn = _sharpe(a[picks]) - _sharpe(b[picks])
    return Paired(
        days=days,
        block_days=block,
        mean_daily=Interval(value, float(low), float(high)),
        sharpe=_interval(float(sharpe[0]), drawn),
        p=p,
        differs=p <= 0.05,
        sentence=_sentence(value, float(low), float(high), p),
    )


def stationary_days(days: int, block: float, seed: int, replicates: int = REPLICATES) -> NDArray[np.int64]:
    """Give days drawn in blocks of geometric length with mean `block`, wrapped around: [replicates, days]."""
    rng = np.random.default_rng(seed)
    fresh = rng.random((replicates, days)) < 1.0 / block
    fresh[:, 0] = True
    starts = rng.integers(days, size=(replicates, days))
    place = np.arange(days)
    began = np.maximum.accumulate(np.where(fresh, place, 0), axis=1)
    return (np.take_along_axis(starts, began, axis=1) + place - began) % days


def _between(run: RunRecord, start: int, end: int) -> Floats:
    return daily_returns(run)[(start - run.card.start) // DAY : (end - run.card.start) // DAY]


def _sharpe(returns: Floats) -> Floats:
    """Give annual Sharpe ratios of rows [n, days], NaN where nothing varies."""
    out = np.full(len(returns), np.nan)
    if returns.shape[1] < 2:
        return out
    deviation = returns.std(axis=1, ddof=1)
    np.divide(returns.mean(axis=1), deviation, out=out, where=np.ptp(returns, axis=1) > 0.0)
    return out * YEAR**0.5


def _interval(value: float, drawn: Floats) -> Interval:
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or len(drawn) < REPLICATES // 2:
        return Interval(float(value) if np.isfinite(value) else None, None, None)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Interval(value, float(low), float(high))


def _sentence(value: float, low: float, high: float, p: float) -> str:
    amount = f"{abs(value) * 1e4:.1f} basis points a day [{low * 1e4:.1f}, {high * 1e4:.1f}]"
    if p > 0.05:
        return f"The difference of {amount} cannot be told from luck (p = {p:.2f})."
    return f"The first earns {amount} {'more' if value > 0 else 'less'} than the second (p = {p:.3f})."
