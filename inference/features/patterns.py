"""Shapes of the last one to four bars, as shares of the range and as signed flags.

Must not know trends. Called through the catalogue. What is long, short or near follows TA-Lib's default
settings: against the mean body or range of the ten (five) bars before the bar in question. Where a
pattern asks for a gap between two bodies it is taken as "no deeper than near": a market without a
close has none. A bar without a range shows no pattern. What equals a limit to 1e-9 counts as equal, so
that neither a tick's rounding nor the first bar decides a flag.
"""

from inference.features.family import CLOSE, COUNT, FIRST, HIGH, LOW, OPEN, ROW, STOP, TARGET, Family
from inference.features.kernel import Floats, Ints, inlined, kernel
from inference.features.ratios import sign
from inference.features.totals import push_sum, sum_slots

_UNDER = 1.0 - 1e-9
_OVER = 1.0 + 1e-9
_SMALL = 0.1  # of the mean range: the largest body of a doji and the longest wick that is none
_PENETRATION = 0.3  # how far into the first body a star's last one must close

# A state row: the last three bars in turn, each with what is asked of it; then three windows.
_BAR = 13
_OPEN, _HIGH, _LOW, _CLOSE, _TOP, _BOTTOM, _BODY, _COLOR, _LONG, _BALD, _BAREFOOT, _NEAR, _FAR = range(_BAR)
_BODIES = 3 * _BAR
_RANGES = _BODIES + sum_slots(10)
_TIGHTS = _RANGES + sum_slots(10)
_SLOTS = _TIGHTS + sum_slots(5)
_SEEN = 12  # the third bar back needs ten before it


@inlined
def _hammer(row: Floats, bar: int, before: int, short: bool) -> float:
    """Give 1 for a hammer (a small body over a long wick, near the low before), -1 for a hanging man."""
    bottom = row[bar + _BOTTOM]
    shape = short & (bottom - row[bar + _LOW] > row[bar + _BODY] * _OVER) & (row[bar + _BALD] > 0.0)
    if not shape:
        return 0.0
    near = row[before + _NEAR]
    hammer = bottom - row[before + _LOW] <= near
    hanging = row[before + _HIGH] - bottom <= near
    return float(int(hammer) - int(hanging))


@inlined
def _shooting_star(row: Floats, bar: int, before: int, short: bool) -> float:
    """Give 1 for an inverted hammer (a small body under a long wick, below the body before), -1 above."""
    top = row[bar + _TOP]
    shape = short & (row[bar + _HIGH] - top > row[bar + _BODY] * _OVER) & (row[bar + _BAREFOOT] > 0.0)
    if not shape:
        return 0.0
    below = row[before + _BOTTOM] - top
    above = row[bar + _BOTTOM] - row[before + _TOP]
    if max(above, below) < -row[before + _NEAR]:
        return 0.0
    return sign(below - above)


@inlined
def _engulfing(row: Floats, bar: int, before: int) -> float:
    """Give the colour of a bar whose body covers the opposite one before it, past at least one end."""
    top, bottom = row[bar + _TOP], row[bar + _BOTTOM]
    covers = (top >= row[before + _TOP]) & (bottom <= row[before + _BOTTOM])
    past = (top > row[before + _TOP]) | (bottom < row[before + _BOTTOM])
    turned = row[bar + _COLOR] != row[before + _COLOR]
    return row[bar + _COLOR] * int(covers & past & turned)


@inlined
def _harami(row: Floats, bar: int, before: int) -> float:
    """Give the colour against that of a long body which holds the small one after it."""
    held = (row[bar + _TOP] <= row[before + _TOP]) & (row[bar + _BOTTOM] >= row[before + _BOTTOM])
    after_long = (row[bar + _LONG] == 0.0) & (row[before + _LONG] > 0.0)
    return -row[before + _COLOR] * int(held & after_long)


@inlined
def _star(row: Floats, bar: int, before: int, third: int) -> float:
    """Give 1 for a morning star, -1 for an evening star: long, small and beyond, well back."""
    color = row[bar + _COLOR]
    sizes = (row[third + _LONG] > 0.0) & (row[before + _LONG] == 0.0) & (row[bar + _LONG] > 0.0)
    if not sizes or color == row[third + _COLOR]:
        return 0.0
    beyond = row[third + _BOTTOM] - row[before + _TOP]
    if color < 0.0:
        beyond = row[before + _BOTTOM] - row[third + _TOP]
    back = (row[bar + _CLOSE] - row[third + _CLOSE]) * color
    far = back > _PENETRATION * row[third + _BODY] * _OVER
    return color * int((beyond >= -row[before + _NEAR]) & far)


@inlined
def _steps_on(row: Floats, before: int, bar: int) -> bool:
    """Tell whether a bar goes on where the one before it came to, in its own direction."""
    color = row[bar + _COLOR]
    opened = (row[bar + _OPEN] - row[before + _OPEN]) * color
    beyond = (row[bar + _OPEN] - row[before + _CLOSE]) * color
    closed = (row[bar + _CLOSE] - row[before + _CLOSE]) * color
    shrunk = row[before + _BODY] - row[bar + _BODY]
    onwards = (closed > 0.0) & (opened > 0.0) & (beyond <= row[before + _NEAR])
    return onwards & (shrunk < row[before + _FAR])


