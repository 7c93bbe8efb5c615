"""How much prices have moved over longer: realised and jump-free volatility, the rank of a bar's range.

Must not know other families. Called through `FAMILY` by the frame and the fold. A family of its own, for
its windows are many: who asks for bands alone does not pay. On real bars `bipower_60` and `rv_60`
correlate at 0.99, and `rv_24` and `volatility` likewise: the jump-free part is what `jump_share_60` is
made of, and realised volatility of a day of hours is what that of an hour of minutes is compared with.
"""

import math

from inference.features.family import COUNT, FIRST, RANGE, RETURN, ROW, STOP, TARGET, Family
from inference.features.kernel import Floats, Ints, inlined, kernel
from inference.features.rolling import TINY, push_rank, rank_slots, reciprocal
from inference.features.totals import push_sum, sum_slots

COLUMNS = (
    "range_percentile_60",  # the bar's true range among the 60 before: -1 the narrowest, 1 the widest
    "rv_15",  # realised volatility: root of the sum of n squared log returns
    "rv_24",
    "rv_60",
    "bipower_60",  # the same without jumps
    "jump_share_60",  # of the realised variance, 0..1
)
_PERCENTILE, _RV_15, _RV_24, _RV_60, _BIPOWER, _JUMPS = range(len(COLUMNS))

# Slots of a state row: the last absolute return, then windows.
_BEFORE, _RANKS = 0, 1
_SQUARES_15 = _RANKS + rank_slots(60)
_SQUARES_24 = _SQUARES_15 + sum_slots(15)
_SQUARES_60 = _SQUARES_24 + sum_slots(24)
_PRODUCTS = _SQUARES_60 + sum_slots(60)
_SLOTS = _PRODUCTS + sum_slots(60)


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


@kernel
def _advance(
    state: Floats, plan: Ints, _ts_open: Ints, _bars: Floats, _length: int, scales: Floats, out: Floats
) -> None:
    for k in range(len(plan)):
        row, count, at = state[plan[k, ROW]], plan[k, COUNT], plan[k, TARGET]
        before = row[_BEFORE]
        for _ in range(plan[k, FIRST], plan[k, STOP]):
            change = scales[RETURN, at]
            out[_PERCENTILE, at] = push_rank(row, _RANKS, 60, count, scales[RANGE, at])
            _realised(row, count, change, before, out, at)
            before = abs(change)
            count += 1
            at += 1
        row[_BEFORE] = before


FAMILY = Family(
    name="realised",
    columns=COLUMNS,
    slots=_SLOTS,
    # Windows forget at once.
    warm_up={
        "range_percentile_60": 62,
        "rv_15": 16,
        "rv_24": 25,
        "rv_60": 61,
        "bipower_60": 62,
        "jump_share_60": 62,
    },
    advance=_advance,
)
