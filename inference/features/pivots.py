"""Swing pivots: highs and lows that stood out on both sides, known only bars later.

Must not know what is made of them. Called by the families of this folder, inside their kernels. A swing
high is a bar whose high is above those of the CONFIRM bars before it and not below those of the CONFIRM
bars after it: of equal highs the first counts. It is told when the last of those bars has closed, never
before.
"""

from inference.features.kernel import Floats, inlined

CONFIRM = 5
SPAN = 2 * CONFIRM + 1


def pivot_slots() -> int:
    """Give the doubles that `push_pivot` needs: each high and low twice, so that a window lies in a row."""
    return 4 * SPAN


@inlined
def push_pivot(state: Floats, o: int, count: int, high: float, low: float) -> tuple[float, float]:
    """Take the newest high and low in; give the swing high and low that they confirm, 0 for none.

    What is confirmed is CONFIRM bars old. Needs positive prices and a zero state at the first bar.
    """
    position = count % SPAN
    lows = o + 2 * SPAN
    state[o + position] = high
    state[o + position + SPAN] = high
    state[lows + position] = low
    state[lows + position + SPAN] = low
    if count < SPAN - 1:
        return 0.0, 0.0
    # From the oldest on: CONFIRM before, the bar in question, CONFIRM after.
    oldest = position + 1
    before_high, after_high = state[o + oldest], high
    before_low, after_low = state[lows + oldest], low
    for k in range(1, CONFIRM):
        before_high = max(before_high, state[o + oldest + k])
        before_low = min(before_low, state[lows + oldest + k])
        after_high = max(after_high, state[o + oldest + CONFIRM + k])
        after_low = min(after_low, state[lows + oldest + CONFIRM + k])
    top, bottom = state[o + oldest + CONFIRM], state[lows + oldest + CONFIRM]
    return (
        top if (top > before_high) & (top >= after_high) else 0.0,
        bottom if (bottom < before_low) & (bottom <= after_low) else 0.0,
    )
