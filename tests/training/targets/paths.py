"""Hand-made paths: bars from rows, as every test of a target wants them."""

import numpy as np

from core.clock import MINUTE
from core.market import Timeframe
from feeds.lake import BarArrays

STEP = 5 * MINUTE
START = 19_800 * 24 * 60 * MINUTE
FLAT = (100.0, 101.0, 99.0, 100.0)


def path(rows, *, skip=(), timeframe: Timeframe = Timeframe.M5) -> BarArrays:
    """Bars from START on from (open, high, low, close) rows; `skip` names positions that are missing."""
    kept = [index for index in range(len(rows)) if index not in skip]
    table = np.array(rows, float)[kept]
    ts_open = START + np.array(kept, np.int64) * timeframe.ns
    ones = np.ones(len(kept))
    return BarArrays(
        "M/USD", timeframe, ts_open, *table.T.copy(), volume=ones, vwap=ones, trades=ones.astype(np.int32)
    )


def told(target, rows, *, at=0, atr=5.0, **options):
    """Ask a target of the single decision made before row `at`: kind, value, bars until it was known."""
    timeframe = options.get("timeframe", Timeframe.M5)
    ts = np.array([START + at * timeframe.ns])
    found = target.followed(path(rows, **options), ts, np.array([atr]))
    return int(found.kind[0]), float(found.value[0]), int(found.ts_end[0] - ts[0]) // timeframe.ns
