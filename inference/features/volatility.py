"""How much prices move: bands, deviation of returns, today's range against yesterday's.

Must not know other families. Called through `FAMILY` by the frame and the fold. A z-score here compares
the value with the window that ended one bar earlier. Longer memories of volatility are in `realised`.
"""

import math

from inference.features.family import (
    ATR,
    CLOSE,
    COUNT,
    FIRST,
    RANGE,
    RETURN,
    ROW,
    STOP,
    TARGET,
    Family,
)
from inference.features.kernel import Floats, Ints, inlined, kernel
from inference.features.rolling import (
    TINY,
    in_units,
    moment_slots,
    push_moments,
    reciprocal,
)
from inference.features.totals import push_sum, sum_slots

COLUMNS = (
    "bollinger_position",  # 20, +-1 at two deviations
    "bollinger_width",  # four deviations, fraction of the mean
    "bollinger_width_z",  # 20
    "true_range_z",  # 20
    "range_expansion",  # mean true range of 5 bars, in ATR
    "volatility",  # deviation of 20 log returns
    "volatility_regime",  # ATR against its mean of 120 bars: low below -0.15, high above 0.15
)
_POSITION, _WIDTH, _WIDTH_Z, _RANGE_Z, _EXPANSION, _VOLATILITY, _REGIME = range(len(COLUMNS))

# Slots of a state row: mean and deviation of widths and of ranges one bar ago; the last four true ranges;
# windows.
_WIDTH_MEAN, _RANGE_MEAN, _RECENT, _CLOSES = 0, 2, 4, 8
_WIDTHS = _CLOSES + moment_slots(20)
_RANGES = _WIDTHS + moment_slots(20)
_RETURNS = _RANGES + moment_slots(20)
_SLOW = _RETURNS + moment_slots(20)
_SLOTS = _SLOW + sum_slots(120)


@inlined
def _bands(row: Floats, count: int, close: float, out: Floats, at: int) -> float:
    """Write Bollinger's bands (20, 2) and give their width."""
    mean, variance = push_moments(row, _CLOSES, 20, count, close)
    deviation = math.sqrt(variance)
    width = 4.0 * deviation / mean
    out[_POSITION, at] = in_units(close - mean, 2.0 * deviation, TINY * close)
    out[_WIDTH, at] = width
    return width


@inlined
def _against_slow(row: Floats, count: int, atr: float) -> float:
    """Give (ATR - mean) / (ATR + mean) of 120 bars, ATR as a fraction of the close: -1..1."""
    mean = push_sum(row, _SLOW, 120, count, atr) * (1 / 120 if count >= 119 else 1 / (count + 1))
    return (atr - mean) * reciprocal(atr + mean, TINY)


@inlined
def _surprise(row: Floats, slot: int, window: int, count: int, value: float, floor: float) -> float:
    """Give a value's z-score against the 20 before it, and take it in; their moments lie at `slot`."""
    z = in_units(value - row[slot], row[slot + 1], floor)
    mean, variance = push_moments(row, window, 20, count, value)
    row[slot] = mean
    row[slot + 1] = math.sqrt(variance)
    return z


@inlined
def _expansion(row: Floats, count: int, true_range: float, unit: float, floor: float) -> float:
    """Give the mean true range of the last 5 bars in units of ATR."""
    total = true_range + row[_RECENT] + row[_RECENT + 1] + row[_RECENT + 2] + row[_RECENT + 3]
    row[_RECENT + 3] = row[_RECENT + 2]
    row[_RECENT + 2] = row[_RECENT + 1]
    row[_RECENT + 1] = row[_RECENT]
    row[_RECENT] = true_range
    return in_units(total, min(count + 1, 5) * unit, floor)


@kernel
def _advance(
    state: Floats, plan: Ints, _ts_open: Ints, bars: Floats, _length: int, scales: Floats, out: Floats
) -> None:
    for k in range(len(plan)):
        row, count, at = state[plan[k, ROW]], plan[k, COUNT], plan[k, TARGET]
        for t in range(plan[k, FIRST], plan[k, STOP]):
            close, atr = bars[CLOSE, t], scales[ATR, at]
            true_range, change = scales[RANGE, at], scales[RETURN, at]
            floor = TINY * close
            width = _bands(row, count, close, out, at)
            out[_WIDTH_Z, at] = _surprise(row, _WIDTH_MEAN, _WIDTHS, count, width, TINY)
            out[_RANGE_Z, at] = _surprise(row, _RANGE_MEAN, _RANGES, count, true_range, floor)
            out[_EXPANSION, at] = _expansion(row, count, true_range, atr, floor)
            _, variance = push_moments(row, _RETURNS, 20, count, change)
            out[_VOLATILITY, at] = math.sqrt(variance)
            out[_REGIME, at] = _against_slow(row, count, atr / close)
            count += 1
            at += 1


FAMILY = Family(
    name="volatility",
    columns=COLUMNS,
    slots=_SLOTS,
    # Windows forget at once (a z-score of widths after two of them), what is in ATR as it does.
    warm_up={
        "bollinger_position": 20,
        "bollinger_width": 20,
        "bollinger_width_z": 40,
        "true_range_z": 22,
        "range_expansion": 360,
        "volatility": 21,
        "volatility_regime": 480,
    },
    advance=_advance,
)
