"""Ratios that stay bounded in silence: of means, of places in a range, of signs.

Must not know bars or columns. Called by the families of this folder, inside their kernels.
"""

import math

from inference.features.kernel import inlined

LEAST_RATIO = 0.001
"""Ratios of means are not taken below it: silence is far down, not infinitely far."""


@inlined
def log_ratio(fast: float, slow: float) -> float:
    """Give log(fast / slow), 0 where nothing happened for as long as `slow` looks back."""
    if slow <= 0.0:
        return 0.0
    return math.log(max(fast / slow, LEAST_RATIO))


@inlined
def in_range(price: float, lowest: float, highest: float) -> float:
    """Give where a price lies: -1 at the lowest, 1 at the highest, 0 where both are the same."""
    if highest <= lowest:
        return 0.0
    return (2.0 * price - highest - lowest) / (highest - lowest)


@inlined
def sign(value: float) -> float:
    """Give 1, -1 or 0; 0 of NaN."""
    if value > 0.0:
        return 1.0
    return -1.0 if value < 0.0 else 0.0
