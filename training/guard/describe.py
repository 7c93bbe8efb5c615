"""What makes a market look real, in figures: the same for recorded and for made minute bars.

Must not know where bars come from. Called by training.guard.cli and by tests.
"""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import DAY, HOUR, MINUTE
from feeds.lake import BarArrays

Floats = npt.NDArray[np.float64]

LAGS = (1, 15, 60, 1440)
"""Minutes between the two |returns| that are compared."""


class Facts(msgspec.Struct, frozen=True):
    """One instrument's minutes. Returns are logs, only between minutes that follow each other."""

    instrument: str
    minutes: int
    missing_share: float
    quiet_share: float
    deviation_bps: float
    kurtosis_1m: float
    kurtosis_15m: float
    kurtosis_1h: float
    range_over_deviation: float
    """Mean log(high / low) over the deviation of returns; 1.6 for a normal walk."""
    return_acf_1: float
    absolute_acf: tuple[float, ...]
    """At LAGS."""
    hours: tuple[float, ...]
    """Mean |return| of each hour UTC over the mean of all."""
    weekdays: tuple[float, ...]
    """Monday first."""
    volume_hours: tuple[float, ...]
    log_volume_deviation: float
    log_volume_acf: tuple[float, ...]
    """At LAGS, minutes with volume."""
    volume_move_correlation: float
    """Of log volume and log |return|, minutes that have both."""


def describe(bars: BarArrays) -> Facts:
    """Measure one instrument's minute bars."""
    ts, close = bars.ts_open, bars.close
    follows = np.diff(ts) == MINUTE
    moved = np.diff(np.log(close))[follows]
    size = np.abs(moved)
    at, volume = ts[1:][follows], bars.volume[1:][follows]
    hour, weekday = at // HOUR % 24, (at // DAY + 3) % 7
    busy = (volume > 0.0) & (size > 0.0)
    spans = (ts[-1] - ts[0]) // MINUTE + 1
    return Facts(
        instrument=bars.instrument,
        minutes=len(bars),
        missing_share=float(1.0 - len(bars) / spans),
        quiet_share=float(np.mean(bars.trades == 0)),
        deviation_bps=float(moved.std() * 1e4),
        kurtosis_1m=kurtosis(moved),
        kurtosis_15m=kurtosis(_summed(moved, 15)),
        kurtosis_1h=kurtosis(_summed(moved, 60)),
        range_over_deviation=float(np.mean(np.log(bars.high / bars.low)) / moved.std()),
        return_acf_1=correlation_at(moved, 1),
        absolute_acf=tuple(correlation_at(size, lag) for lag in LAGS),
        hours=_profile(size, hour, 24),
        weekdays=_profile(size, weekday, 7),
        volume_hours=_profile(volume, hour, 24),
        log_volume_deviation=float(np.log(volume[volume > 0.0]).std()),
        log_volume_acf=tuple(correlation_at(np.log(volume[volume > 0.0]), lag) for lag in LAGS),
        volume_move_correlation=float(np.corrcoef(np.log(volume[busy]), np.log(size[busy]))[0, 1]),
    )


def kurtosis(values: Floats) -> float:
    """Give the fourth moment over the squared variance; 3 for a normal."""
    centred = values - values.mean()
    return float(np.mean(centred**4) / np.mean(centred**2) ** 2)


def correlation_at(values: Floats, lag: int) -> float:
    """Give the correlation of values with those `lag` places later."""
    return float(np.corrcoef(values[:-lag], values[lag:])[0, 1])


def _summed(values: Floats, count: int) -> Floats:
    whole = len(values) // count * count
    sums: Floats = values[:whole].reshape(-1, count).sum(axis=1)
    return sums


def _profile(values: Floats, group: npt.NDArray[np.int64], count: int) -> tuple[float, ...]:
    """Mean of each group over the mean of all; 0 for a group without rows."""
    rows = np.bincount(group, minlength=count)
    means = np.bincount(group, values, count) / np.maximum(rows, 1)
    return tuple((means / values.mean()).tolist())


def as_rows(facts: Sequence[Facts]) -> Iterator[str]:
    """Give a Markdown table: one line per figure, one column per instrument."""
    yield "| figure | " + " | ".join(one.instrument for one in facts) + " |"
    yield "|---|" + "---:|" * len(facts)
    for field in msgspec.structs.fields(Facts)[1:]:
        shown = (_shown(getattr(one, field.name)) for one in facts)
        yield f"| {field.name} | " + " | ".join(shown) + " |"


def _shown(value: float | tuple[float, ...]) -> str:
    if isinstance(value, tuple):
        return " ".join(f"{part:.2f}" for part in value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
