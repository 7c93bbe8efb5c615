"""Price against its oscillator: two swings of which price went farther and RSI did not.

Must not know levels. Called through the catalogue. Pivots count from when they are confirmed; nothing
here looks at a bar that had not closed. Both swings lie within SPAN bars, and so does what they tell.
"""

from inference.features.family import BEFORE, CLOSE, COUNT, FIRST, HIGH, LOW, ROW, STOP, TARGET, Family
from inference.features.kernel import Floats, Ints, inlined, kernel
from inference.features.pivots import CONFIRM, pivot_slots, push_pivot
from inference.features.rolling import TINY

SPAN = 60
"""Bars between two swings that are compared, and for which the comparison is remembered."""
_WILDER = 1 / 14
_LAG = CONFIRM + 1

# A state row; of each side: price, RSI and bar of its last swing, and the strength of what it showed.
_GAIN, _LOSS = range(2)
_TOP = 2
_BOTTOM = 6
_PRICE, _RSI, _BAR, _STRENGTH = range(4)
_RSIS = 10
_PIVOTS = _RSIS + _LAG
_SLOTS = _PIVOTS + pivot_slots()
_NEVER = -(10**6)


@inlined
def _rsi(row: Floats, change: float, floor: float) -> float:
    """Give Wilder's relative strength index (New Concepts, 1978) over 14 bars as 0..1."""
    row[_GAIN] += (max(change, 0.0) - row[_GAIN]) * _WILDER
    row[_LOSS] += (max(-change, 0.0) - row[_LOSS]) * _WILDER
    both = row[_GAIN] + row[_LOSS]
    return row[_GAIN] / both if both > floor else 0.5


@inlined
def _swing(row: Floats, side: int, bar: int, price: float, rsi: float) -> None:
    """Compare a confirmed swing with the one before it on the same side, then put it in its place."""
    direction = 1.0 if side == _TOP else -1.0
    near = bar - row[side + _BAR] <= SPAN
    farther = (price - row[side + _PRICE]) * direction > 0.0
    weaker = (row[side + _RSI] - rsi) * direction
    row[side + _STRENGTH] = max(weaker, 0.0) if near and farther else 0.0
    row[side + _PRICE] = price
    row[side + _RSI] = rsi
    row[side + _BAR] = bar


@inlined
def _told(row: Floats, side: int, count: int) -> float:
    """Give the bar of a side's last swing if it diverged and is not too old."""
    fresh = row[side + _STRENGTH] > 0.0 and count - row[side + _BAR] < SPAN
    return row[side + _BAR] if fresh else _NEVER


@kernel
def advance(
    state: Floats, plan: Ints, _ts_open: Ints, bars: Floats, _length: int, scales: Floats, out: Floats
) -> None:
    """Tell the later of both sides' divergences: bullish above zero, bearish below."""
    for k in range(plan.shape[0]):
        row = state[plan[k, ROW]]
        count = plan[k, COUNT]
        at = plan[k, TARGET]
        if count == 0:
            row[_TOP + _BAR] = _NEVER
            row[_BOTTOM + _BAR] = _NEVER
        for t in range(plan[k, FIRST], plan[k, STOP]):
            close = bars[CLOSE, t]
            row[_RSIS + count % _LAG] = _rsi(row, close - scales[BEFORE, at], TINY * close)
            then = row[_RSIS + (count + 1) % _LAG]
            high, low = push_pivot(row, _PIVOTS, count, bars[HIGH, t], bars[LOW, t])
            if high > 0.0:
                _swing(row, _TOP, count - CONFIRM, high, then)
            if low > 0.0:
                _swing(row, _BOTTOM, count - CONFIRM, low, then)
            top = _told(row, _TOP, count)
            bottom = _told(row, _BOTTOM, count)
            latest = max(top, bottom)
            strength = row[_BOTTOM + _STRENGTH] if bottom > top else -row[_TOP + _STRENGTH]
            out[0, at] = strength if latest >= 0.0 else 0.0
            out[1, at] = (count - latest) / SPAN if latest >= 0.0 else 1.0
            count += 1
            at += 1


_WARM_UP = 340 + 2 * SPAN + CONFIRM + 1

FAMILY = Family(
    name="divergence",
    columns=(
        "rsi_divergence",  # by how much RSI fell short of the swing before: bullish 0..1, bearish -1..0
        "rsi_divergence_age",  # bars since that swing over 60, 1 where nothing diverges
    ),
    slots=_SLOTS,
    warm_up={"rsi_divergence": _WARM_UP, "rsi_divergence_age": _WARM_UP},
    advance=advance,
)
