"""Where the close stands to its averages, how these stand to each other, and where they are going.

Must not know other families. Called through `FAMILY` by the frame and the fold. Distances are in ATR.
Exponential averages start at the first bar; TA-Lib's start from a simple average, forgotten as soon.
On real bars (1m, 15m, 1h) `sma_20` and `ema_21` correlate at 0.98: a specification needs one of them.
"""

from inference.features.family import ATR, CLOSE, COUNT, FIRST, ROW, STOP, TARGET, Family
from inference.features.kernel import Floats, Ints, inlined, kernel
from inference.features.rolling import (
    TINY,
    bounded,
    line_slots,
    moment_slots,
    push_line,
    push_moments,
    reciprocal,
)

COLUMNS = (
    "sma_20",  # close over its average
    "sma_50",
    "ema_5",
    "ema_9",
    "ema_21",
    "ema_50",
    "ema_cross",  # ema 9 over ema 21
    "ema_ribbon",  # from the highest to the lowest of the averages 5, 9, 21 and 50
    "ema_order",  # pairs of those with the faster above less pairs below, of all six: -1 to 1
    "macd",  # 12/26
    "macd_histogram",  # macd over its average of 9
    "trend_slope",  # of the least-squares line through 20 closes, in ATR per bar
)
(
    _SMA_20, _SMA_50, _EMA_5, _EMA_9, _EMA_21, _EMA_50,
    _CROSS, _RIBBON, _ORDER, _MACD, _HISTOGRAM, _SLOPE,
) = range(len(COLUMNS))  # fmt: skip

# Slots of a state row: seven averages, then two windows.
_FAST, _SIGNAL, _LINE = 6, 6, 7
_MEAN = _LINE + line_slots(20)
_SLOTS = _MEAN + moment_slots(50)

_APART = 10.0  # averages a tenth of ATR apart count as ordered in full, nearer ones in part: no flicker


@inlined
def _ordered(a: float, b: float, c: float, d: float, per: float) -> float:
    """Give how far four averages, fastest first, are in order: 1 rising, -1 falling."""
    whole = 0.0
    for gap in (a - b, a - c, a - d, b - c, b - d, c - d):
        whole += min(max(gap * per, -1.0), 1.0)
    return whole * (1 / 6)


@kernel
def _advance(
    state: Floats, plan: Ints, _ts_open: Ints, bars: Floats, _length: int, scales: Floats, out: Floats
) -> None:
    for k in range(len(plan)):
        row, count = state[plan[k, ROW]], plan[k, COUNT]
        at = plan[k, TARGET]
        if count == 0:
            row[:_SIGNAL] = bars[CLOSE, plan[k, FIRST]]
        e5, e9, e21, e50, e12, e26, signal = row[0], row[1], row[2], row[3], row[4], row[5], row[6]
        for t in range(plan[k, FIRST], plan[k, STOP]):
            close = bars[CLOSE, t]
            per = reciprocal(scales[ATR, at], TINY * close)
            e5 += (close - e5) * (2 / 6)
            e9 += (close - e9) * (2 / 10)
            e21 += (close - e21) * (2 / 22)
            e50 += (close - e50) * (2 / 51)
            e12 += (close - e12) * (2 / 13)
            e26 += (close - e26) * (2 / 27)
            macd = e12 - e26
            signal += (macd - signal) * (2 / 10)
            mean_20, slope = push_line(row, _LINE, 20, count, close)
            mean_50, _ = push_moments(row, _MEAN, 50, count, close)
            out[_SMA_20, at] = bounded((close - mean_20) * per)
            out[_SMA_50, at] = bounded((close - mean_50) * per)
            out[_EMA_5, at] = bounded((close - e5) * per)
            out[_EMA_9, at] = bounded((close - e9) * per)
            out[_EMA_21, at] = bounded((close - e21) * per)
            out[_EMA_50, at] = bounded((close - e50) * per)
            out[_CROSS, at] = bounded((e9 - e21) * per)
            out[_RIBBON, at] = bounded((max(e5, e9, e21, e50) - min(e5, e9, e21, e50)) * per)
            out[_ORDER, at] = _ordered(e5, e9, e21, e50, _APART * per)
            out[_MACD, at] = bounded(macd * per)
            out[_HISTOGRAM, at] = bounded((macd - signal) * per)
            out[_SLOPE, at] = bounded(slope * per)
            count += 1
            at += 1
        row[0], row[1], row[2], row[3], row[4], row[5], row[6] = e5, e9, e21, e50, e12, e26, signal


FAMILY = Family(
    name="trend",
    columns=COLUMNS,
    slots=_SLOTS,
    # ATR's 14 is in each; an average of span n keeps 1e-11 of its start after 12.7 (n + 1) bars.
    warm_up=dict.fromkeys(COLUMNS, 360) | dict.fromkeys(("ema_50", "ema_ribbon", "ema_order"), 650),
    advance=_advance,
)
