"""Bursts of volume: how far a bar exceeds nearly all of the hour of bars before it.

Must not know other columns of volume. Called through the catalogue. A family of its own, for its whole
window is looked at for every bar: who does not ask for it does not pay.
"""

import math

from inference.features.family import COUNT, FIRST, ROW, STOP, TARGET, VOLUME, Family
from inference.features.kernel import Floats, Ints, inlined, kernel

BURST = 3
"""The third highest of 60 volumes is the least of the top 5 %; what exceeds it is a burst."""
BURST_LIMIT = 5.0
_WINDOW = 60


@inlined
def _burst(state: Floats, count: int, volume: float) -> float:
    """Give log(volume / third highest of the 60 bars before), 0 unless above it; bounded.

    Counting what is no smaller is quick; only a burst, one bar in twenty, pays for the search.
    """
    if count < _WINDOW:
        return 0.0
    larger = 0
    for k in range(_WINDOW):
        larger += state[k] >= volume
    if larger >= BURST or volume <= 0.0:
        return 0.0
    first, second, third = 0.0, 0.0, 0.0
    for k in range(_WINDOW):
        value = state[k]
        if value > first:
            first, second, third = value, first, second
        elif value > second:
            second, third = value, second
        elif value > third:
            third = value
    if third <= 0.0:
        return BURST_LIMIT
    return min(math.log(volume / third), BURST_LIMIT)


@kernel
def advance(
    state: Floats, plan: Ints, _ts_open: Ints, bars: Floats, _length: int, _scales: Floats, out: Floats
) -> None:
    """Keep the last 60 volumes in a ring."""
    for k in range(plan.shape[0]):
        row = state[plan[k, ROW]]
        count = plan[k, COUNT]
        at = plan[k, TARGET]
        for t in range(plan[k, FIRST], plan[k, STOP]):
            out[0, at] = _burst(row, count, bars[VOLUME, t])
            row[count % _WINDOW] = bars[VOLUME, t]
            count += 1
            at += 1


FAMILY = Family(
    name="burst",
    columns=("volume_burst",),  # log of volume to the least of the top 5 % of the 60 before, 0 below it
    slots=_WINDOW,
    warm_up={"volume_burst": 61},
    advance=advance,
)
