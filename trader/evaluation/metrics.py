"""Figures of a series of daily returns: how much, how bumpy, how deep, and how sure.

Must not know runs, trades or files. Called by trader.evaluation.assessment. Pure. A year has 365 days,
always: markets do not close, and a figure from another bar length cannot be compared. A figure that is
not defined (no spread, no day) is None, never NaN, 0 or infinite.
"""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.clock import DAY

YEAR = 365
TAIL = 0.05
"""Share of the worst days that value at risk and expected shortfall speak of."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Drawdown(msgspec.Struct, frozen=True):
    """The deepest fall below a peak. Times are ns UTC; `recovered` is None if the peak was not seen again.

    `length_days` runs from the peak to the recovery or the end of the series, `recovery_days` from the
    lowest point to the recovery.
    """

    depth: float
    peak: int
    bottom: int
    recovered: int | None
    length_days: float
    recovery_days: float | None


class ReturnFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What daily returns amount to; fractions, not percent.

    `annualised` is the mean daily return times 365, `cagr` the rate that compounds to `total`. Value at
    risk and expected shortfall are losses, positive, of the worst 5 % of days as they happened.
    `sharpe_error` is the standard error of `sharpe` for independent days of any skew and tail.
    """

    days: int
    total: float | None = None
    annualised: float | None = None
    cagr: float | None = None
    volatility: float | None = None
    value_at_risk: float | None = None
    expected_shortfall: float | None = None
    sharpe: float | None = None
    sharpe_error: float | None = None
    sortino: float | None = None
    best_day: float | None = None
    worst_day: float | None = None
    positive_days: float | None = None


def return_figures(daily: Floats) -> ReturnFigures:
    """Sum up daily returns [N], none below -1."""
    days = len(daily)
    if not days:
        return ReturnFigures(days=0)
    total = float(np.prod(1.0 + daily)) - 1.0
    shortfall = math.sqrt(float(np.mean(np.minimum(daily, 0.0) ** 2)))
    mean = float(np.mean(daily))
    return ReturnFigures(
        days=days,
        total=total,
        annualised=mean * YEAR,
        cagr=growth(total, days),
        volatility=float(np.std(daily, ddof=1)) * math.sqrt(YEAR) if days > 1 else None,
        value_at_risk=value_at_risk(daily),
        expected_shortfall=expected_shortfall(daily),
        sharpe=sharpe(daily),
        sharpe_error=sharpe_error(daily),
        sortino=mean / shortfall * math.sqrt(YEAR) if shortfall > 0.0 else None,
        best_day=float(np.max(daily)),
        worst_day=float(np.min(daily)),
        positive_days=float(np.mean(daily > 0.0)),
    )


def growth(total: float, days: float) -> float | None:
    """Give the yearly rate that compounds to `total` over `days`; None beyond what a float can hold."""
    if days <= 0 or total < -1.0:
        return None
    if total == -1.0:
        return -1.0
    exponent = math.log1p(total) * YEAR / days
    return math.expm1(exponent) if exponent < 700.0 else None


def sharpe(daily: Floats) -> float | None:
    """Give mean over standard deviation (N - 1) of daily returns, times the root of 365."""
    ratio = _daily_ratio(daily)
    return None if ratio is None else ratio * math.sqrt(YEAR)


def sharpe_error(daily: Floats) -> float | None:
    """Give the standard error of `sharpe`.

    Source: Bailey and Lopez de Prado, "The Sharpe ratio efficient frontier" (2012), eq. 4, after Mertens:
    variance (1 - skew SR + (kurtosis - 1) / 4 SR^2) / (N - 1) of the daily ratio SR.
    """
    ratio = _daily_ratio(daily)
    if ratio is None:
        return None
    apart = (daily - np.mean(daily)) / np.std(daily)
    skew, kurtosis = float(np.mean(apart**3)), float(np.mean(apart**4))
    variance = (1.0 - skew * ratio + (kurtosis - 1.0) / 4.0 * ratio**2) / (len(daily) - 1)
    return math.sqrt(variance * YEAR) if variance > 0.0 else None


def value_at_risk(daily: Floats) -> float | None:
    """Give the smallest loss that at most 5 % of the days exceed, as the days happened."""
    return -float(np.sort(daily)[_beyond(len(daily))]) if len(daily) else None


def expected_shortfall(daily: Floats) -> float | None:
    """Give the mean loss over the worst 5 % of days; a day that belongs in part counts in part."""
    if not len(daily):
        return None
    worst, beyond = np.sort(daily), _beyond(len(daily))
    in_part = TAIL * len(daily) - beyond
    return -float(worst[:beyond].sum() + in_part * worst[beyond]) / (TAIL * len(daily))


def drawdown(times: Ints, equity: Floats) -> Drawdown | None:
    """Give the deepest fall of equity [N] at ascending times [N]; None if it never fell.

    The first value counts as a peak, so the starting cash belongs in front.
    """
    if not len(equity):
        return None
    peaks = np.maximum.accumulate(equity)
    below = np.divide(equity, peaks, out=np.ones_like(equity), where=peaks > 0.0) - 1.0
    bottom = int(np.argmin(below))
    if below[bottom] >= 0.0:
        return None
    peak = int(np.flatnonzero(equity[: bottom + 1] == peaks[bottom])[-1])
    after = np.flatnonzero(equity[bottom:] >= peaks[bottom])
    recovered = int(times[bottom + after[0]]) if len(after) else None
    until = int(times[-1]) if recovered is None else recovered
    return Drawdown(
        depth=-float(below[bottom]),
        peak=int(times[peak]),
        bottom=int(times[bottom]),
        recovered=recovered,
        length_days=(until - int(times[peak])) / DAY,
        recovery_days=None if recovered is None else (recovered - int(times[bottom])) / DAY,
    )


def under_water(equity: Floats) -> Floats:
    """Give the fraction below the highest value so far, [N], none above 0."""
    peaks = np.maximum.accumulate(equity)
    return np.divide(equity, peaks, out=np.ones_like(equity), where=peaks > 0.0) - 1.0


def _daily_ratio(daily: Floats) -> float | None:
    if len(daily) < 2:
        return None
    mean, spread = float(np.mean(daily)), float(np.std(daily, ddof=1))
    # Equal returns differ by rounding alone: what is left of their spread is no risk.
    return mean / spread if spread > 1e-12 * max(abs(mean), 1e-9) else None


def _beyond(days: int) -> int:
    """Give how many whole days lie beyond the value at risk."""
    # 5 % of 60 days is 3.0000000000000004 or 2.9999999999999996 days, depending on how it is written.
    return int(TAIL * days + 1e-9)
