"""Columns that wait for a family of their own.

Must not know instruments or files. Called through `catalogue`.
"""

import math

from inference.features.family import ATR, BEFORE, CLOSE, COUNT, FIRST, RETURN, ROW, STOP, TARGET, Family
from inference.features.kernel import Floats, Ints, kernel
from inference.features.rolling import TINY, in_units, lagged, moment_slots, push_moments

_WILDER = 1 / 14
_WINDOW = 20
_GAIN, _LOSS = range(2)
_PRICES = 2
_RETURNS = _PRICES + moment_slots(_WINDOW)


@kernel
def advance(
    state: Floats, plan: Ints, ts_open: Ints, bars: Floats, length: int, scales: Floats, out: Floats
) -> None:
    """Fold bars in."""
    for k in range(plan.shape[0]):
        own = state[plan[k, ROW]]
        count = plan[k, COUNT]
        at = plan[k, TARGET]
        for t in range(plan[k, FIRST], plan[k, STOP]):
            close = bars[CLOSE, t]
            atr = scales[ATR, at]
            floor = TINY * close
            change = close - scales[BEFORE, at]
            own[_GAIN] += (max(change, 0.0) - own[_GAIN]) * _WILDER
            own[_LOSS] += (max(-change, 0.0) - own[_LOSS]) * _WILDER
            out[0, at] = in_units(own[_GAIN] - own[_LOSS], own[_GAIN] + own[_LOSS], floor)
            mean, variance = push_moments(own, _PRICES, _WINDOW, count, close)
            deviation = math.sqrt(variance)
            out[1, at] = in_units(close - mean, 2.0 * deviation, floor)
            out[2, at] = 4.0 * deviation / mean
            for place, lag in enumerate((4, 12)):
                back = lagged(own, _PRICES, _WINDOW, count, lag) if count >= lag else close
                out[3 + place, at] = in_units(close - back, atr, floor)
            _, variance = push_moments(own, _RETURNS, _WINDOW, count, scales[RETURN, at])
            out[5, at] = math.sqrt(variance)
            count += 1
            at += 1


_COLUMNS = ("rsi", "bollinger_position", "bollinger_width", "return_4", "return_12", "volatility")

FAMILY = Family(
    name="legacy",
    columns=_COLUMNS,
    slots=_RETURNS + moment_slots(_WINDOW),
    warm_up=dict.fromkeys(_COLUMNS, 360),
    advance=advance,
)
