"""Columns that wait for a family of their own.

Must not know instruments or files. Called through `catalogue`.
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
    RETURN,
    ROW,
    STOP,
    TARGET,
    VOLUME,
    Family,
)
from inference.features.kernel import Floats, Ints, kernel
from inference.features.rolling import TINY, in_units, lagged, moment_slots, push_moments

_WILDER = 1 / 14
_SIGNAL_ALPHA = 2 / 10
_ALPHA = (2 / 6, 2 / 10, 2 / 22, 2 / 51, 2 / 13, 2 / 27)  # spans 5, 9, 21, 50, 12, 26
_WINDOW = 20

# The six averages of close come first, in the order of _ALPHA.
_EMA_9, _EMA_21, _EMA_12, _EMA_26 = 1, 2, 4, 5
_SIGNAL, _GAIN, _LOSS, _PLUS, _MINUS, _ADX, _HIGH, _LOW = range(6, 14)
_PRICES = 14
_MOMENTS = moment_slots(_WINDOW)
_VOLUMES = _PRICES + _MOMENTS
_TURNOVERS = _VOLUMES + _MOMENTS
_RETURNS = _TURNOVERS + _MOMENTS


@kernel
def _trend(state: Floats, close: float, before: float, atr: float, out: Floats, at: int) -> None:
    for slot in range(6):
        state[slot] += (close - state[slot]) * _ALPHA[slot]
    floor = TINY * close
    for slot in range(4):
        out[slot, at] = in_units(close - state[slot], atr, floor)
    out[4, at] = in_units(state[_EMA_9] - state[_EMA_21], atr, floor)
    macd = state[_EMA_12] - state[_EMA_26]
    state[_SIGNAL] += (macd - state[_SIGNAL]) * _SIGNAL_ALPHA
    out[5, at] = in_units(macd, atr, floor)
    out[6, at] = in_units(macd - state[_SIGNAL], atr, floor)
    change = close - before
    state[_GAIN] += (max(change, 0.0) - state[_GAIN]) * _WILDER
    state[_LOSS] += (max(-change, 0.0) - state[_LOSS]) * _WILDER
    out[7, at] = in_units(state[_GAIN] - state[_LOSS], state[_GAIN] + state[_LOSS], floor)


@kernel
def _direction(
    state: Floats, high: float, low: float, floor: float, atr: float, out: Floats, at: int
) -> None:
    up = high - state[_HIGH]
    down = state[_LOW] - low
    state[_HIGH] = high
    state[_LOW] = low
    plus = up if up > down and up > 0.0 else 0.0
    minus = down if down > up and down > 0.0 else 0.0
    state[_PLUS] += (plus - state[_PLUS]) * _WILDER
    state[_MINUS] += (minus - state[_MINUS]) * _WILDER
    plus = state[_PLUS]
    minus = state[_MINUS]
    state[_ADX] += (in_units(abs(plus - minus), plus + minus, floor) - state[_ADX]) * _WILDER
    out[8, at] = state[_ADX]
    out[9, at] = in_units(plus, atr, floor)
    out[10, at] = in_units(minus, atr, floor)


@kernel
def _windows(
    state: Floats, count: int, close: float, typical: float, volume: float, moved: float, atr: float,
    out: Floats, at: int,
) -> None:  # fmt: skip
    floor = TINY * close
    mean, variance = push_moments(state, _PRICES, _WINDOW, count, close)
    deviation = math.sqrt(variance)
    out[11, at] = in_units(close - mean, 2.0 * deviation, floor)
    out[12, at] = 4.0 * deviation / mean
    traded, variance = push_moments(state, _VOLUMES, _WINDOW, count, volume)
    out[13, at] = in_units(volume - traded, math.sqrt(variance), TINY * traded)
    turnover, _ = push_moments(state, _TURNOVERS, _WINDOW, count, typical * volume)
    out[14, at] = in_units(close - turnover / traded, atr, floor) if traded > 0.0 else 0.0
    for k, lag in enumerate((4, 12)):
        back = lagged(state, _PRICES, _WINDOW, count, lag) if count >= lag else close
        out[15 + k, at] = in_units(close - back, atr, floor)
    _, variance = push_moments(state, _RETURNS, _WINDOW, count, moved)
    out[17, at] = math.sqrt(variance)


@kernel
def advance(
    state: Floats, plan: Ints, ts_open: Ints, bars: Floats, length: int, scales: Floats, out: Floats
) -> None:
    """Fold bars in; the rolling VWAP takes the typical price, for most recorded series lack a vwap."""
    for k in range(plan.shape[0]):
        own = state[plan[k, ROW]]
        count = plan[k, COUNT]
        first = plan[k, FIRST]
        if count == 0:
            for slot in range(6):
                own[slot] = bars[CLOSE, first]
            own[_HIGH] = bars[HIGH, first]
            own[_LOW] = bars[LOW, first]
        at = plan[k, TARGET]
        for t in range(first, plan[k, STOP]):
            high, low, close, volume = bars[HIGH, t], bars[LOW, t], bars[CLOSE, t], bars[VOLUME, t]
            atr = scales[ATR, at]
            _trend(own, close, scales[BEFORE, at], atr, out, at)
            _direction(own, high, low, TINY * close, atr, out, at)
            _windows(own, count, close, (high + low + close) / 3.0, volume, scales[RETURN, at], atr, out, at)
            count += 1
            at += 1


_COLUMNS = (
    "ema_5", "ema_9", "ema_21", "ema_50", "ema_cross", "macd", "macd_histogram", "rsi",
    "adx", "di_plus", "di_minus", "bollinger_position", "bollinger_width", "volume_z", "vwap_distance",
    "return_4", "return_12", "volatility",
)  # fmt: skip

FAMILY = Family(
    name="legacy",
    columns=_COLUMNS,
    slots=_RETURNS + _MOMENTS,
    warm_up={column: 600 if column == "ema_50" else 340 for column in _COLUMNS},
    advance=advance,
)
