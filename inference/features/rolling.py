"""Windows of the last W values in constant time: moments and extremes that never drift.

Must not know bars or columns. Called by the families of this folder, inside their kernels. Nothing is
ever subtracted from a sum: a window is the tail of the previous block of W values and the head of the
running one, joined as in Chan, Golub and LeVeque (1983) and Pebay (2008). Tails are prepared once a
block. So a window of equal values has a variance of exactly zero, and an outlier that left is gone.

Each window lives at an offset `o` of a state row and needs `*_slots(W)` doubles there, zero at the
first value; `count` is how many values were pushed before.
"""

import math

from inference.features.kernel import Floats, kernel

# ---- mean and deviation ----


def moment_slots(window: int) -> int:
    """Give the doubles that `push_moments` needs: mean, squares, then value, mean, squares a position."""
    return 2 + 3 * window


@kernel
def push_moments(state: Floats, o: int, window: int, count: int, value: float) -> tuple[float, float]:
    """Take the newest value in; give mean and variance (population) of the last `window`."""
    position = count % window
    size = position + 1
    mean = value
    squares = 0.0
    if position > 0:
        delta = value - state[o]
        mean = state[o] + delta / size
        squares = state[o + 1] + delta * (value - mean)
    state[o] = mean
    state[o + 1] = squares
    state[o + 2 + 3 * position] = value
    if size == window:
        tail_mean = 0.0
        tail_squares = 0.0
        for k in range(1, window):
            cell = o + 2 + 3 * (window - k)
            delta = state[cell] - tail_mean
            tail_mean += delta / k
            tail_squares += delta * (state[cell] - tail_mean)
            state[cell + 1] = tail_mean
            state[cell + 2] = tail_squares
    elif count >= window:
        rest = window - size
        cell = o + 2 + 3 * size
        delta = state[cell + 1] - mean
        squares += state[cell + 2] + delta * delta * (size * rest / window)
        mean += delta * (rest / window)
        size = window
    return mean, squares / size


@kernel
def lagged(state: Floats, o: int, window: int, count: int, lag: int) -> float:
    """Give the value pushed `lag` values before the newest (0 = newest); `count` as after that push - 1."""
    return state[o + 2 + 3 * ((count - lag) % window)]


# ---- shape: skew and kurtosis ----


def shape_slots(window: int) -> int:
    """Give the doubles that `push_shape` needs."""
    return 4 + 5 * window


@kernel
def _joined(
    n_a: float, mean_a: float, a2: float, a3: float, a4: float,
    n_b: float, mean_b: float, b2: float, b3: float, b4: float,
) -> tuple[float, float, float, float]:  # fmt: skip
    """Join two sets of central moments (Pebay 2008, eq. 2.1 to 2.3): mean, M2, M3, M4."""
    n = n_a + n_b
    delta = mean_b - mean_a
    step = delta / n
    product = n_a * n_b
    mean = mean_a + step * n_b
    m2 = a2 + b2 + delta * step * product
    m3 = a3 + b3 + delta * step * step * product * (n_a - n_b) + 3.0 * step * (n_a * b2 - n_b * a2)
    m4 = (
        a4
        + b4
        + delta * step * step * step * product * (n_a * n_a - product + n_b * n_b)
        + 6.0 * step * step * (n_a * n_a * b2 + n_b * n_b * a2)
        + 4.0 * step * (n_a * b3 - n_b * a3)
    )
    return mean, m2, m3, m4


@kernel
def push_shape(
    state: Floats, o: int, window: int, count: int, value: float
) -> tuple[float, float, float, float]:
    """Take the newest value in; give mean, variance, skewness and excess kurtosis (population).

    Skewness and kurtosis are 0 where nothing varies.
    """
    position = count % window
    size = position + 1
    if position == 0:
        mean, m2, m3, m4 = value, 0.0, 0.0, 0.0
    else:
        mean, m2, m3, m4 = _joined(
            float(position), state[o], state[o + 1], state[o + 2], state[o + 3], 1.0, value, 0.0, 0.0, 0.0
        )
    state[o] = mean
    state[o + 1] = m2
    state[o + 2] = m3
    state[o + 3] = m4
    state[o + 4 + 5 * position] = value
    if size == window:
        t_mean, t2, t3, t4 = 0.0, 0.0, 0.0, 0.0
        for k in range(1, window):
            cell = o + 4 + 5 * (window - k)
            t_mean, t2, t3, t4 = _joined(float(k - 1), t_mean, t2, t3, t4, 1.0, state[cell], 0.0, 0.0, 0.0)
            state[cell + 1] = t_mean
            state[cell + 2] = t2
            state[cell + 3] = t3
            state[cell + 4] = t4
    elif count >= window:
        cell = o + 4 + 5 * size
        mean, m2, m3, m4 = _joined(
            float(size), mean, m2, m3, m4,
            float(window - size), state[cell + 1], state[cell + 2], state[cell + 3], state[cell + 4],
        )  # fmt: skip
        size = window
    variance = m2 / size
    # Below rounding of the mean, what is left of m2 is noise and its powers are worse.
    if variance <= 1e-30 * mean * mean or variance <= 0.0:
        return mean, max(variance, 0.0), 0.0, 0.0
    return (
        mean,
        variance,
        m3 / size / (variance * math.sqrt(variance)),
        m4 / size / (variance * variance) - 3.0,
    )


# ---- extremes ----


def extreme_slots(window: int) -> int:
    """Give the doubles that `push_extremes` needs: two heads, then high, low and both tails a position."""
    return 2 + 4 * window


@kernel
def push_extremes(
    state: Floats, o: int, window: int, count: int, high: float, low: float
) -> tuple[float, float]:
    """Take the newest high and low in; give the highest and the lowest of the last `window`."""
    position = count % window
    size = position + 1
    highest = high
    lowest = low
    if position > 0:
        highest = max(high, state[o])
        lowest = min(low, state[o + 1])
    state[o] = highest
    state[o + 1] = lowest
    cell = o + 2 + 4 * position
    state[cell] = high
    state[cell + 1] = low
    if size == window:
        tail_high = -math.inf
        tail_low = math.inf
        for k in range(1, window):
            cell = o + 2 + 4 * (window - k)
            tail_high = max(tail_high, state[cell])
            tail_low = min(tail_low, state[cell + 1])
            state[cell + 2] = tail_high
            state[cell + 3] = tail_low
    elif count >= window:
        cell = o + 2 + 4 * size
        highest = max(highest, state[cell + 2])
        lowest = min(lowest, state[cell + 3])
    return highest, lowest


# ---- scale ----

LIMIT = 20.0
"""After a jump into silence a fast scale decays before a slow average does: quotients are bounded."""
TINY = 1e-12
"""Relative to price or volume: below it a scale means that nothing happened."""


@kernel
def in_units(value: float, scale: float, floor: float) -> float:
    """Give value / scale within +-LIMIT, 0 where the scale says that nothing happened."""
    if scale <= floor:
        return 0.0
    return min(max(value / scale, -LIMIT), LIMIT)
