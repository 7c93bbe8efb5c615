"""Where the bars after a decision lie, and whether all of them are there.

Must not know what is asked of them. Called by the targets beside this module. Reads the future on purpose.
"""

from typing import NamedTuple

import numpy as np

from feeds.lake import BarArrays
from training.panel.panel import Flags, Floats, Ints


class Coming(NamedTuple):
    """Bars [first, last] of each decision's horizon [rows]; 0 where not `whole`, to be of no account."""

    first: Ints
    last: Ints
    whole: Flags


def coming(bars: BarArrays, ts_close: Ints, horizon_ns: int) -> Coming:
    """Find the bars that open in [ts_close, ts_close + horizon_ns); `whole` where none of them is missing."""
    steps = horizon_ns // bars.timeframe.ns
    first = np.searchsorted(bars.ts_open, ts_close)
    last = first + steps - 1
    there = last < len(bars)
    opens = bars.ts_open[np.where(there, last, 0)]
    whole = there & (opens - ts_close == horizon_ns - bars.timeframe.ns)
    return Coming(np.where(whole, first, 0), np.where(whole, last, 0), whole)


def move(bars: BarArrays, ahead: Coming) -> Floats:
    """Give what a long entered at the next open has at the horizon's end, as a fraction; NaN if not known."""
    found = bars.close[ahead.last] / bars.open[ahead.first] - 1.0
    return np.where(ahead.whole, found, np.nan)
