"""Windows of the last W values in constant time: moments, slopes and shapes that never drift.

Must not know bars or columns. Called by the families of this folder, inside their kernels; plain sums and
extremes are in `totals`.

Nothing is ever subtracted from a sum: a window is the tail of the previous block of W values and the
head of the running one. Tails are prepared once a block. Deviations are counted from an anchor inside
the window (the head's first value; the tail's last, moved over when both are joined), and no value of a
window is further from its mean than sqrt(W - 1) deviations (Samuelson 1968), so at most a factor of W is
lost to rounding in a variance, W squared in a kurtosis. So a window of equal values has a variance of
exactly zero, and an outlier that left is gone.

Each window lives at an offset `o` of a state row and needs `*_slots(W)` doubles there, zero at the
first value; `count` is how many values were pushed before. Give W as a constant: it is compiled in.
"""

import math

from inference.features.kernel import Floats, inlined, kernel

# ---- mean and deviation ----


def moment_slots(window: int) -> int:
    """Give the doubles that `push_moments` needs: two sums, an anchor; value and tail's sums a position."""
    return 3 + 3 * window


@kernel
def _moment_tails(state: Floats, o: int, window: int) -> None:
    last = state[o + 3 * window]
    first = 0.0
    second = 0.0
    for k in range(2, window):
        cell = o + 3 + 3 * (window - k)
        delta = state[cell] - last
        first += delta
        second += delta * delta
        state[cell + 1] = first
        state[cell + 2] = second
    state[o + 2] = last


@inlined
def push_moments(state: Floats, o: int, window: int, count: int, value: float) -> tuple[float, float]:
    """Take the newest value in; give mean and variance (population) of the last `window`."""
    position = count % window
    cell = o + 3 + 3 * position
    state[cell] = value
    anchor = state[o + 3]
    delta = value - anchor
    first = delta
    second = delta * delta
    if position > 0:
        first += state[o]
        second += state[o + 1]
    state[o] = first
    state[o + 1] = second
    share = 1.0 / window
    if position == window - 1:
        _moment_tails(state, o, window)
    elif count >= window:
        gap = state[o + 2] - anchor
        moved = (window - 1 - position) * gap
        second += state[cell + 5] + gap * (2.0 * state[cell + 4] + moved)
        first += state[cell + 4] + moved
    else:
        share = 1.0 / (position + 1)
    first *= share
    return anchor + first, max(second * share - first * first, 0.0)


@inlined
def lagged(state: Floats, o: int, window: int, count: int, lag: int) -> float:
    """Give the value pushed `lag` values before the newest (0 = newest); `count` as after that push - 1."""
    return state[o + 3 + 3 * ((count - lag) % window)]


# ---- mean and slope ----


def line_slots(window: int) -> int:
    """Give the doubles that `push_line` needs: two sums, an anchor; value and tail's sums a position."""
    return 3 + 3 * window


@kernel
def _line_tails(state: Floats, o: int, window: int) -> None:
    last = state[o + 3 * window]
    first = 0.0
    timed = 0.0
    for k in range(2, window):
        cell = o + 3 + 3 * (window - k)
        delta = state[cell] - last
        first += delta
        timed += delta * (window - k)
        state[cell + 1] = first
        state[cell + 2] = timed
    state[o + 2] = last


@inlined
def push_line(state: Floats, o: int, window: int, count: int, value: float) -> tuple[float, float]:
    """Take the newest value in; give the mean of the last `window` and their slope.

    The slope is the least-squares line's, in units of value per value; 0 for a single one.
    """
    position = count % window
    cell = o + 3 + 3 * position
    state[cell] = value
    anchor = state[o + 3]
    delta = value - anchor
    first = delta
    timed = delta * position
    if position > 0:
        first += state[o]
        timed += state[o + 1]
    state[o] = first
    state[o + 1] = timed
    size = position + 1
    if size == window:
        _line_tails(state, o, window)
    elif count >= window:
        rest = window - size
        gap = state[o + 2] - anchor
        tail = state[cell + 4]
        # The tail's times begin at 0 now, the head's follow on.
        timed += rest * first + (state[cell + 5] - size * tail) + gap * (0.5 * rest * (rest - 1))
        first += tail + rest * gap
        size = window
    if size < 2:
        return value, 0.0
    mean = first / size
    centred = timed - 0.5 * (size - 1) * first
    return anchor + mean, centred * (12.0 / (size * (float(size) * size - 1.0)))


# ---- shape: skew and kurtosis ----


def shape_slots(window: int) -> int:
    """Give the doubles that `push_shape` needs: four sums, an anchor; value and tail's sums a position."""
    return 5 + 5 * window


@kernel
def _shape_tails(state: Floats, o: int, window: int) -> None:
    last = state[o + 5 * window]
    s1, s2, s3, s4 = 0.0, 0.0, 0.0, 0.0
    state[o + 4] = last
    for k in range(2, window):
        cell = o + 5 + 5 * (window - k)
        delta = state[cell] - last
        square = delta * delta
        s1 += delta
        s2 += square
        s3 += square * delta
        s4 += square * square
        state[cell + 1] = s1
        state[cell + 2] = s2
        state[cell + 3] = s3
        state[cell + 4] = s4


