"""The base family: how far prices move, against which every other family measures.

Must not know what is made of it. Run first in every timeframe; it alone writes `scales`.
"""

import math

from inference.features.family import (
    ATR,
    BEFORE,
    CLOSE,
    COUNT,
    FIRST,
    HIGH,
    LOW,
    RANGE,
    RETURN,
    ROW,
    STOP,
    TARGET,
    Family,
)
from inference.features.kernel import Floats, Ints, kernel
from inference.features.rolling import TINY, in_units

_WILDER = 1 / 14
_ATR, _CLOSE = range(2)


@kernel
def advance(
    state: Floats, plan: Ints, ts_open: Ints, bars: Floats, length: int, scales: Floats, out: Floats
) -> None:
    """Average true range (Wilder, New Concepts, 1978) and the last move in units of it."""
    for k in range(plan.shape[0]):
        row = plan[k, ROW]
        atr = state[row, _ATR]
        before = state[row, _CLOSE]
        if plan[k, COUNT] == 0:
            first = plan[k, FIRST]
            atr = bars[HIGH, first] - bars[LOW, first]
            before = bars[CLOSE, first]
        at = plan[k, TARGET]
        for t in range(plan[k, FIRST], plan[k, STOP]):
            close = bars[CLOSE, t]
            true_range = max(bars[HIGH, t], before) - min(bars[LOW, t], before)
            atr += (true_range - atr) * _WILDER
            scales[ATR, at] = atr
            scales[RETURN, at] = math.log(close / before)
            scales[RANGE, at] = true_range
            scales[BEFORE, at] = before
            out[0, at] = atr / close
            out[1, at] = in_units(close - before, atr, TINY * close)
            before = close
            at += 1
        state[row, _ATR] = atr
        state[row, _CLOSE] = before


FAMILY = Family(
    name="scale",
    columns=(
        "atr",  # 14, fraction of close
        "return_1",  # the last move in ATR
    ),
    slots=2,
    warm_up={"atr": 340, "return_1": 340},
    advance=advance,
)
