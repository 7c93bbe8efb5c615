"""Where price stands among levels: support, resistance, range, swings, and how straight it moves.

Must not know volume. Called through the catalogue. A level is the price of a swing, high or low alike,
from when it is confirmed until MEMORY bars after its bar; where none lies on a side, the extreme of 60
bars stands in. `level_` columns are prices, for other timeframes to measure from; no model sees them.
"""

import math

from inference.features.family import ATR, BEFORE, CLOSE, COUNT, FIRST, HIGH, LOW, ROW, STOP, TARGET, Family
from inference.features.kernel import Floats, Ints, inlined, kernel
from inference.features.pivots import CONFIRM, pivot_slots, push_pivot
from inference.features.ratios import in_range
from inference.features.rolling import TINY, in_units
from inference.features.totals import push_reach, push_sum, reach_slots, sum_slots

MEMORY = 240
"""Bars for which a swing is remembered."""
LEVELS = 16
"""So many of the last swings are."""
TOUCH = 0.5
"""A swing within so many ATR of a level has touched it."""
_NOWHERE = -math.inf  # an empty place: near no level, however large the ATR

# A state row. The reach of 60 bars as of the bar before; the last swing high and low; how many
# swings were found, how many of them are remembered, the two around the close; their ring, prices and
# then bars; windows.
_HIGHEST, _LOWEST, _TOP, _TOP_BAR, _BOTTOM, _BOTTOM_BAR, _FOUND, _KNOWN, _SUPPORT, _RESISTANCE = range(10)
_PRICES = 10
_BARS = _PRICES + LEVELS
_CLOSES = _BARS + LEVELS
_PATH = _CLOSES + 20
_REACH = _PATH + sum_slots(20)
_PIVOTS = _REACH + reach_slots(60)
_SLOTS = _PIVOTS + pivot_slots()


@inlined
def _remember(row: Floats, price: float, bar: int) -> None:
    place = int(row[_FOUND]) % LEVELS
    row[_PRICES + place] = price
    row[_BARS + place] = bar
    row[_FOUND] += 1.0
    row[_KNOWN] = min(row[_KNOWN] + 1.0, LEVELS)


@inlined
def _forget(row: Floats, count: int) -> bool:
    """Empty the places of swings that are too old; they come in the order of their bars. Tell of any."""
    forgot = False
    while row[_KNOWN] > 0.0:
        place = int(row[_FOUND] - row[_KNOWN]) % LEVELS
        if row[_BARS + place] >= count - MEMORY:
            break
        row[_PRICES + place] = _NOWHERE
        row[_KNOWN] -= 1.0
        forgot = True
    return forgot


@inlined
def _take_swings(row: Floats, count: int, high: float, low: float) -> bool:
    """Take what this bar confirms in; forget what is too old. Tell whether anything changed."""
    top, bottom = push_pivot(row, _PIVOTS, count, high, low)
    bar = count - CONFIRM
    if top > 0.0:
        _remember(row, top, bar)
        row[_TOP], row[_TOP_BAR] = top, bar
    if bottom > 0.0:
        _remember(row, bottom, bar)
        row[_BOTTOM], row[_BOTTOM_BAR] = bottom, bar
    forgot = _forget(row, count)
    if row[_TOP_BAR] < count - MEMORY:
        row[_TOP] = 0.0
    if row[_BOTTOM_BAR] < count - MEMORY:
        row[_BOTTOM] = 0.0
    return forgot | (top > 0.0) | (bottom > 0.0)


@inlined
def _look_around(row: Floats, close: float) -> None:
    """Find the highest remembered swing at or below the close, else 0, and the lowest above it, else inf."""
    support, resistance = 0.0, math.inf
    for k in range(_PRICES, _PRICES + LEVELS):
        price = row[k]
        if (price <= close) & (price > support):
            support = price
        if (price > close) & (price < resistance):
            resistance = price
    row[_SUPPORT], row[_RESISTANCE] = support, resistance


@inlined
def _touches(row: Floats, support: float, resistance: float, within: float) -> tuple[float, float]:
    """Give the shares of all places for swings that are taken by those at either level."""
    held, capped = 0, 0
    for k in range(_PRICES, _PRICES + LEVELS):
        held += abs(row[k] - support) <= within
        capped += abs(row[k] - resistance) <= within
    return held / LEVELS, capped / LEVELS


