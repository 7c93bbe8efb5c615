"""What the coming hours are like, not where they go: volatile, busy, of a wider range than usual.

Must not know features, models or files. Made by training.targets.catalogue; training.volatility and
training.volume measure. A bound that is fitted comes from the training rows that it is given and from
nothing else; volume and range are held against each decision's own past, so nothing of them is fitted.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from core.clock import HOUR
from core.errors import DataError, UsageError
from core.market import Timeframe
from feeds.lake import BarArrays
from inference.card import CLASSES_OF, Kind
from training import volume
from training.panel.panel import Flags, Floats, Followed, Ints, Kinds
from training.ranks import row_quantile
from training.targets.coming import coming
from training.targets.moves import above
from training.targets.target import kinds, unknown
from training.volatility import realised

FEWEST = 20
"""Earlier spans that must be known before a range is held against them."""


class _Ahead(msgspec.Struct, frozen=True):
    """What all have in common: a span of `horizon_ns` ahead."""

    name: str
    horizon_ns: int

    def bounds(self, values: Floats) -> tuple[float, ...]:
        return ()


class Volatility(_Ahead, frozen=True):
    """The deviation of returns over the coming span, in bps an hour, between quantiles of training rows.

    One `percentile` for each bound, so one more class than percentiles.
    """

    names: tuple[str, ...]
    percentiles: tuple[float, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        return self.names

    def followed(self, bars: BarArrays, ts_close: Ints, atr: Floats) -> Followed:
        value = realised(bars, ts_close, self.horizon_ns).ahead
        return Followed(unknown(len(value)), value, ts_close + self.horizon_ns)

    def bounds(self, values: Floats) -> tuple[float, ...]:
        """Give the quantiles of the known values; DataError where none is."""
        return quantiles(values, self.percentiles)


class VolumeUp(_Ahead, frozen=True):
    """Whether more is traded than usual at these hours; the value is over the usual (training.volume)."""

    @property
    def classes(self) -> tuple[str, ...]:
        return CLASSES_OF[Kind.VOLUME]

    def followed(self, bars: BarArrays, ts_close: Ints, atr: Floats) -> Followed:
        value = volume.ahead(bars, ts_close, self.horizon_ns)
        return Followed(above(value, 1.0), value, ts_close + self.horizon_ns)


class Expansion(_Ahead, frozen=True):
    """Whether the range of the coming span is more than `times` the median of the `past` spans before.

    The range is highest high less lowest low; the value is the ratio.
    """

    times: float
    past: int

    @property
    def classes(self) -> tuple[str, ...]:
        return ("usual", "expanding")

    def followed(self, bars: BarArrays, ts_close: Ints, atr: Floats) -> Followed:
        steps = self.horizon_ns // bars.timeframe.ns
        if len(bars) < steps:
            nothing = np.full(len(ts_close), np.nan)
            return Followed(unknown(len(ts_close)), nothing, ts_close + self.horizon_ns)
        window = np.lib.stride_tricks.sliding_window_view
        ranges = window(bars.high, steps).max(axis=1) - window(bars.low, steps).min(axis=1)

        def of(start: Ints) -> Floats:
            span = coming(bars, start, self.horizon_ns)
            return np.where(span.whole, ranges[span.first], np.nan)

        before = np.column_stack([of(ts_close - k * self.horizon_ns) for k in range(1, self.past + 1)])
        usual = row_quantile(before, 0.5, FEWEST)
        value = np.divide(of(ts_close), usual, out=np.full(len(usual), np.nan), where=usual > 0)
        return Followed(above(value, self.times), value, ts_close + self.horizon_ns)


def quantiles(values: Floats, percentiles: Sequence[float]) -> tuple[float, ...]:
    """Give quantiles of the known values, ascending; DataError where none is known."""
    known = values[np.isfinite(values)]
    if not len(known):
        raise DataError("bounds: expected training rows whose future is known; found none")
    return tuple(np.quantile(known, sorted(percentiles)).tolist())


def make_label_volatility(
    bars: BarArrays,
    ts_close: Ints,
    *,
    train: Flags,
    horizon_ns: int = 24 * HOUR,
    percentiles: tuple[float, ...] = (0.2, 0.8),
) -> Kinds:
    """Label decisions 0 (low), 1 (normal), 2 (high) by the volatility of the coming span; else UNKNOWN.

    The percentiles are those of the rows where `train` holds, and of no other.
    """
    _require_shares(percentiles)
    question = Volatility("volatility", horizon_ns, (), percentiles)
    found = question.followed(bars, ts_close, np.ones(len(ts_close)))
    return kinds(found, question.bounds(found.value[train]))


def make_label_volume(
    bars: BarArrays, ts_close: Ints, *, train: Flags | None = None, horizon_ns: int = HOUR
) -> Kinds:
    """Label decisions 1 where more is traded over the coming span than usual at this hour, else 0.

    Usual is the 80th percentile of the same hours on the 30 days before each decision, which needs no
    training rows. With `train` it is the percentile of those rows' volume over that level instead, so
    that a fifth of them is 1 whatever has become of volume since. UNKNOWN where either is not known.
    """
    question = VolumeUp("volume_up", horizon_ns)
    found = question.followed(bars, ts_close, np.ones(len(ts_close)))
    return found.kind if train is None else kinds(found, quantiles(found.value[train], (0.8,)))


def _require_shares(percentiles: tuple[float, ...]) -> None:
    if not percentiles or not all(0.0 < share < 1.0 for share in percentiles):
        raise UsageError(f"percentiles: expected shares between 0 and 1, such as 0.2; found {percentiles}")


def span_ns(decision: Timeframe) -> int:
    """Give the span that events are asked about: an hour, or the decision bar where it is longer."""
    return max(HOUR, decision.ns)
