"""Whether a profit survives being one bar late: a bootstrap over the days of two runs.

Must not know how runs are made. Called by trader.evaluation.checks. Profit that is gone one bar later was
made of the next bar: of look-ahead, of the bounce between bid and ask, or of an edge too short to act on.

The rule. A trade's figure is its gross profit in bps of what it bought or sold first, before fees, by the
day on which it was opened. The check fails when both hold, each with 99 % confidence by a stationary
bootstrap that draws the same days for both runs: the mean trade in time earns more than 0, and the mean
trade a bar late earns less than half of that. With fewer than 30 trades, or on fewer than 10 days, it
says nothing and passes. So a strategy without any edge fails one time in a hundred, by the first half
alone; the tests hold it to two.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.clock import DAY
from trader.backtest.record import Check, Trip
from trader.evaluation.paired import stationary_days

NAME = "delay_one_bar"
FEWEST_TRADES = 30
FEWEST_DAYS = 10
KEPT = 0.5
"""Share of the gross profit that must be left."""
CONFIDENCE = 0.99
BLOCK_DAYS = 5.0
BPS = 1e4

Floats = npt.NDArray[np.float64]


class Daily(NamedTuple):
    """Gross profit in bps and number of the trades opened on each day [days]."""

    bps: Floats
    trades: Floats

    @property
    def mean(self) -> float:
        """Give the mean trade, 0 where there is none: who does not trade earns nothing."""
        return float(self.bps.sum() / max(self.trades.sum(), 1.0))


def daily(trips: Sequence[Trip], start: int, end: int) -> Daily:
    """Count trades by the day of their opening over [start, end), ns UTC in whole days."""
    days = (end - start) // DAY
    at = np.array([(trip.opened - start) // DAY for trip in trips], np.int64).clip(0, days - 1)
    earned = [BPS * float(trip.gross / (trip.entry * trip.quantity)) for trip in trips]
    counted = np.bincount(at, minlength=days).astype(np.float64)
    return Daily(np.bincount(at, np.array(earned, np.float64), days).astype(np.float64), counted)


def judge(before: Daily, after: Daily, *, seed: int = 0) -> Check:
    """Say whether the profit in time is there a bar later, by the module's rule."""
    figures = {
        "trades": float(before.trades.sum()),
        "trades_late": float(after.trades.sum()),
        "gross_bps": before.mean,
        "gross_bps_late": after.mean,
    }
    count, active = int(before.trades.sum()), int((before.trades > 0).sum())
    if count < FEWEST_TRADES or active < FEWEST_DAYS:
        said = f"{count} trades on {active} days are too few to tell ({FEWEST_TRADES} on {FEWEST_DAYS})"
        return Check(NAME, passed=True, found=said, figures=figures)
    picks = stationary_days(len(before.bps), BLOCK_DAYS, seed)
    in_time, late = _means(before, picks), _means(after, picks)
    low, high = np.quantile(in_time, (1 - CONFIDENCE, CONFIDENCE))
    most = float(np.quantile(late - KEPT * in_time, CONFIDENCE))
    figures |= {"gross_bps_low": float(low), "gross_bps_high": float(high), "late_over_half_high": most}
    shown = (
        f"{before.mean:.2f} bps [{low:.2f}, {high:.2f}] gross a trade in time, {after.mean:.2f} a bar late"
    )
    if low <= 0:
        return Check(NAME, passed=True, found=f"no profit that could die: {shown}", figures=figures)
    if most < 0:
        said = f"the profit dies: {shown}; look-ahead, bid-ask bounce, or an edge shorter than a bar"
        return Check(NAME, passed=False, found=said, figures=figures)
    return Check(
        NAME, passed=True, found=f"the profit is still there, or too noisy to tell: {shown}", figures=figures
    )


def _means(one: Daily, picks: npt.NDArray[np.int64]) -> Floats:
    """Give the mean trade of each draw of days [replicates]."""
    return one.bps[picks].sum(axis=1) / np.maximum(one.trades[picks].sum(axis=1), 1.0)
