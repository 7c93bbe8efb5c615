"""Whether a spike through the last bars' extreme is taken back: a sweep of the orders that wait there.

Must not know features, models or files. Made by training.targets.catalogue. Reads the future on purpose.
"""

import msgspec
import numpy as np

from core.market import Timeframe
from feeds.lake import BarArrays, aggregate
from training.panel.panel import UNKNOWN, Flags, Floats, Followed, Ints

NONE, LOW, HIGH = 0, 1, 2


class Sweep(msgspec.Struct, frozen=True):
    """Which extreme of the last `past` bars is swept first within the coming `bars`, if any.

    A low is swept by a bar that goes below it by more than `depth_atr` ATRs, if that bar or one of the
    `back` bars after it closes above it again. Only the first spike through an extreme counts: one that
    is not taken back has broken it. Both extremes swept in one bar are neither. The value is the depth in
    ATRs, positive under a low (which calls for a rise), negative over a high, 0 for neither; the answer
    is known at the close that took the spike back.
    """

    name: str
    decision: Timeframe
    past: int = 20
    bars: int = 8
    back: int = 2
    depth_atr: float = 0.1

    @property
    def classes(self) -> tuple[str, ...]:
        return ("none", "swept_low", "swept_high")

    @property
    def horizon_ns(self) -> int:
        return self.bars * self.decision.ns

    def bounds(self, values: Floats) -> tuple[float, ...]:
        return ()

    def followed(self, bars: BarArrays, ts_close: Ints, atr: Floats) -> Followed:
        whole = aggregate(bars, self.decision)
        at, known = self._around(whole, ts_close)
        known &= atr > 0
        scale = np.where(known, atr, 1.0)
        window = np.arange(1 - self.past, 1)
        # A mirrored price turns highs into lows.
        low_at, low_depth = self._swept(
            whole.low, whole.close, at, whole.low[at[:, None] + window].min(axis=1), scale
        )
        high_at, high_depth = self._swept(
            -whole.high, -whole.close, at, -whole.high[at[:, None] + window].max(axis=1), scale
        )
        kind = np.where(low_at < high_at, LOW, np.where(high_at < low_at, HIGH, NONE))
        value = np.where(kind == LOW, low_depth, np.where(kind == HIGH, -high_depth, 0.0))
        ended = np.minimum(np.minimum(low_at, high_at), self.bars)
        return Followed(
            np.where(known, kind, UNKNOWN).astype(np.int8),
            np.where(known, value, np.nan),
            ts_close + np.where(known, ended, self.bars) * self.decision.ns,
        )

    def _around(self, whole: BarArrays, ts_close: Ints) -> tuple[Ints, Flags]:
        """Give each decision's bar, and where it has all its bars before and after."""
        at = np.searchsorted(whole.ts_open, ts_close - self.decision.ns)
        first, last = at - self.past + 1, at + self.bars
        there = (first >= 0) & (last < len(whole))
        first, last = np.where(there, first, 0), np.where(there, last, 0)
        opened = whole.ts_open
        known = there & (opened[last] == ts_close + self.horizon_ns - self.decision.ns)
        known &= opened[first] == ts_close - self.past * self.decision.ns
        # Any bar will do where nothing is known, as long as its neighbours exist.
        return np.where(known, at, min(self.past - 1, len(whole) - 1)), known

    def _swept(
        self, lows: Floats, closes: Floats, at: Ints, level: Floats, atr: Floats
    ) -> tuple[Ints, Floats]:
        """Give after how many bars the level was swept, bars + 1 where it was not, and how deep in ATRs."""
        never = self.bars + 1
        pierced = np.full(len(at), never, np.int64)
        swept = np.full(len(at), never, np.int64)
        lowest = level.copy()
        for step in range(1, self.bars + 1):
            bar = np.minimum(at + step, len(lows) - 1)
            through = (lows[bar] < level - self.depth_atr * atr) & (pierced == never)
            pierced[through] = step
            running = (swept == never) & (pierced <= step) & (step - pierced <= self.back)
            lowest[running] = np.minimum(lowest[running], lows[bar][running])
            swept[running & (closes[bar] > level)] = step
        return swept, (level - lowest) / atr
