"""The patterns as legs: where each turns, when, how nervously, and with how much volume.

Must not know prices or noise. Called by training.synthetic.catalogue. One function a pattern, each in its
rising form; the catalogue turns it upside down where the falling one is asked for. Levels are in heights.
"""

from collections.abc import Mapping

from training.synthetic.skeleton import Leg, Skeleton

Params = Mapping[str, float]


def trend(params: Params) -> Skeleton:
    """Draw impulses and shorter pullbacks, from 0 to 1."""
    pushes = int(params["pushes"])
    step = 1.0 / (pushes - (pushes - 1) * params["pullback"])
    level, legs = 0.0, []
    for number in range(pushes):
        level += step
        legs.append(Leg(2.0, level, busy=1.3))
        if number < pushes - 1:
            level -= step * params["pullback"]
            legs.append(Leg(1.0, level, heat=0.8, busy=0.7))
    return Skeleton(0.0, tuple(legs))


def breakout(params: Params) -> Skeleton:
    """Draw a range, the way out of it on volume, back to its edge, and on."""
    edge = params["range"]
    legs = _swings(int(params["touches"]), low=0.0, high=edge, heat=0.8, busy=0.7)
    middle = edge + 0.6 * (1.0 - edge)
    legs += [
        Leg(1.2, middle, heat=1.5, busy=2.5),
        Leg(0.8, edge + 0.1 * (1.0 - edge), busy=1.0),
        Leg(1.5, 1.0, heat=1.2, busy=1.6),
    ]
    return Skeleton(edge / 2.0, tuple(legs))


def false_breakout(params: Params) -> Skeleton:
    """Draw a range, a poke above it that does not hold, and the way out on the other side."""
    edge = params["range"]
    legs = _swings(int(params["touches"]), low=0.0, high=edge, heat=0.8, busy=0.7)
    legs += [
        Leg(0.7, edge * (1.0 + params["poke"]), heat=1.4, busy=1.8),
        Leg(0.7, edge * 0.4, heat=1.4, busy=2.0),
        Leg(2.0, edge - 1.0, heat=1.3, busy=1.8),
    ]
    return Skeleton(edge / 2.0, tuple(legs))


def v_reversal(params: Params) -> Skeleton:
    """Fall in ever greater haste, then rise straight up."""
    legs = (
        Leg(2.0, 0.6, busy=0.9),
        Leg(1.0, 0.0, heat=1.5, busy=1.8),
        Leg(1.0, 0.45, heat=1.5, busy=2.0),
        Leg(2.0, params["recovery"], busy=1.2),
    )
    return Skeleton(1.0, legs)


def rounded_reversal(params: Params) -> Skeleton:
    """Draw a bowl: slower and slower down, faster and faster up."""
    parts = 16
    legs = []
    for part in range(1, parts + 1):
        x = 2.0 * part / parts - 1.0
        quick = 0.6 + 0.6 * abs(x)
        legs.append(Leg(1.0, x * x * (1.0 if x < 0.0 else params["recovery"]), heat=quick, busy=quick))
    return Skeleton(1.0, tuple(legs))


def inverse_head_and_shoulders(params: Params) -> Skeleton:
    """Go down to the left shoulder, the head, the right shoulder; up through the neckline on volume."""
    neck = 0.6
    shoulder = neck * (1.0 - params["shoulder"])
    right = neck + params["slope"] * neck
    legs = (
        Leg(2.5, shoulder, busy=1.3),
        Leg(1.0, neck, busy=0.9),
        Leg(1.4, 0.0, busy=1.2),
        Leg(1.4, right, busy=1.0),
        Leg(1.0, shoulder + right - neck, heat=0.9, busy=0.7),
        Leg(1.0, right + 0.05, busy=1.3),
        Leg(1.6, 1.0, heat=1.3, busy=2.2),
    )
    return Skeleton(1.0, legs)


def double_bottom(params: Params) -> Skeleton:
    """Draw two lows of one level, and the way up through the high between them."""
    middle = params["depth"]
    legs = (
        Leg(2.0, 0.0, busy=1.4),
        Leg(1.2, middle, busy=0.9),
        Leg(1.2, 0.0, busy=0.9),
        Leg(1.2, middle + 0.05, busy=1.4),
        Leg(1.2, 1.0, heat=1.3, busy=2.0),
    )
    return Skeleton(1.0, legs)


def ascending_triangle(params: Params) -> Skeleton:
    """Draw highs of one level, rising lows, and the way out at the top."""
    return _triangle(params, falling=0.0, rising=params["contraction"])