@inlined
def _breakout(close: float, lowest: float, highest: float, count: int) -> float:
    if count == 0:
        return 0.0
    return float(int(close > highest) - int(close < lowest))


@inlined
def _swing(row: Floats, atr: float, floor: float, at: int, out: Floats) -> None:
    """Write how far and for how long price swung between the last high and the last low."""
    if row[_TOP] == 0.0 or row[_BOTTOM] == 0.0:
        out[7, at] = 0.0
        out[8, at] = 0.0
        return
    bars = row[_TOP_BAR] - row[_BOTTOM_BAR]
    height = in_units(row[_TOP] - row[_BOTTOM], atr, floor)
    out[7, at] = height if bars >= 0.0 else -height
    out[8, at] = min(abs(bars) / 60.0, 1.0)


@inlined
def _chop(row: Floats, count: int, close: float, before: float) -> float:
    """Give 1 less the efficiency of 20 bars (Kaufman, Smarter Trading, 1995): net move over path."""
    path = push_sum(row, _PATH, 20, count, abs(close - before))
    cell = _CLOSES + count % 20
    net = abs(close - row[cell]) if count >= 20 else 0.0
    row[cell] = close
    return 1.0 - min(net / path, 1.0) if path > TINY * close else 1.0


@kernel
def advance(
    state: Floats, plan: Ints, _ts_open: Ints, bars: Floats, _length: int, scales: Floats, out: Floats
) -> None:
    """Measure distances from the close in ATR, and a breakout from the 60 bars before this one."""
    for k in range(plan.shape[0]):
        row = state[plan[k, ROW]]
        count = plan[k, COUNT]
        at = plan[k, TARGET]
        if count == 0:
            row[_PRICES:_BARS] = _NOWHERE
            row[_RESISTANCE] = math.inf
        for t in range(plan[k, FIRST], plan[k, STOP]):
            close = bars[CLOSE, t]
            atr = scales[ATR, at]
            floor = TINY * close
            out[5, at] = _breakout(close, row[_LOWEST], row[_HIGHEST], count)
            highest, lowest = push_reach(row, _REACH, 60, count, bars[HIGH, t], bars[LOW, t])
            row[_HIGHEST], row[_LOWEST] = highest, lowest
            changed = _take_swings(row, count, bars[HIGH, t], bars[LOW, t])
            if changed | (close < row[_SUPPORT]) | (close >= row[_RESISTANCE]):
                _look_around(row, close)
            support = row[_SUPPORT] if row[_SUPPORT] > 0.0 else lowest
            resistance = row[_RESISTANCE] if row[_RESISTANCE] < math.inf else highest
            out[0, at] = in_units(close - support, atr, floor)
            out[1, at] = in_units(resistance - close, atr, floor)
            out[2, at], out[3, at] = _touches(row, support, resistance, TOUCH * atr)
            out[4, at] = in_range(close, lowest, highest)
            out[6, at] = _chop(row, count, close, scales[BEFORE, at])
            _swing(row, atr, floor, at, out)
            out[9, at] = support
            out[10, at] = resistance
            count += 1
            at += 1


_LEVEL = MEMORY + 2 * CONFIRM + 1

FAMILY = Family(
    name="structure",
    columns=(
        "support_distance",  # close over the level below it, in ATR
        "resistance_distance",
        "support_touches",  # share of the last 16 swings that lie within half an ATR of it
        "resistance_touches",
        "range_position_60",  # -1 at the lowest low, 1 at the highest high
        "breakout",  # 1: close above the 60 bars before; -1: below them
        "chop",  # 0 a straight line of 20 bars, 1 back where it began
        "swing",  # from the last swing low to the last high in ATR; below zero if the low came later
        "swing_length",  # bars between both over 60, at most 1
        "level_support",
        "level_resistance",
    ),
    slots=_SLOTS,
    warm_up={
        "support_distance": 340,
        "resistance_distance": 340,
        "support_touches": 340,
        "resistance_touches": 340,
        "range_position_60": 60,
        "breakout": 61,
        "chop": 21,
        "swing": 340,
        "swing_length": _LEVEL,
        "level_support": _LEVEL,
        "level_resistance": _LEVEL,
    },
    advance=advance,
)
