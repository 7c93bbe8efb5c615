"""The same trades entered at random: what is left of a result once its moments and sides are luck.

Must not know models or thresholds. Called by training.walkforward.figures. Each draw keeps every trade's
instrument, length, worth and costs (fees, margin fees, slippage) and draws its hour within the fold and its
side; the price moves as the closes of the lake's bars do. No stop or target ends such a trade early, and no
limit of the account holds it back: it is a yardstick for entries, not another strategy.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.market import Timeframe
from feeds.lake import Lake
from inference.card import Interval
from trader.backtest.record import RunRecord, Trip

DRAWS = 200

Floats = npt.NDArray[np.float64]


def chance(record: RunRecord, lake: Path, seed: int, draws: int = DRAWS) -> tuple[int, Interval]:
    """Give the number of draws, and mean and middle 95 % of their total results over the starting cash.

    Money is that of the record's trades, so the results do not compound within a fold.
    """
    card = record.card
    rng = np.random.default_rng(seed)
    cash = float(sum(card.cash.values()))
    spans = [(fold.test_start, fold.test_end) for fold in card.folds] or [(card.start, card.end)]
    earned = np.zeros(draws)
    for instrument in card.instruments:
        trips = [trip for trip in record.trips if trip.instrument == instrument]
        if not trips:
            continue
        bars = Lake(lake).read(
            card.venue, instrument, Timeframe(card.timeframe), start=card.start, end=card.end
        )
        for start, end in spans:
            inside = [trip for trip in trips if start <= trip.opened < end]
            first, last = np.searchsorted(bars.ts_close, [start, end], side="right")
            if inside and last - first > 1:
                earned += _drawn(inside, bars.ts_close[first:last], bars.close[first:last], rng, draws)
    result = earned / cash
    low, high = np.percentile(result, (2.5, 97.5))
    return draws, Interval(float(result.mean()), float(low), float(high))


def _drawn(
    trips: list[Trip], ts: npt.NDArray[np.int64], closes: Floats, rng: np.random.Generator, draws: int
) -> Floats:
    """Give the sum [draws] of these trades' results, each at a random bar and side."""
    lengths = np.array([trip.closed - trip.opened for trip in trips])
    worth = np.array([float(trip.entry * trip.quantity) for trip in trips])
    costs = np.array([float(trip.fees + trip.margin_fees + trip.slippage) for trip in trips])
    room = np.maximum(np.searchsorted(ts, ts[-1] - lengths, side="right"), 1)
    at = (rng.random((draws, len(trips))) * room).astype(np.int64)
    until = np.searchsorted(ts, ts[at] + lengths)
    moved = closes[np.minimum(until, len(ts) - 1)] / closes[at] - 1.0
    side = rng.choice(np.array([-1.0, 1.0]), (draws, len(trips)))
    total: Floats = (side * moved * worth - costs).sum(axis=1)
    return total