def symmetric_triangle(params: Params) -> Skeleton:
    """Draw falling highs, rising lows, and the way out at the top."""
    half = params["contraction"] / 2.0
    return _triangle(params, falling=half, rising=half)


def support_bounce(params: Params) -> Skeleton:
    """Fall to a level, and be thrown back from it time after time; at last away from it, or through it."""
    legs = [Leg(2.0, 0.0, busy=1.2)]
    for number in range(int(params["bounces"]) - 1):
        legs += [Leg(1.0, 0.55 - 0.06 * number, busy=1.1), Leg(1.0, 0.0, heat=0.9, busy=0.9)]
    if params["holds"] > 0.0:
        legs += [Leg(2.0, 1.0, heat=1.2, busy=1.8)]
    else:
        legs += [Leg(0.8, 0.25, busy=0.8), Leg(2.0, -0.8, heat=1.5, busy=2.2)]
    return Skeleton(1.0, tuple(legs))


def volatility_cycle(params: Params) -> Skeleton:
    """Draw swings that grow ever smaller (a squeeze) and then ever wider (an expansion), again and again."""
    cycles, swings = int(params["cycles"]), 16
    legs = []
    for number in range(cycles * swings):
        phase = number % swings / (swings - 1)
        wide = params["squeeze"] + (1.0 - params["squeeze"]) * abs(2.0 * phase - 1.0)
        side = 0.5 if number % 2 == 0 else -0.5
        legs.append(Leg(1.0, side * wide, heat=wide, busy=0.5 + wide))
    legs.append(Leg(0.5, 0.0))
    return Skeleton(0.0, tuple(legs))


def consolidation(params: Params) -> Skeleton:
    """Go to and fro between two levels, calmly."""
    legs = _swings(int(params["swings"]), low=0.0, high=1.0, heat=0.8, busy=0.7)
    return Skeleton(0.5, (*legs, Leg(0.5, 0.5, heat=0.8, busy=0.7)))


def flash_crash(params: Params) -> Skeleton:
    """Draw a calm market that falls by its height within minutes, and takes back a part of it."""
    back = params["recovery"] - 1.0
    legs = (
        Leg(0.4, 0.0),
        Leg(params["crash_share"], -1.0, heat=5.0, busy=10.0),
        Leg(3.0 * params["crash_share"], 0.7 * back - 0.3, heat=4.0, busy=6.0),
        Leg(0.2, back, heat=2.0, busy=2.5),
        Leg(0.3, back, heat=1.3, busy=1.4),
    )
    return Skeleton(0.0, legs)


def liquidity_sweep(params: Params) -> Skeleton:
    """Draw two lows of one level, a short stab below them that takes the stops, and a rally."""
    legs = (
        Leg(2.0, 0.0, busy=1.1),
        Leg(1.2, 0.4, busy=0.9),
        Leg(1.2, 0.0, busy=0.9),
        Leg(1.2, 0.35, busy=0.8),
        Leg(1.0, 0.0, busy=1.2),
        Leg(0.25, -params["sweep"], heat=1.8, busy=5.0),
        Leg(0.35, 0.15, heat=1.8, busy=4.0),
        Leg(2.5, 1.0, heat=1.1, busy=1.6),
    )
    return Skeleton(0.7, legs)


def random_walk(_: Params) -> Skeleton:
    """Draw no pattern: noise alone, which comes back to nothing."""
    return Skeleton(0.0, (Leg(1.0, 0.0),), pinned=False)


def _swings(touches: int, *, low: float, high: float, heat: float, busy: float) -> list[Leg]:
    """Go from the middle up to the high, down to the low, `touches` times; ends at the low."""
    legs = []
    for number in range(touches):
        legs += [Leg(0.5 if number == 0 else 1.0, high, heat, busy), Leg(1.0, low, heat, busy)]
    return legs


def _triangle(params: Params, *, falling: float, rising: float) -> Skeleton:
    """Draw swings between lines that meet: highs fall by `falling` till the end, lows rise by `rising`."""
    turns = 2 * int(params["touches"])
    legs: list[Leg] = []
    for number in range(1, turns + 1):
        x = number / turns
        calm = 1.0 - 0.4 * x
        level = 1.0 - falling * x if number % 2 else rising * x
        legs.append(Leg(1.0, level, heat=calm, busy=1.2 * calm))
    apex = 1.0 - falling
    legs += [Leg(0.6, apex, heat=0.7, busy=1.2), Leg(1.6, apex + params["breakout"], heat=1.5, busy=2.4)]
    return Skeleton(0.0, tuple(legs))
