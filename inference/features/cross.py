"""Columns made of several timeframes at once, at the decision.

Must not know where the inputs come from. Called by frame and fold, which hand the same numbers to the same
kernels; whether they may be used is theirs to say. Each kernel is told `values` [inputs, n] in the order of
`needs`, a timeframe after the other, `scales` [2, n] (ATR in price and close, both of the decision's
timeframe) and `lengths` [timeframes] in units of the decision's.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from inference.features.kernel import Floats, kernel
from inference.features.rolling import LIMIT, TINY, in_units

Combine = Callable[[Floats, Floats, Floats, Floats], None]
"""combine(values [inputs, n], scales [2, n], lengths [timeframes], out [n])."""

_LOGS = 5.0  # a ratio beyond exp(5) says no more than that it is large


class CrossColumn(NamedTuple):
    """What a column needs of each of its timeframes, and how many of those it takes."""

    needs: tuple[str, ...]
    least: int
    most: int
    combine: Combine


@kernel
def _log_ratio(above: float, below: float) -> float:
    """Give log(above / below) within +-5, 0 where either is nothing."""
    if above <= TINY or below <= TINY:
        return 0.0
    return min(max(math.log(above / below), -_LOGS), _LOGS)


@kernel
def _alignment(values: Floats, scales: Floats, lengths: Floats, out: Floats) -> None:
    """Mean over timeframes of the averages' cross (9 over 21), an ATR or more counting as 1.

    Not of `trend_regime`: that remembers 650 bars, which are 108 days of four hours.
    """
    for k in range(out.size):
        total = 0.0
        for row in range(values.shape[0]):
            total += min(max(values[row, k], -1.0), 1.0)
        out[k] = total / values.shape[0]


@kernel
def _conflict(values: Floats, scales: Floats, lengths: Floats, out: Floats) -> None:
    """Half the distance between the most rising and the most falling timeframe: 0 all alike, 1 opposed."""
    for k in range(out.size):
        highest, lowest = -1.0, 1.0
        for row in range(values.shape[0]):
            one = min(max(values[row, k], -1.0), 1.0)
            highest = max(highest, one)
            lowest = min(lowest, one)
        out[k] = (highest - lowest) / 2.0


@kernel
def _support(values: Floats, scales: Floats, lengths: Floats, out: Floats) -> None:
    """Distance of the close to the nearest level below it, in the decision's ATR; 20 where there is none."""
    for k in range(out.size):
        nearest = LIMIT
        for row in range(values.shape[0]):
            away = in_units(scales[1, k] - values[row, k], scales[0, k], TINY * scales[1, k])
            if values[row, k] <= scales[1, k]:
                nearest = min(nearest, away)
        out[k] = nearest


@kernel
def _resistance(values: Floats, scales: Floats, lengths: Floats, out: Floats) -> None:
    """Distance of the nearest level above the close, in the decision's ATR; 20 where there is none."""
    for k in range(out.size):
        nearest = LIMIT
        for row in range(values.shape[0]):
            away = in_units(values[row, k] - scales[1, k], scales[0, k], TINY * scales[1, k])
            if values[row, k] >= scales[1, k]:
                nearest = min(nearest, away)
        out[k] = nearest


@kernel
def _volatility(values: Floats, scales: Floats, lengths: Floats, out: Floats) -> None:
    """Mean of the timeframes' volatility regimes."""
    for k in range(out.size):
        total = 0.0
        for row in range(values.shape[0]):
            total += values[row, k]
        out[k] = total / values.shape[0]


@kernel
def _atr_ratio(values: Floats, scales: Floats, lengths: Floats, out: Floats) -> None:
    """Log of the decision's ATR to that of the other timeframe, both per root of time: 0 a random walk."""
    root = math.sqrt(lengths[0])
    for k in range(out.size):
        out[k] = _log_ratio(scales[0, k] / scales[1, k] * root, values[0, k])


@kernel
def _rv_ratio(values: Floats, scales: Floats, lengths: Floats, out: Floats) -> None:
    """Log of the last 60 short bars' realised volatility to that of the last 24 long ones, per root of time.

    With minutes and hours: the last hour's against an hour of the last day's.
    """
    short = math.sqrt(60.0 * lengths[0])
    long = math.sqrt(24.0 * lengths[1])
    for k in range(out.size):
        out[k] = _log_ratio(values[0, k] / short, values[3, k] / long)


@kernel
def _volume_gap(values: Floats, scales: Floats, lengths: Floats, out: Floats) -> None:
    """Volume of 60 short bars to 240, less volume of 5 long ones to 60, in logs."""
    for k in range(out.size):
        out[k] = values[0, k] - values[3, k]


@kernel
def _vwap(values: Floats, scales: Floats, lengths: Floats, out: Floats) -> None:
    """Distance of the close to the shorter timeframe's VWAP of 60 bars, in the decision's ATR."""
    for k in range(out.size):
        scale = scales[0, k] / scales[1, k]
        out[k] = in_units(values[0, k] * values[1, k], scale, TINY)


_MANY = 7
CROSS = {
    "trend_alignment": CrossColumn(("ema_cross",), 2, _MANY, _alignment),
    "trend_conflict": CrossColumn(("ema_cross",), 2, _MANY, _conflict),
    "higher_support": CrossColumn(("level_support",), 1, _MANY, _support),
    "higher_resistance": CrossColumn(("level_resistance",), 1, _MANY, _resistance),
    "higher_volatility": CrossColumn(("volatility_regime",), 1, _MANY, _volatility),
    "atr_ratio": CrossColumn(("atr",), 1, 1, _atr_ratio),
    "rv_ratio": CrossColumn(("rv_60", "rv_24"), 2, 2, _rv_ratio),
    "volume_gap": CrossColumn(("volume_mean_60", "volume_mean_5"), 2, 2, _volume_gap),
    "vwap_60": CrossColumn(("vwap_60", "atr"), 1, 1, _vwap),
}
"""All cross columns by name."""
