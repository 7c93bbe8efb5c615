"""Sums and extremes of the last W values in constant time and in W doubles, exact for ever.

Must not know bars or columns. Called by the families of this folder, inside their kernels. As in
`rolling`, nothing is subtracted: a window is the tail of the previous block of W values and the head
of the running one. Where only the total is wanted, tails may take the place of the values they are
made of, for a block's cells are read (as tails) before the next block writes over them.

Each window lives at an offset `o` of a state row, zero at the first value; `count` is how many values
were pushed before.
"""

import math

from inference.features.kernel import Floats, inlined


def sum_slots(window: int) -> int:
    """Give the doubles that `push_sum` needs: the head, then a value or a tail a position."""
    return 1 + window


@inlined
def push_sum(state: Floats, o: int, window: int, count: int, value: float) -> float:
    """Take the newest value in; give the sum of the last `window`, of those there are before that."""
    position = count % window
    head = value if position == 0 else state[o] + value
    cell = o + 1 + position
    state[o] = head
    state[cell] = value
    if position + 1 < window:
        return head + state[cell + 1]
    tail = 0.0
    for k in range(cell, o + 1, -1):
        tail += state[k]
        state[k] = tail
    return head


def reach_slots(window: int) -> int:
    """Give the doubles that `push_reach` needs: two heads, then two values or tails a position."""
    return 2 + 2 * window


@inlined
def push_reach(
    state: Floats, o: int, window: int, count: int, high: float, low: float
) -> tuple[float, float]:
    """Take the newest high and low in; give the highest and the lowest of the last `window`."""
    position = count % window
    highest = high
    lowest = low
    if position > 0:
        highest = max(high, state[o])
        lowest = min(low, state[o + 1])
    state[o] = highest
    state[o + 1] = lowest
    cell = o + 2 + 2 * position
    state[cell] = high
    state[cell + 1] = low
    if position + 1 < window:
        if count < window:
            return highest, lowest
        return max(highest, state[cell + 2]), min(lowest, state[cell + 3])
    tail_high = -math.inf
    tail_low = math.inf
    for k in range(cell, o + 2, -2):
        tail_high = max(tail_high, state[k])
        tail_low = min(tail_low, state[k + 1])
        state[k] = tail_high
        state[k + 1] = tail_low
    return highest, lowest
