"""Columns of order books, sampled when bars close: how wide the spread is, which side is heavier.

Must not know frames, bars or models: no history of books reaches back for years, so no model is trained
on these; rules read them. Called by inference.pipeline at each close of a minute with the newest quotes
of the live feed; a backtest has none. What is not known is NaN.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from core.clock import MINUTE, SECOND
from core.market import Depths, Quote
from core.signal import BookState
from inference.features.kernel import Floats, Ints, kernel
from inference.features.rolling import TINY, in_units, moment_slots, push_moments

COLUMNS = (
    "spread",  # fraction of the mid
    "imbalance",  # of the quantities at bid and ask: 1 all bid, -1 all ask
    "imbalance_mean",  # exponential mean over samples, span 10
    "spread_z",  # against the 60 samples before; NaN until there are so many
    "depth_imbalance",  # of the quantities of the levels given, as of the newest sample; else NaN
    "age_s",  # of the quote at the newest sample
)
SPREAD, IMBALANCE, IMBALANCE_MEAN, SPREAD_Z, DEPTH_IMBALANCE, AGE_S = range(len(COLUMNS))

WINDOW = 60
NEVER = -1
HOLE = 10 * MINUTE
"""After so long without a sample of an instrument its means start over."""
_ALPHA = 2 / 11

_COUNT, _LAST, _EWMA, _MEAN, _DEVIATION = range(5)  # of a state row
_MOMENTS = 5
_SLOTS = _MOMENTS + moment_slots(WINDOW)


@kernel
def imbalance(bought: float, sold: float) -> float:
    """Give how much heavier the bid side is: -1..1; NaN where both are empty."""
    return (bought - sold) / (bought + sold) if bought + sold > 0.0 else math.nan


@kernel
def sample(state: Floats, rows: Ints, ts: int, tops: Floats, out: Floats) -> None:
    """Take one sample of many instruments; `ts` in ns.

    state [n, slots] and out [n, C] are updated in place; top k belongs to row rows[k] and is
    tops[:, k] = bid, ask, bid quantity, ask quantity, quote's time in ns. A crossed or empty top is none:
    its row is unknown until the next.
    """
    for k in range(rows.size):
        row = state[rows[k]]
        bid, ask = tops[0, k], tops[1, k]
        target = out[rows[k]]
        target[:DEPTH_IMBALANCE] = math.nan
        target[AGE_S] = (ts - tops[4, k]) / SECOND
        if not (0.0 < bid <= ask < math.inf and tops[2, k] >= 0.0 and tops[3, k] >= 0.0):
            continue
        heavier = imbalance(tops[2, k], tops[3, k])
        if math.isnan(heavier):
            continue
        if row[_COUNT] == 0.0 or ts - row[_LAST] > HOLE:
            row[:] = 0.0
            row[_EWMA] = heavier
        count = int(row[_COUNT])
        spread = 2.0 * (ask - bid) / (ask + bid)
        row[_EWMA] += (heavier - row[_EWMA]) * _ALPHA
        target[SPREAD] = spread
        target[IMBALANCE] = heavier
        target[IMBALANCE_MEAN] = row[_EWMA]
        if count >= WINDOW:
            target[SPREAD_Z] = in_units(spread - row[_MEAN], row[_DEVIATION], TINY * row[_MEAN])
        mean, variance = push_moments(row, _MOMENTS, WINDOW, count, spread)
        row[_MEAN] = mean
        row[_DEVIATION] = math.sqrt(variance)
        row[_COUNT] += 1.0
        row[_LAST] = ts


class BookColumns:
    """Newest columns of a fixed set of instruments; others are ignored."""

    def __init__(self, instruments: Iterable[str]) -> None:
        self._row = {name: row for row, name in enumerate(dict.fromkeys(instruments))}
        self._state = np.zeros((len(self._row), _SLOTS))
        self._out = np.full((len(self._row), len(COLUMNS)), np.nan)
        self._sampled = NEVER

    def on_tops(self, ts: int, quotes: Iterable[Quote]) -> None:
        """Take the newest quote of each instrument as its sample of `ts`, ns: once a bar close.

        An instrument without one keeps no columns: what it had belongs to an older moment.
        """
        self._sampled = ts
        self._out[:] = np.nan
        known = {self._row[quote.instrument]: quote for quote in quotes if quote.instrument in self._row}
        tops = np.empty((5, len(known)))
        for k, quote in enumerate(known.values()):
            tops[:, k] = (quote.bid, quote.ask, quote.bid_quantity, quote.ask_quantity, quote.ts_event)
        sample(self._state, np.fromiter(known, np.int64, len(known)), ts, tops, self._out)

    def on_depths(self, books: Depths) -> None:
        """Take bids and asks of books that stand as of the newest sample: any number of levels."""
        for name, (bids, asks) in books.items():
            if name in self._row:
                sides = (math.fsum(float(quantity) for _, quantity in side) for side in (bids, asks))
                self._out[self._row[name], DEPTH_IMBALANCE] = imbalance(*sides)

    def row(self, instrument: str) -> Floats:
        """Give the newest columns of an instrument, [len(COLUMNS)]; all NaN where none are known."""
        at = self._row.get(instrument)
        return np.full(len(COLUMNS), np.nan) if at is None else self._out[at].copy()

    def since(self, ts: int) -> dict[str, BookState]:
        """Give what is known of instruments, if it was sampled at `ts` or later."""
        if self._sampled < ts:
            return {}
        rows = self._out.tolist()
        return {name: _state(rows[at]) for name, at in self._row.items() if rows[at][SPREAD] >= 0.0}


def _state(row: Sequence[float]) -> BookState:
    spread, heavier, mean, spread_z, depth, age_s = row
    known = (None if math.isnan(value) else value for value in (spread_z, depth))
    return BookState(spread, heavier, mean, age_s, *known)
