"""Daily returns of trades and what they amount to: a Sharpe ratio with its interval, and chance beside it.

Must not know models, opinions or pages. Called by training.measure.traded. A year has 365 days. Intervals
come from the days that training.bootstrap draws, the same for every run of a span, so runs can be subtracted.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from core.clock import DAY
from feeds.lake import BarArrays
from inference.card import Interval
from trader.backtest.record import Trip
from trader.evaluation.daily import returns_of
from trader.evaluation.metrics import YEAR
from training import bootstrap

Floats = npt.NDArray[np.float64]

DRAWS = 100
"""Of the same trades at random moments and sides."""
_STILL = 1e-9
"""Below this share of a square a spread is rounding, not risk."""


def sharpe(returns: Floats, weights: Floats) -> Interval:
    """Give the annual Sharpe ratio of daily returns [days], and its interval where days are drawn."""
    return bootstrap.interval(sums(returns), ratio, weights)


def sharpe_apart(first: Floats, second: Floats, weights: Floats) -> Interval:
    """Give the Sharpe ratio of `first` less that of `second`, the same days drawn for both."""

    def difference(both: Floats) -> Floats:
        found: Floats = ratio(both[:, :3]) - ratio(both[:, 3:])
        return found

    return bootstrap.interval(np.concatenate([sums(first), sums(second)], axis=1), difference, weights)


def sums(returns: Floats) -> Floats:
    """Give what `ratio` needs of each day [days, 3]: one, the return, its square."""
    return np.column_stack([np.ones(len(returns)), returns, returns**2])


def ratio(sums: Floats) -> Floats:
    """Give mean over deviation (N - 1) times the root of 365 of sums [n, 3], NaN where nothing varies."""
    count, total, squares = sums.T
    out = np.full(len(sums), np.nan)
    spread = squares - total**2 / np.maximum(count, 1.0)
    good = (count > 1) & (spread > _STILL * np.maximum(squares, 1e-30))
    deviation = np.sqrt(spread[good] / (count[good] - 1.0))
    out[good] = total[good] / count[good] / deviation * YEAR**0.5
    return out


def daily(rows: Sequence[tuple[int, float]], cash: float, start: int, end: int) -> Floats:
    """Give the equity [days + 1] at each midnight of [start, end], filled forward from the cash on."""
    ends = start + np.arange((end - start) // DAY + 1) * DAY
    times = np.array([min(ts, end) for ts, _ in rows], np.int64)
    values = np.array([cash, *(equity for _, equity in rows)])
    found: Floats = values[np.searchsorted(times, ends, side="right")]
    return found


def held(series: Sequence[BarArrays], start: int, end: int) -> Floats:
    """Give the daily returns [days] of equal parts of all instruments, held from start to end, no fee."""
    ends = start + np.arange((end - start) // DAY + 1) * DAY
    lines = []
    for bars in series:
        at = np.searchsorted(bars.ts_close, ends, side="right") - 1
        closes = np.where(at >= 0, bars.close[np.maximum(at, 0)], np.nan)
        known = np.flatnonzero(np.isfinite(closes))
        first = closes[known[0]] if len(known) else 1.0
        lines.append(np.where(np.isfinite(closes), closes / first, 1.0))
    return returns_of(np.mean(lines, axis=0))


def chance(
    trips: Sequence[Trip],
    series: Sequence[BarArrays],
    *,
    cash: float,
    start: int,
    end: int,
    seed: int,
    draws: int = DRAWS,
) -> Interval:
    """Give the mean and the middle 95 % of the Sharpe ratios of the same trades entered at random.

    Each keeps its instrument, length, worth and costs; its bar and its side are drawn, the price moves as the
    closes do, and its result counts on the day on which it ends. A yardstick for entries: no stop ends it.
    """
    days = (end - start) // DAY
    rng = np.random.default_rng(seed)
    earned = np.zeros(draws * days)
    for bars in series:
        own = [trip for trip in trips if trip.instrument == bars.instrument]
        inside = bars.between(start, end)
        if own and len(inside) > 1:
            earned += _drawn(own, inside, rng, draws=draws, start=start, days=days)
    grid = earned.reshape(draws, days) / cash
    found = ratio(np.column_stack([np.full(draws, float(days)), grid.sum(axis=1), (grid**2).sum(axis=1)]))
    found = found[np.isfinite(found)]
    if not len(found):
        return Interval(None, None, None)
    low, high = np.percentile(found, (2.5, 97.5))
    return Interval(float(found.mean()), float(low), float(high))


def _drawn(
    trips: Sequence[Trip],
    bars: BarArrays,
    rng: np.random.Generator,
    *,
    draws: int,
    start: int,
    days: int,
) -> Floats:
    ts, closes = bars.ts_close, bars.close
    lengths = np.array([trip.closed - trip.opened for trip in trips])
    worth = np.array([float(trip.entry * trip.quantity) for trip in trips])
    costs = np.array([float(trip.fees + trip.margin_fees + trip.slippage) for trip in trips])
    room = np.maximum(np.searchsorted(ts, ts[-1] - lengths, side="right"), 1)
    at = (rng.random((draws, len(trips))) * room).astype(np.int64)
    until = np.minimum(np.searchsorted(ts, ts[at] + lengths), len(ts) - 1)
    side = rng.choice(np.array([-1.0, 1.0]), (draws, len(trips)))
    net = side * (closes[until] / closes[at] - 1.0) * worth - costs
    day = np.clip((ts[until] - 1 - start) // DAY, 0, days - 1)
    place = day + days * np.arange(draws)[:, None]
    return np.bincount(place.ravel(), net.ravel(), draws * days).astype(np.float64)
