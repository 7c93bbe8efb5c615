"""Where the close lies in its last range: stochastic, commodity channel, place between the extremes.

Must not know other families. Called through `FAMILY` by the frame and the fold. All is signed: 0 is
neutral, a silent market is 0. A family of its own, for a mean distance walks its whole window: who asks
for moves alone does not pay.
"""

from inference.features.family import CLOSE, COUNT, FIRST, HIGH, LOW, ROW, STOP, TARGET, Family
from inference.features.kernel import Floats, Ints, inlined, kernel
from inference.features.rolling import (
    TINY,
    in_units,
    mean_deviation,
    moment_slots,
    push_moments,
    reciprocal,
)
from inference.features.totals import push_reach, reach_slots

COLUMNS = (
    "stochastic_k",  # 14/3, -1..1
    "stochastic_d",  # its average of 3
    "cci",  # 20, hundreds
    "range_position_20",  # the close between the lowest, -1, and the highest, 1
)
_K, _D, _CCI, _POSITION = range(len(COLUMNS))

_CCI_WINDOW = 20

# Slots of a state row: two raw and two smooth %K, then windows.
_TYPICAL = 4
_RANGE_14 = _TYPICAL + moment_slots(_CCI_WINDOW)
_RANGE_20 = _RANGE_14 + reach_slots(14)
_SLOTS = _RANGE_20 + reach_slots(20)


@inlined
def _place(close: float, highest: float, lowest: float, floor: float) -> float:
    """Give where the close lies between the lowest, -1, and the highest, 1."""
    return (close - lowest - (highest - close)) * reciprocal(highest - lowest, floor)


@inlined
def _channel(row: Floats, count: int, typical: float, floor: float) -> float:
    """Give Lambert's commodity channel index (1980) in hundreds."""
    mean, _ = push_moments(row, _TYPICAL, _CCI_WINDOW, count, typical)
    spread = mean_deviation(row, _TYPICAL, _CCI_WINDOW, count, mean)
    return in_units(typical - mean, 1.5 * spread, floor)


@kernel
def _advance(
    state: Floats, plan: Ints, _ts_open: Ints, bars: Floats, _length: int, _scales: Floats, out: Floats
) -> None:
    for k in range(len(plan)):
        row, count, at = state[plan[k, ROW]], plan[k, COUNT], plan[k, TARGET]
        raw_1, raw_2, smooth_1, smooth_2 = row[0], row[1], row[2], row[3]
        for t in range(plan[k, FIRST], plan[k, STOP]):
            high, low, close = bars[HIGH, t], bars[LOW, t], bars[CLOSE, t]
            floor = TINY * close
            highest, lowest = push_reach(row, _RANGE_14, 14, count, high, low)
            raw = _place(close, highest, lowest, floor)
            smooth = (raw + raw_1 + raw_2) * (1 / 3)
            out[_K, at] = smooth
            out[_D, at] = (smooth + smooth_1 + smooth_2) * (1 / 3)
            raw_1, raw_2, smooth_1, smooth_2 = raw, raw_1, smooth, smooth_1
            out[_CCI, at] = _channel(row, count, (high + low + close) * (1 / 3), floor)
            highest, lowest = push_reach(row, _RANGE_20, 20, count, high, low)
            out[_POSITION, at] = _place(close, highest, lowest, floor)
            count += 1
            at += 1
        row[0], row[1], row[2], row[3] = raw_1, raw_2, smooth_1, smooth_2


FAMILY = Family(
    name="oscillators",
    columns=COLUMNS,
    slots=_SLOTS,
    # Windows forget at once.
    warm_up={"stochastic_k": 16, "stochastic_d": 18, "cci": 20, "range_position_20": 20},
    advance=_advance,
)