@inlined
def _soldiers(row: Floats, bar: int, before: int, third: int) -> float:
    """Give 1 for three advancing soldiers, -1 for the same downwards: crows as their mirror image."""
    color = row[bar + _COLOR]
    end = _BALD if color > 0.0 else _BAREFOOT
    bare = (row[bar + end] > 0.0) & (row[before + end] > 0.0) & (row[third + end] > 0.0)
    alike = (row[before + _COLOR] == color) & (row[third + _COLOR] == color) & (row[bar + _LONG] > 0.0)
    if not (bare & alike):
        return 0.0
    return color * int(_steps_on(row, before, bar) & _steps_on(row, third, before))


@inlined
def _inside(row: Floats, bar: int, before: int) -> float:
    """Give 1 for a bar within the range of the one before, -1 for one around it."""
    high, low = row[bar + _HIGH], row[bar + _LOW]
    inside = (high < row[before + _HIGH]) & (low > row[before + _LOW])
    outside = (high > row[before + _HIGH]) & (low < row[before + _LOW])
    return float(int(inside) - int(outside))


@inlined
def _take(row: Floats, place: tuple[int, int], count: int, bars: Floats, t: int) -> tuple[bool, bool]:
    """Put bar t in its place; tell whether it is a doji, and shorter than the mean of those before."""
    bar, before = place
    mean_body, mean_range, mean_tight = 0.0, 0.0, 0.0
    if count > 0:
        height = row[before + _HIGH] - row[before + _LOW]
        mean_body = push_sum(row, _BODIES, 10, count - 1, row[before + _BODY]) / 10.0
        mean_range = push_sum(row, _RANGES, 10, count - 1, height) / 10.0
        mean_tight = push_sum(row, _TIGHTS, 5, count - 1, height) / 5.0
    opened, high, low, close = bars[OPEN, t], bars[HIGH, t], bars[LOW, t], bars[CLOSE, t]
    top, bottom = max(opened, close), min(opened, close)
    body = top - bottom
    bare = _SMALL * mean_range * _UNDER
    row[bar + _OPEN], row[bar + _HIGH], row[bar + _LOW], row[bar + _CLOSE] = opened, high, low, close
    row[bar + _TOP], row[bar + _BOTTOM], row[bar + _BODY] = top, bottom, body
    row[bar + _COLOR] = 1.0 if close >= opened else -1.0
    row[bar + _LONG] = int(body > mean_body * _OVER)
    row[bar + _BALD] = int(high - top < bare)
    row[bar + _BAREFOOT] = int(bottom - low < bare)
    row[bar + _NEAR] = 0.2 * mean_tight * _OVER
    row[bar + _FAR] = 0.6 * mean_tight * _UNDER
    return body <= _SMALL * mean_range * _OVER, body < mean_body * _UNDER


@kernel
def advance(
    state: Floats, plan: Ints, _ts_open: Ints, bars: Floats, _length: int, _scales: Floats, out: Floats
) -> None:
    """Write shares of the bar's range, then flags: for bulls 1, for bears -1."""
    for k in range(plan.shape[0]):
        row = state[plan[k, ROW]]
        count = plan[k, COUNT]
        at = plan[k, TARGET]
        bar, before, third = count % 3 * _BAR, (count + 2) % 3 * _BAR, (count + 1) % 3 * _BAR
        for t in range(plan[k, FIRST], plan[k, STOP]):
            doji, short = _take(row, (bar, before), count, bars, t)
            height = row[bar + _HIGH] - row[bar + _LOW]
            color = row[bar + _COLOR]
            share = 1.0 / height if height > 0.0 else 0.0
            out[0, at] = color * row[bar + _BODY] * share
            out[1, at] = (row[bar + _HIGH] - row[bar + _TOP]) * share
            out[2, at] = (row[bar + _BOTTOM] - row[bar + _LOW]) * share
            if height > 0.0 and count >= _SEEN:
                bare = (row[bar + _BALD] > 0.0) & (row[bar + _BAREFOOT] > 0.0)
                out[3, at] = int(doji)
                out[4, at] = _hammer(row, bar, before, short)
                out[5, at] = _shooting_star(row, bar, before, short)
                out[6, at] = _engulfing(row, bar, before)
                out[7, at] = _harami(row, bar, before)
                out[8, at] = _star(row, bar, before, third)
                out[9, at] = _soldiers(row, bar, before, third)
                out[10, at] = _inside(row, bar, before)
                out[11, at] = color * int(bare & (row[bar + _LONG] > 0.0))
            else:
                out[3:, at] = 0.0
            bar, before, third = third, bar, before
            count += 1
            at += 1


_SHARES = (
    "body",  # close over open, as a share of the range: -1..1
    "upper_wick",  # 0..1
    "lower_wick",
)
_FLAGS = (
    "doji",  # 0 or 1
    "hammer",  # -1: hanging man
    "shooting_star",  # 1: inverted hammer
    "engulfing",
    "harami",
    "star",  # morning, evening
    "soldiers",  # -1: crows
    "inside_bar",  # -1: outside
    "marubozu",
)

FAMILY = Family(
    name="patterns",
    columns=(*_SHARES, *_FLAGS),
    slots=_SLOTS,
    warm_up={**dict.fromkeys(_SHARES, 1), **dict.fromkeys(_FLAGS, _SEEN + 1)},
    advance=advance,
)
