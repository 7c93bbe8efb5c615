"""The shape of the last log returns: which side has the tail, and how heavy the tails are.

Must not know other families. Called through `FAMILY` by the frame and the fold. Population moments: over
n returns, skewness is at most about sqrt(n) and kurtosis about n in size.
"""

from inference.features.family import COUNT, FIRST, RETURN, ROW, STOP, TARGET, Family
from inference.features.kernel import Floats, Ints, inlined, kernel
from inference.features.rolling import TINY, push_shape, shape_slots

COLUMNS = ("skew_15", "kurtosis_15", "skew_60", "kurtosis_60")  # kurtosis in excess of the normal's
_SHORT, _LONG = 0, 2  # where each window's two columns begin
_AFTER_SHORT = shape_slots(15)
_SLOTS = _AFTER_SHORT + shape_slots(60)


@inlined
def _write(variance: float, skew: float, kurtosis: float, out: Floats, column: int, at: int) -> None:
    moved = variance > TINY * TINY  # below it returns are the rounding of prices
    out[column, at] = skew if moved else 0.0
    out[column + 1, at] = kurtosis if moved else 0.0


@kernel
def _advance(
    state: Floats, plan: Ints, _ts_open: Ints, _bars: Floats, _length: int, scales: Floats, out: Floats
) -> None:
    for k in range(len(plan)):
        row, count, at = state[plan[k, ROW]], plan[k, COUNT], plan[k, TARGET]
        for _ in range(plan[k, FIRST], plan[k, STOP]):
            change = scales[RETURN, at]
            _, variance, skew, kurtosis = push_shape(row, 0, 15, count, change)
            _write(variance, skew, kurtosis, out, _SHORT, at)
            _, variance, skew, kurtosis = push_shape(row, _AFTER_SHORT, 60, count, change)
            _write(variance, skew, kurtosis, out, _LONG, at)
            count += 1
            at += 1


FAMILY = Family(
    name="moments",
    columns=COLUMNS,
    slots=_SLOTS,
    # The first bar has no return: its 0 must have left the window.
    warm_up={"skew_15": 16, "kurtosis_15": 16, "skew_60": 61, "kurtosis_60": 61},
    advance=_advance,
)
