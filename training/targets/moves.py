"""How far the price moves over a fixed number of bars: a number, or classes with a band around nothing.

Must not know features, models or files. Made by training.targets.catalogue. A move is that of a position
entered at the next open and left at the last close, so nobody is credited with a price that is gone.
"""

import math

import msgspec
import numpy as np

from core.market import Timeframe
from feeds.lake import BarArrays
from inference.card import CLASSES
from training.labels import DOWN, HOLD, UP
from training.panel.panel import UNKNOWN, Floats, Followed, Ints, Kinds
from training.targets.coming import coming, move
from training.targets.target import unknown

PERCENT = 100.0


class _Ahead(msgspec.Struct, frozen=True):
    """What all have in common: `bars` of `decision` ahead."""

    name: str
    decision: Timeframe
    bars: int

    @property
    def horizon_ns(self) -> int:
        return self.bars * self.decision.ns

    def bounds(self, values: Floats) -> tuple[float, ...]:
        return ()

    def _move(self, bars: BarArrays, ts_close: Ints) -> Floats:
        return move(bars, coming(bars, ts_close, self.horizon_ns))


class Move(_Ahead, frozen=True):
    """The move over the coming bars in percent; a number, so `kind` is never known."""

    @property
    def classes(self) -> tuple[str, ...]:
        return ()

    def followed(self, bars: BarArrays, ts_close: Ints, atr: Floats) -> Followed:
        value = PERCENT * self._move(bars, ts_close)
        return Followed(unknown(len(value)), value, ts_close + self.horizon_ns)


class Magnitude(_Ahead, frozen=True):
    """The size of the move over the coming bars in ATRs at the decision; a number."""

    @property
    def classes(self) -> tuple[str, ...]:
        return ()

    def followed(self, bars: BarArrays, ts_close: Ints, atr: Floats) -> Followed:
        value = np.abs(in_atrs(bars, ts_close, atr, self.horizon_ns))
        return Followed(unknown(len(value)), value, ts_close + self.horizon_ns)


class Direction(_Ahead, frozen=True, kw_only=True):
    """Up or down by more than `epsilon_pct` percent after the coming bars, or neither; value in percent."""

    epsilon_pct: float

    @property
    def classes(self) -> tuple[str, ...]:
        return CLASSES

    def followed(self, bars: BarArrays, ts_close: Ints, atr: Floats) -> Followed:
        value = PERCENT * self._move(bars, ts_close)
        return Followed(_banded(value, self.epsilon_pct), value, ts_close + self.horizon_ns)


class Trend(_Ahead, frozen=True, kw_only=True):
    """Up or down by more than `band_atr` times the root of the bars, in ATRs; the value is over that root.

    The root, because so grows the spread of a walk: the shares of the classes do not depend on the bars.
    """

    band_atr: float

    @property
    def classes(self) -> tuple[str, ...]:
        return CLASSES

    def followed(self, bars: BarArrays, ts_close: Ints, atr: Floats) -> Followed:
        value = in_atrs(bars, ts_close, atr, self.horizon_ns) / math.sqrt(self.bars)
        return Followed(_banded(value, self.band_atr), value, ts_close + self.horizon_ns)


class LargeMove(_Ahead, frozen=True, kw_only=True):
    """Whether the price is more than `epsilon_pct` percent away after the coming bars; value in percent."""

    epsilon_pct: float

    @property
    def classes(self) -> tuple[str, ...]:
        return ("usual", "large")

    def followed(self, bars: BarArrays, ts_close: Ints, atr: Floats) -> Followed:
        value = np.abs(PERCENT * self._move(bars, ts_close))
        return Followed(above(value, self.epsilon_pct), value, ts_close + self.horizon_ns)


def in_atrs(bars: BarArrays, ts_close: Ints, atr: Floats, horizon_ns: int) -> Floats:
    """Give the move over the horizon in ATRs, NaN where it is not known or there is no scale."""
    ahead = coming(bars, ts_close, horizon_ns)
    known = ahead.whole & (atr > 0)
    moved = bars.close[ahead.last] - bars.open[ahead.first]
    return np.divide(moved, atr, out=np.full(len(ts_close), np.nan), where=known)


def above(values: Floats, bound: float) -> Kinds:
    """Give 1 where a value is above the bound, 0 where it is not, UNKNOWN where it is NaN."""
    return np.where(np.isfinite(values), values > bound, UNKNOWN).astype(np.int8)


def _banded(values: Floats, band: float) -> Kinds:
    found = np.where(values > band, UP, np.where(values < -band, DOWN, HOLD))
    return np.where(np.isfinite(values), found, UNKNOWN).astype(np.int8)