@inlined
def _moved(
    s1: float, s2: float, s3: float, s4: float, size: float, gap: float
) -> tuple[float, float, float, float]:
    """Give the sums of powers of (delta + gap) from those of delta (binomial theorem)."""
    moved = size * gap
    return (
        s1 + moved,
        s2 + gap * (2.0 * s1 + moved),
        s3 + gap * (3.0 * s2 + gap * (3.0 * s1 + moved)),
        s4 + gap * (4.0 * s3 + gap * (6.0 * s2 + gap * (4.0 * s1 + moved))),
    )


@inlined
def _central(s1: float, s2: float, s3: float, s4: float) -> tuple[float, float, float]:
    """Give variance, skewness and excess kurtosis from raw moments about the anchor."""
    square = s1 * s1
    variance = s2 - square
    if variance <= SILENT:
        return max(variance, 0.0), 0.0, 0.0
    third = s3 - s1 * (3.0 * s2 - 2.0 * square)
    fourth = s4 - s1 * (4.0 * s3 - s1 * (6.0 * s2 - 3.0 * square))
    per = 1.0 / variance
    return variance, third * per * math.sqrt(per), fourth * per * per - 3.0


@inlined
def push_shape(
    state: Floats, o: int, window: int, count: int, value: float
) -> tuple[float, float, float, float]:
    """Take the newest value in; give mean, variance, skewness and excess kurtosis (population).

    Skewness and kurtosis are 0 where nothing varies.
    """
    position = count % window
    cell = o + 5 + 5 * position
    state[cell] = value
    anchor = state[o + 5]
    delta = value - anchor
    square = delta * delta
    s1, s2, s3, s4 = delta, square, square * delta, square * square
    if position > 0:
        s1 += state[o]
        s2 += state[o + 1]
        s3 += state[o + 2]
        s4 += state[o + 3]
    state[o] = s1
    state[o + 1] = s2
    state[o + 2] = s3
    state[o + 3] = s4
    share = 1.0 / window
    if position == window - 1:
        _shape_tails(state, o, window)
    elif count >= window:
        gap = state[o + 4] - anchor
        rest = float(window - 1 - position)
        t1, t2, t3, t4 = _moved(state[cell + 6], state[cell + 7], state[cell + 8], state[cell + 9], rest, gap)
        s1, s2, s3, s4 = s1 + t1, s2 + t2, s3 + t3, s4 + t4
    else:
        share = 1.0 / (position + 1)
    s1 *= share
    variance, skew, kurtosis = _central(s1, s2 * share, s3 * share, s4 * share)
    return anchor + s1, variance, skew, kurtosis


# ---- whole windows: a value against each of the last ----


def rank_slots(window: int) -> int:
    """Give the doubles that `push_rank` needs: whole vectors of sixteen."""
    return -(-window // 16) * 16


@inlined
def push_rank(state: Floats, o: int, window: int, count: int, value: float) -> float:
    """Give the newest value's rank among the last `window` before it, and take it in.

    From -1, below all, to 1, above all; a tie counts as half. Walks the whole window, as a rank must,
    but in vectors and without a branch: seats not taken yet hold infinity, which is never below.
    """
    ring = state[o : o + (window + 15) // 16 * 16]
    if count == 0:
        ring[:] = math.inf
    below = 0
    not_above = 0
    for k in range((window + 15) // 16 * 16):
        below += ring[k] < value
        not_above += ring[k] <= value
    ring[count % window] = value
    if count >= window:
        return (below + not_above - window) * (1.0 / window)
    return (below + not_above - count) / max(count, 1)


@inlined
def mean_deviation(state: Floats, o: int, window: int, count: int, mean: float) -> float:
    """Give the mean distance from `mean` in a window of `push_moments`; `count` as after that push - 1.

    Walks the whole window, for no sum knows which side of a moving mean a value is on: keep it small.
    Four sums side by side, since one would wait for itself.
    """
    seen = min(count + 1, window)
    cell = o + 3
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for _ in range(seen // 4):
        a += abs(state[cell] - mean)
        b += abs(state[cell + 3] - mean)
        c += abs(state[cell + 6] - mean)
        d += abs(state[cell + 9] - mean)
        cell += 12
    for _ in range(seen % 4):
        a += abs(state[cell] - mean)
        cell += 3
    return (a + b + (c + d)) / seen


# ---- scale ----

SILENT = 1e-60
"""A variance that no rounding of a price makes: below it nothing varied."""
LIMIT = 20.0
"""After a jump into silence a fast scale decays before a slow average does: quotients are bounded."""
TINY = 1e-12
"""Relative to price or volume: below it a scale means that nothing happened."""


@inlined
def in_units(value: float, scale: float, floor: float) -> float:
    """Give value / scale within +-LIMIT, 0 where the scale says that nothing happened."""
    if scale <= floor:
        return 0.0
    return min(max(value / scale, -LIMIT), LIMIT)


@inlined
def reciprocal(scale: float, floor: float) -> float:
    """Give 1 / scale for `bounded`, 0 where the scale says that nothing happened: one division for many."""
    return 1.0 / scale if scale > floor else 0.0


@inlined
def bounded(value: float) -> float:
    """Give the value within +-LIMIT."""
    return min(max(value, -LIMIT), LIMIT)
