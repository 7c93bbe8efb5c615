"""How far and how fast the close has come: oscillators, moves over n bars, the place in the last range.

Must not know other families. Called through `FAMILY` by the frame and the fold. All is signed: 0 is
neutral, a silent market is 0. On real bars `rsi` correlates at 0.98 with `ema_21` of the trend family, a
weighted sum of the same moves: a specification needs one of them.
"""

from inference.features.family import (
    ATR,
    BEFORE,
    CLOSE,
    COUNT,
    FIRST,
    HIGH,
    LOW,
    ROW,
    STOP,
    TARGET,
    Family,
)
from inference.features.kernel import Floats, Ints, inlined, kernel
from inference.features.rolling import (
    TINY,
    bounded,
    in_units,
    mean_deviation,
    moment_slots,
    push_moments,
    reciprocal,
)
from inference.features.totals import push_reach, reach_slots

COLUMNS = (
    "rsi",  # 14, -1..1
    "stochastic_k",  # 14/3, -1..1
    "stochastic_d",  # its average of 3
    "cci",  # 20, hundreds
    "range_position_20",  # the close between the lowest, -1, and the highest, 1
    "acceleration",  # return_1 less the one before, in ATR like every move
    "return_4",
    "return_5",
    "return_12",
    "return_15",
    "return_60",
)
(
    _RSI, _K, _D, _CCI, _POSITION, _ACCELERATION, _RETURN_4, _RETURN_5, _RETURN_12, _RETURN_15, _RETURN_60,
) = range(len(COLUMNS))  # fmt: skip

_WILDER = 1 / 14
_CCI_WINDOW = 20

# Slots of a state row: gain, loss, last move, two raw and two smooth %K, then closes and windows.
_CLOSES = 7
_KEPT = 64  # closes, a power of two above 60
_TYPICAL = _CLOSES + _KEPT
_RANGE_14 = _TYPICAL + moment_slots(_CCI_WINDOW)
_RANGE_20 = _RANGE_14 + reach_slots(14)
_SLOTS = _RANGE_20 + reach_slots(20)


@inlined
def _place(close: float, highest: float, lowest: float, floor: float) -> float:
    """Give where the close lies between the lowest, -1, and the highest, 1."""
    return (close - lowest - (highest - close)) * reciprocal(highest - lowest, floor)


@inlined
def _moves(row: Floats, count: int, close: float, per: float, out: Floats, at: int) -> None:
    """Write the moves over n bars; the first bars reach back to the first close."""
    row[_CLOSES + count % _KEPT] = close
    out[_RETURN_4, at] = bounded((close - row[_CLOSES + max(count - 4, 0) % _KEPT]) * per)
    out[_RETURN_5, at] = bounded((close - row[_CLOSES + max(count - 5, 0) % _KEPT]) * per)
    out[_RETURN_12, at] = bounded((close - row[_CLOSES + max(count - 12, 0) % _KEPT]) * per)
    out[_RETURN_15, at] = bounded((close - row[_CLOSES + max(count - 15, 0) % _KEPT]) * per)
    out[_RETURN_60, at] = bounded((close - row[_CLOSES + max(count - 60, 0) % _KEPT]) * per)


@inlined
def _channel(row: Floats, count: int, typical: float, floor: float) -> float:
    """Give Lambert's commodity channel index (1980) in hundreds."""
    mean, _ = push_moments(row, _TYPICAL, _CCI_WINDOW, count, typical)
    spread = mean_deviation(row, _TYPICAL, _CCI_WINDOW, count, mean)
    return in_units(typical - mean, 1.5 * spread, floor)


@kernel
def _advance(
    state: Floats, plan: Ints, _ts_open: Ints, bars: Floats, _length: int, scales: Floats, out: Floats
) -> None:
    for k in range(len(plan)):
        row, count, at = state[plan[k, ROW]], plan[k, COUNT], plan[k, TARGET]
        gain, loss, last = row[0], row[1], row[2]
        raw_1, raw_2, smooth_1, smooth_2 = row[3], row[4], row[5], row[6]
        for t in range(plan[k, FIRST], plan[k, STOP]):
            high, low, close = bars[HIGH, t], bars[LOW, t], bars[CLOSE, t]
            floor = TINY * close
            per = reciprocal(scales[ATR, at], floor)
            move = close - scales[BEFORE, at]
            gain += (max(move, 0.0) - gain) * _WILDER
            loss += (max(-move, 0.0) - loss) * _WILDER
            out[_RSI, at] = in_units(gain - loss, gain + loss, floor)
            highest, lowest = push_reach(row, _RANGE_14, 14, count, high, low)
            raw = _place(close, highest, lowest, floor)
            smooth = (raw + raw_1 + raw_2) * (1 / 3)
            out[_K, at] = smooth
            out[_D, at] = (smooth + smooth_1 + smooth_2) * (1 / 3)
            raw_1, raw_2, smooth_1, smooth_2 = raw, raw_1, smooth, smooth_1
            out[_CCI, at] = _channel(row, count, (high + low + close) * (1 / 3), floor)
            highest, lowest = push_reach(row, _RANGE_20, 20, count, high, low)
            out[_POSITION, at] = _place(close, highest, lowest, floor)
            out[_ACCELERATION, at] = bounded((move - last) * per)
            _moves(row, count, close, per, out, at)
            last = move
            count += 1
            at += 1
        row[0], row[1], row[2] = gain, loss, last
        row[3], row[4], row[5], row[6] = raw_1, raw_2, smooth_1, smooth_2


FAMILY = Family(
    name="momentum",
    columns=COLUMNS,
    slots=_SLOTS,
    # Windows forget at once, what is in ATR as it does.
    warm_up=dict.fromkeys(COLUMNS, 360)
    | {"stochastic_k": 16, "stochastic_d": 18, "cci": 20, "range_position_20": 20},
    advance=_advance,
)
