"""Triple-barrier labels: what a long and a short entered at the next open would have met first.

Must not know features, models or files. Called by training.dataset; docs/labels.md is the prose.
Reads the future on purpose, so nothing that it gives may ever reach a feature.
"""

from dataclasses import dataclass

import msgspec
import numba
import numpy as np
import numpy.typing as npt

from core.market import Timeframe
from feeds.lake import BarArrays

DOWN, HOLD, UP, UNKNOWN = 0, 1, 2, -1

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


class BarrierTerms(msgspec.Struct, frozen=True):
    """Barriers at entry +/- `barrier_atr` ATRs of the decision timeframe, `horizon_bars` of time."""

    decision: Timeframe
    barrier_atr: float = 3.0
    horizon_bars: int = 24

    @property
    def horizon_ns(self) -> int:
        """Time limit in ns."""
        return self.horizon_bars * self.decision.ns


@dataclass(frozen=True)
class Labels:
    """One entry per decision; `kind` is UNKNOWN where the data do not cover the whole horizon.

    `ts_end` is when the outcome was known, the returns are fractions of the entry price before
    fees. `both` marks paths that met both barriers within one bar: neither side may claim a win.
    """

    kind: npt.NDArray[np.int8]
    ts_end: Times
    long_return: Floats
    short_return: Floats
    both: npt.NDArray[np.bool_]


def label(bars: BarArrays, ts_close: Times, atr: Floats, terms: BarrierTerms) -> Labels:
    """Label decisions made at `ts_close` (ns, ascending) with their `atr` in price units.

    The path is walked on `bars`, the finest there are. No label crosses a missing bar.
    """
    steps = terms.horizon_ns // bars.timeframe.ns
    first = np.searchsorted(bars.ts_open, ts_close)
    last = np.minimum(first + steps, len(bars)) - 1
    whole = bars.ts_open[last] - ts_close == terms.horizon_ns - bars.timeframe.ns
    covered = whole & (first + steps <= len(bars)) & (atr > 0)
    entries = np.where(covered, first, 0)
    out = _walk(bars.open, bars.high, bars.low, bars.close, entries, steps, terms.barrier_atr * atr)
    kind, bars_held, long_return, short_return, both = out
    return Labels(
        kind=np.where(covered, kind, UNKNOWN).astype(np.int8),
        ts_end=ts_close + np.where(covered, bars_held, steps) * bars.timeframe.ns,
        long_return=long_return,
        short_return=short_return,
        both=both & covered,
    )


@numba.njit(cache=True)
def _walk(opens, highs, lows, closes, entries, steps, barriers):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    n = len(entries)
    kind = np.full(n, HOLD, np.int8)
    held = np.full(n, steps, np.int64)
    long_return, short_return = np.zeros(n), np.zeros(n)
    both = np.zeros(n, np.bool_)
    for i in range(n):
        first, end = entries[i], min(entries[i] + steps, len(opens))
        upper, lower = opens[first] + barriers[i], opens[first] - barriers[i]
        long_exit = short_exit = closes[end - 1]
        for j in range(first, end):
            rose, fell = highs[j] >= upper, lows[j] <= lower
            if not (rose or fell):
                continue
            # The open is the one price of a bar whose place in time is known.
            opened_up, opened_down = opens[j] >= upper, opens[j] <= lower
            held[i] = j - first + 1
            if rose and fell and not (opened_up or opened_down):
                both[i] = True
                long_exit, short_exit = lower, upper
            elif opened_up or (rose and not opened_down):
                kind[i] = UP
                long_exit, short_exit = upper, max(upper, opens[j])
            else:
                kind[i] = DOWN
                long_exit, short_exit = min(lower, opens[j]), lower
            break
        long_return[i] = long_exit / opens[first] - 1.0
        short_return[i] = 1.0 - short_exit / opens[first]
    return kind, held, long_return, short_return, both
