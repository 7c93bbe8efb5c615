"""How much prices move: bands, realised and jump-free volatility, today's range against yesterday's.

Must not know other families. Called through `FAMILY` by the frame and the fold. A z-score here compares
the value with the window that ended one bar earlier. On real bars `bipower_60` and `rv_60` correlate
at 0.99, and `rv_24` and `volatility` likewise: the jump-free part is what `jump_share_60` is made of, and
realised volatility of a day of hours is what that of an hour of minutes is compared with.
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
    push_rank,
    rank_slots,
    reciprocal,
)
from inference.features.totals import push_sum, sum_slots

COLUMNS = (
    "bollinger_position",  # 20, +-1 at two deviations
    "bollinger_width",  # four deviations, fraction of the mean
    "bollinger_width_z",  # 20
    "true_range_z",  # 20
    "range_expansion",  # mean true range of 5 bars, in ATR
    "range_percentile_60",  # the bar's true range among the 60 before: -1 the narrowest, 1 the widest
    "volatility",  # deviation of 20 log returns
    "rv_15",  # realised volatility: root of the sum of n squared log returns
    "rv_24",
    "rv_60",
    "bipower_60",  # the same without jumps
    "jump_share_60",  # of the realised variance, 0..1
    "volatility_regime",  # ATR against its mean of 120 bars: low below -0.15, high above 0.15
)
(
    _POSITION, _WIDTH, _WIDTH_Z, _RANGE_Z, _EXPANSION, _PERCENTILE, _VOLATILITY,
    _RV_15, _RV_24, _RV_60, _BIPOWER, _JUMPS, _REGIME,
) = range(len(COLUMNS))  # fmt: skip

# Slots of a state row: the last absolute return; mean and deviation of widths and of ranges one bar ago;
# the last four true ranges; windows.
_BEFORE, _WIDTH_MEAN, _RANGE_MEAN, _RECENT, _CLOSES = 0, 1, 3, 5, 9
_WIDTHS = _CLOSES + moment_slots(20)
_RANGES = _WIDTHS + moment_slots(20)
_RETURNS = _RANGES + moment_slots(20)
_RANKS = _RETURNS + moment_slots(20)
_SQUARES_15 = _RANKS + rank_slots(60)
_SQUARES_24 = _SQUARES_15 + sum_slots(15)
_SQUARES_60 = _SQUARES_24 + sum_slots(24)
_PRODUCTS = _SQUARES_60 + sum_slots(60)
_SLOW = _PRODUCTS + sum_slots(60)
_SLOTS = _SLOW + sum_slots(120)


@inlined
def _realised(row: Floats, count: int, change: float, before: float, out: Floats, at: int) -> None:
    """Write realised volatility and its part without jumps (Barndorff-Nielsen and Shephard 2004).

    The bipower variation is pi/2 times the sum of products of neighbours, of which one jump spoils
    two only; what the realised variance has more than that came in jumps (2006, never below 0).
    """
    square = change * change
    out[_RV_15, at] = math.sqrt(push_sum(row, _SQUARES_15, 15, count, square))
    out[_RV_24, at] = math.sqrt(push_sum(row, _SQUARES_24, 24, count, square))
    realised = push_sum(row, _SQUARES_60, 60, count, square)
    bipower = (0.5 * math.pi) * push_sum(row, _PRODUCTS, 60, count, abs(change) * before)
    out[_RV_60, at] = math.sqrt(realised)
    out[_BIPOWER, at] = math.sqrt(bipower)
    out[_JUMPS, at] = max(realised - bipower, 0.0) * reciprocal(realised, TINY * TINY)


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
        before = row[_BEFORE]
        for t in range(plan[k, FIRST], plan[k, STOP]):
            close, atr = bars[CLOSE, t], scales[ATR, at]
            true_range, change = scales[RANGE, at], scales[RETURN, at]
            floor = TINY * close
            width = _bands(row, count, close, out, at)
            out[_WIDTH_Z, at] = _surprise(row, _WIDTH_MEAN, _WIDTHS, count, width, TINY)
            out[_RANGE_Z, at] = _surprise(row, _RANGE_MEAN, _RANGES, count, true_range, floor)
            out[_EXPANSION, at] = _expansion(row, count, true_range, atr, floor)
            out[_PERCENTILE, at] = push_rank(row, _RANKS, 60, count, true_range)
            _, variance = push_moments(row, _RETURNS, 20, count, change)
            out[_VOLATILITY, at] = math.sqrt(variance)
            _realised(row, count, change, before, out, at)
            out[_REGIME, at] = _against_slow(row, count, atr / close)
            before = abs(change)
            count += 1
            at += 1
        row[_BEFORE] = before


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
        "range_percentile_60": 62,
        "volatility": 21,
        "rv_15": 16,
        "rv_24": 25,
        "rv_60": 61,
        "bipower_60": 62,
        "jump_share_60": 62,
        "volatility_regime": 480,
    },
    advance=_advance,
)
