"""Wilder's directional movement (New Concepts in Technical Trading Systems, 1978), and the regime it tells.

Must not know other families. Called through `FAMILY` by the frame and the fold. TA-Lib's ADX drops its
first bars, forgotten as soon. Three averages are kept here as well as in the trend family: a family
shares no state, and three additions are cheaper than ADX over there.
"""

from inference.features.family import ATR, CLOSE, COUNT, FIRST, HIGH, LOW, ROW, STOP, TARGET, Family
from inference.features.kernel import Floats, Ints, inlined, kernel
from inference.features.rolling import TINY, in_units, reciprocal

COLUMNS = (
    "adx",  # 14, 0..1, like both lines
    "di_plus",
    "di_minus",
    "trend_regime",  # -1 falling, 1 rising, 0 none: see `_regime`
)
_ADX, _DI_PLUS, _DI_MINUS, _REGIME = range(len(COLUMNS))

_WILDER = 1 / 14
_SLOTS = 8

_NO_TREND = 0.15  # ADX up to which nothing is called a trend
_FULL_TREND = 0.35  # and from which one is called so without reserve
_APART = 10.0  # averages a tenth of ATR apart count as ordered in full


@inlined
def _ordered(a: float, b: float, per: float) -> float:
    return min(max((a - b) * per, -1.0), 1.0)


@inlined
def _regime(adx: float, e9: float, e21: float, e50: float, per: float) -> float:
    """Give the order of the averages 9, 21 and 50, times how far ADX has come from no trend to a full one."""
    order = (_ordered(e9, e21, per) + _ordered(e21, e50, per) + _ordered(e9, e50, per)) * (1 / 3)
    strength = (adx - _NO_TREND) * (1 / (_FULL_TREND - _NO_TREND))
    return order * min(max(strength, 0.0), 1.0)


@kernel
def _advance(
    state: Floats, plan: Ints, _ts_open: Ints, bars: Floats, _length: int, scales: Floats, out: Floats
) -> None:
    for k in range(len(plan)):
        row, at = state[plan[k, ROW]], plan[k, TARGET]
        if plan[k, COUNT] == 0:
            first = plan[k, FIRST]
            row[3], row[4] = bars[HIGH, first], bars[LOW, first]
            row[5:] = bars[CLOSE, first]
        plus, minus, adx = row[0], row[1], row[2]
        highest, lowest = row[3], row[4]
        e9, e21, e50 = row[5], row[6], row[7]
        for t in range(plan[k, FIRST], plan[k, STOP]):
            high, low, close = bars[HIGH, t], bars[LOW, t], bars[CLOSE, t]
            floor = TINY * close
            up, down = high - highest, lowest - low
            plus += ((up if up > down and up > 0.0 else 0.0) - plus) * _WILDER
            minus += ((down if down > up and down > 0.0 else 0.0) - minus) * _WILDER
            adx += (in_units(abs(plus - minus), plus + minus, floor) - adx) * _WILDER
            e9 += (close - e9) * (2 / 10)
            e21 += (close - e21) * (2 / 22)
            e50 += (close - e50) * (2 / 51)
            per = reciprocal(scales[ATR, at], floor)
            out[_ADX, at] = adx
            out[_DI_PLUS, at] = plus * per
            out[_DI_MINUS, at] = minus * per
            out[_REGIME, at] = _regime(adx, e9, e21, e50, _APART * per)
            highest, lowest = high, low
            at += 1
        row[0], row[1], row[2], row[3], row[4] = plus, minus, adx, highest, lowest
        row[5], row[6], row[7] = e9, e21, e50


FAMILY = Family(
    name="direction",
    columns=COLUMNS,
    slots=_SLOTS,
    # ADX averages an average of 14: n (13/14)^n is 1e-9 after 360 bars or so.
    warm_up={"adx": 400, "di_plus": 360, "di_minus": 360, "trend_regime": 650},
    advance=_advance,
)
