"""Every pattern told by its turning points alone, without a word of how it was drawn."""

import numpy as np

LEAST = 0.15
"""Swings below this many heights are noise."""


def turns(x: np.ndarray, least: float = LEAST) -> tuple[np.ndarray, np.ndarray]:
    """Places and levels at which x turns by at least `least`, with its first and last."""
    at, extreme, side = [0], 0, 0
    for t in range(1, len(x)):
        if (side >= 0 and x[t] > x[extreme]) or (side <= 0 and x[t] < x[extreme]):
            if side == 0 and abs(x[t] - x[0]) < least:
                continue
            side = side or int(np.sign(x[t] - x[0]))
            extreme = t
        elif side and abs(x[t] - x[extreme]) >= least:
            at.append(extreme)
            extreme, side = t, -side
    at.append(extreme)
    if extreme != len(x) - 1 and abs(x[-1] - x[extreme]) >= least:
        at.append(len(x) - 1)
    places = np.array(at)
    return places, x[places]


def even(levels: np.ndarray, within: float = 0.17) -> bool:
    return bool(np.ptp(levels) <= within)


def bull_trend(x: np.ndarray) -> bool:
    means = x[: len(x) // 6 * 6].reshape(6, -1).mean(axis=1)
    fall = (np.maximum.accumulate(x) - x).max()
    return bool((np.diff(means) > 0).all() and x[-1] - x[0] > 0.8 and 0.04 < fall < 0.3)


def breakout(x: np.ndarray) -> bool:
    _, level = turns(x)
    if len(level) != 10:
        return False
    highs, lows, first, retest, end = level[1:7:2], level[2:7:2], level[7], level[8], level[9]
    inside = even(highs) and even(lows) and highs.min() - lows.max() > 0.2
    return bool(inside and first > highs.max() + 0.15 and retest > lows.max() + 0.2 and end > first + 0.1)


def false_breakout(x: np.ndarray) -> bool:
    _, level = turns(x)
    if len(level) != 9:
        return False
    highs, lows, poke, end = level[1:7:2], level[2:7:2], level[7], level[8]
    return bool(even(highs) and even(lows) and poke > highs.max() + 0.02 and end < lows.min() - 0.3)


def v_reversal(x: np.ndarray) -> bool:
    _, level = turns(x, 0.25)
    sudden = (x[:-15] - x[15:]).max() > 0.5
    return bool(one_low(level) and near_the_bottom(x) < 0.3 and not sudden)


def rounded_reversal(x: np.ndarray) -> bool:
    _, level = turns(x, 0.25)
    return bool(one_low(level) and near_the_bottom(x) > 0.4)


def one_low(level: np.ndarray) -> bool:
    return len(level) == 3 and level[1] < level[0] - 0.8 and level[2] > level[1] + 0.7


def near_the_bottom(x: np.ndarray) -> float:
    return float(np.mean(x < x.min() + 0.25))


def inverse_head_and_shoulders(x: np.ndarray) -> bool:
    _, level = turns(x)
    if len(level) != 7:
        return False
    _, left, neck_1, head, neck_2, right, end = level
    deepest = head < min(left, right) - 0.12
    return bool(
        deepest and even(level[[1, 5]]) and even(level[[2, 4]], 0.2) and end > max(neck_1, neck_2) + 0.15
    )


def double_bottom(x: np.ndarray) -> bool:
    _, level = turns(x)
    if len(level) != 5:
        return False
    return bool(even(level[[1, 3]]) and level[2] > level[1] + 0.2 and level[4] > level[2] + 0.2)


def ascending_triangle(x: np.ndarray) -> bool:
    _, level = turns(x)
    if len(level) not in (6, 8):
        return False
    highs, lows, end = level[1:-1:2], level[0:-1:2], level[-1]
    return bool(even(highs) and (np.diff(lows) > 0.1).all() and end > highs.max() + 0.4)


def symmetric_triangle(x: np.ndarray) -> bool:
    _, level = turns(x)
    if len(level) != 8:
        return False
    highs, lows, end = level[1:-1:2], level[0:-1:2], level[-1]
    return bool((np.diff(highs) < 0).all() and (np.diff(lows) > 0).all() and end > highs[-1] + 0.3)


def support_bounce(x: np.ndarray) -> bool:
    _, level = turns(x)
    if len(level) != 7:
        return False
    lows, highs, end = level[1:6:2], level[2:6:2], level[6]
    return bool(even(lows) and (highs > lows.max() + 0.25).all() and end > highs.max() + 0.2)


def volatility_cycle(x: np.ndarray) -> bool:
    """Wide, narrow, wide, narrow, wide: at the ends and the middle, and between them."""
    step = len(x) // 16
    ranges = np.ptp(x[: step * 16].reshape(16, step), axis=1)
    wide, narrow = ranges[[0, 7, 8, 15]], ranges[[3, 4, 11, 12]]
    return bool(wide.min() > 1.8 * narrow.max())


def consolidation(x: np.ndarray) -> bool:
    _, level = turns(x)
    if len(level) != 12:
        return False
    highs, lows = level[1:-1:2], level[2:-1:2]
    return bool(even(highs, 0.25) and even(lows, 0.25) and highs.min() - lows.max() > 0.6)


def flash_crash(x: np.ndarray) -> bool:
    fall = x[:-15] - x[15:]
    start = int(fall.argmax())
    back = (x[-1] - x.min()) / (x[start] - x.min())
    return bool(fall.max() > 0.7 and np.ptp(x[: max(start, 1)]) < 0.35 and 0.4 < back < 1.0)


def liquidity_sweep(x: np.ndarray) -> bool:
    _, level = turns(x)
    if len(level) != 7:
        return False
    before, stab, end = level[[1, 3]], level[5], level[6]
    short = np.mean(x < before.min() - 0.03) < 0.08
    return bool(even(before) and stab < before.min() - 0.06 and short and end > level[:5].max())


DETECTORS = {
    name: detect
    for name, detect in globals().items()
    if callable(detect) and name not in ("turns", "even", "one_low", "near_the_bottom")
}
"""By pattern, in the form that is not mirrored."""
MIRRORED = {
    "bear_trend": "bull_trend",
    "head_and_shoulders": "inverse_head_and_shoulders",
    "double_top": "double_bottom",
    "descending_triangle": "ascending_triangle",
    "resistance_rejection": "support_bounce",
}


def seen(name: str, x: np.ndarray) -> bool:
    """Tell whether `x`, in heights of the pattern, is one of that name."""
    return DETECTORS[MIRRORED[name]](-x) if name in MIRRORED else DETECTORS[name](x)
