"""Which bars count: kernels that turn bars into a plan for the families.

Must not know columns. Called by live and series. A bar that cannot be true is as absent as one that
never came. Nothing is imputed: after a short hole the state goes on with the next bar there is, after
a longer one it starts over.
"""

import math

from inference.features.family import CLOSE, COUNT, FIRST, HIGH, LOW, OPEN, ROW, STOP, TARGET, VOLUME
from inference.features.kernel import Floats, Ints, kernel

# Rows of `marks` [MARKS, n], int64, a column per instrument: open time of the newest bar, of the first
# one since the last start, bars since then, the last 60 slots as bits (newest lowest), scratch.
NEWEST, SINCE, BARS, PRESENT, SEEN = range(5)
MARKS = 5

NEVER = -(2**62)
"""Open time of a bar that was not seen."""
WHOLE = (1 << 60) - 1
"""Nothing is absent, and nothing is asked of the time before the first bar."""
CHUNK = 8_192
"""Slots of a history that are walked at once: what a chunk writes stays in the cache."""


@kernel
def sane(ts_open: int, length: int, bars: Floats, t: int) -> bool:
    """Tell whether a bar can be true; a comparison with NaN never holds."""
    opened, close, volume = bars[OPEN, t], bars[CLOSE, t], bars[VOLUME, t]
    low, high = bars[LOW, t], bars[HIGH, t]
    inside = 0.0 < low <= opened <= high < math.inf and low <= close <= high
    return inside and 0.0 <= volume < math.inf and ts_open % length == 0


@kernel
def absent(present: int) -> int:
    """Count the slots of the last 60 that have no bar."""
    rest = present ^ WHOLE
    count = 0
    while rest:
        rest &= rest - 1
        count += 1
    return count


@kernel
def take(marks: Ints, row: int, ts_open: int, length: int, limit: int) -> int:
    """Mark a later bar as seen; give how many slots before it are absent, -1 if it starts over."""
    hole = 0
    if ts_open != marks[NEWEST, row] + length:
        hole = (ts_open - marks[NEWEST, row]) // length - 1
    if marks[NEWEST, row] == NEVER or hole > limit:
        hole = -1
        marks[SINCE, row] = ts_open
        marks[BARS, row] = 0
        marks[PRESENT, row] = WHOLE
    else:
        marks[PRESENT, row] = ((marks[PRESENT, row] << (hole + 1)) | 1) & WHOLE
    marks[NEWEST, row] = ts_open
    marks[BARS, row] += 1
    return hole


@kernel
def admit(
    rows: Ints, ts_open: Ints, bars: Floats, length: int, limit: int, first: int,
    marks: Ints, plan: Ints, holes: Ints,
) -> tuple[int, int]:  # fmt: skip
    """Plan one bar for each instrument; give where to go on, and how many lines were written.

    Bar k belongs to row rows[k]; bars seen before are left out. The second bar of an instrument ends
    the plan: it is for the next one. `holes` [lines] is what `take` gives.
    """
    for k in range(first, rows.size):
        marks[SEEN, rows[k]] = 0
    lines = 0
    for k in range(first, rows.size):
        row = rows[k]
        if ts_open[k] <= marks[NEWEST, row] or not sane(ts_open[k], length, bars, k):
            continue
        if marks[SEEN, row]:
            return k, lines
        marks[SEEN, row] = 1
        holes[lines] = take(marks, row, ts_open[k], length, limit)
        plan[lines, ROW] = row
        plan[lines, FIRST] = k
        plan[lines, STOP] = k + 1
        plan[lines, COUNT] = marks[BARS, row] - 1
        plan[lines, TARGET] = row
        lines += 1
    return rows.size, lines


@kernel
def number(
    ts_open: Ints, bars: Floats, length: int, limit: int, marks: Ints, slots: Ints, counts: Ints, gone: Ints
) -> int:
    """Give each bar of one history its slot, and how many slots there are.

    Bar t lies in slots[t], -1 if it cannot be true or was seen before; `counts` is bars since the last
    start, `gone` how many of the last 60 slots are absent. A start over leaves no slots for its hole.
    `marks` [MARKS, 1] goes on from where the history before ended.
    """
    slot = 0
    for t in range(ts_open.size):
        slots[t] = -1
        counts[t] = 0
        gone[t] = 0
        if ts_open[t] <= marks[NEWEST, 0] or not sane(ts_open[t], length, bars, t):
            continue
        hole = take(marks, 0, ts_open[t], length, limit)
        slot += max(hole, 0) if slot else 0
        slots[t] = slot
        counts[t] = marks[BARS, 0]
        gone[t] = absent(marks[PRESENT, 0])
        slot += 1
    return slot


@kernel
def stretches(slots: Ints, counts: Ints, plan: Ints) -> int:
    """Write a plan line for each stretch of a numbered history, cut at chunks; give how many there are.

    With an empty `plan` they are only counted. TARGET counts from the chunk's first slot. The first
    stretch of a chunk goes on in state row 0; each that starts over has a row of its own.
    """
    lines = 0
    row = 0
    before, slot_before = -2, -2
    for t in range(slots.size):
        slot = slots[t]
        if slot < 0:
            continue
        start = counts[t] == 1
        if start or t != before + 1 or slot != slot_before + 1 or slot % CHUNK == 0:
            if slot // CHUNK != slot_before // CHUNK:
                row = 0
            row += start
            if plan.shape[0]:
                plan[lines, ROW] = row
                plan[lines, FIRST] = t
                plan[lines, COUNT] = counts[t] - 1
                plan[lines, TARGET] = slot % CHUNK
            lines += 1
        if plan.shape[0]:
            plan[lines - 1, STOP] = t + 1
        before, slot_before = t, slot
    return lines
