"""How far and how fast the close has come: strength of the moves, moves over n bars.

Must not know other families. Called through `FAMILY` by the frame and the fold. All is signed: 0 is
neutral, a silent market is 0. What needs the bars' extremes is in `oscillators`. On real bars `rsi`
correlates at 0.98 with `ema_21` of the trend family, a weighted sum of the same moves: a specification
needs one of them.
"""

from inference.features.family import ATR, BEFORE, CLOSE, COUNT, FIRST, ROW, STOP, TARGET, Family
from inference.features.kernel import Floats, Ints, inlined, kernel
from inference.features.rolling import TINY, bounded, in_units, reciprocal

COLUMNS = (
    "rsi",  # 14, -1..1
    "acceleration",  # return_1 less the one before, in ATR like every move
    "return_4",
    "return_5",
    "return_12",
    "return_15",
    "return_60",
)
_RSI, _ACCELERATION, _RETURN_4, _RETURN_5, _RETURN_12, _RETURN_15, _RETURN_60 = range(len(COLUMNS))

_WILDER = 1 / 14

# Slots of a state row: gain, loss, last move, then closes.
_CLOSES = 3
_KEPT = 64  # closes, a power of two above 60
_SLOTS = _CLOSES + _KEPT


@inlined
def _moves(row: Floats, count: int, close: float, per: float, out: Floats, at: int) -> None:
    """Write the moves over n bars; the first bars reach back to the first close."""
    row[_CLOSES + count % _KEPT] = close
    out[_RETURN_4, at] = bounded((close - row[_CLOSES + max(count - 4, 0) % _KEPT]) * per)
    out[_RETURN_5, at] = bounded((close - row[_CLOSES + max(count - 5, 0) % _KEPT]) * per)
    out[_RETURN_12, at] = bounded((close - row[_CLOSES + max(count - 12, 0) % _KEPT]) * per)
    out[_RETURN_15, at] = bounded((close - row[_CLOSES + max(count - 15, 0) % _KEPT]) * per)
    out[_RETURN_60, at] = bounded((close - row[_CLOSES + max(count - 60, 0) % _KEPT]) * per)


@kernel
def _advance(
    state: Floats, plan: Ints, _ts_open: Ints, bars: Floats, _length: int, scales: Floats, out: Floats
) -> None:
    for k in range(len(plan)):
        row, count, at = state[plan[k, ROW]], plan[k, COUNT], plan[k, TARGET]
        gain, loss, last = row[0], row[1], row[2]
        for t in range(plan[k, FIRST], plan[k, STOP]):
            close = bars[CLOSE, t]
            floor = TINY * close
            per = reciprocal(scales[ATR, at], floor)
            move = close - scales[BEFORE, at]
            gain += (max(move, 0.0) - gain) * _WILDER
            loss += (max(-move, 0.0) - loss) * _WILDER
            out[_RSI, at] = in_units(gain - loss, gain + loss, floor)
            out[_ACCELERATION, at] = bounded((move - last) * per)
            _moves(row, count, close, per, out, at)
            last = move
            count += 1
            at += 1
        row[0], row[1], row[2] = gain, loss, last


FAMILY = Family(
    name="momentum",
    columns=COLUMNS,
    slots=_SLOTS,
    # What is in ATR forgets as it does.
    warm_up=dict.fromkeys(COLUMNS, 360),
    advance=_advance,
)
