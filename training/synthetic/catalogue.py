"""Every pattern by name, with its parameters, their defaults and the range that each may take.

Must not know noise, bars or files. Called by training.synthetic.generate, .market, .pictures and .cli.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from core.errors import UsageError
from training.synthetic import shapes
from training.synthetic.skeleton import Skeleton


class Param(NamedTuple):
    """A number that shapes a pattern. `usual` is where training.synthetic.market draws it from."""

    default: float
    low: float
    high: float
    usual: tuple[float, float]
    about: str
    whole: bool = False


class Pattern(msgspec.Struct, frozen=True):
    """One pattern. `mirrored` is the upside-down form; with a `direction` either one can be asked for."""

    name: str
    about: str
    shape: Callable[[Mapping[str, float]], Skeleton]
    params: Mapping[str, Param]
    mirrored: bool = False

    def skeleton(self, params: Mapping[str, float]) -> Skeleton:
        """Give the legs under settled `params`."""
        found = self.shape(params)
        return found.mirrored() if self.mirrored != (params.get("direction", 1.0) < 0.0) else found


COMMON = {
    "minutes": Param(720, 60, 43_200, (180, 5_760), "length in minutes", whole=True),
    "height": Param(0.04, 0.001, 0.8, (0.01, 0.1), "size of the pattern in log price (0.04 = 4 %)"),
    "price": Param(100.0, 1e-6, 1e9, (100.0, 100.0), "price before the first minute"),
    "volume": Param(50.0, 0.0, 1e12, (50.0, 50.0), "volume of a usual minute"),
    "cost_bps": Param(16.0, 0.0, 500.0, (16.0, 16.0), "what a change of position costs, bps a side"),
    "bar_minutes": Param(1, 1, 1_440, (1, 1), "1, 5, 15, 30, 60, 240 or 1440: bars of the frame", whole=True),
}
"""Parameters of every pattern."""

_DIRECTION = {"direction": Param(1, -1, 1, (-1, 1), "1 as described, -1 upside down", whole=True)}
_TOUCHES = {"touches": Param(3, 2, 8, (2, 4), "times that each side is touched", whole=True)}
_RANGE = {"range": Param(0.4, 0.1, 0.8, (0.3, 0.5), "width of the range in heights")}
_TREND = {
    "pushes": Param(4, 1, 20, (2, 6), "impulses", whole=True),
    "pullback": Param(0.3, 0.0, 0.9, (0.15, 0.5), "part of an impulse that the pullback takes away"),
}
_SHOULDERS = {
    "shoulder": Param(0.5, 0.15, 0.85, (0.35, 0.65), "depth of the shoulders over that of the head"),
    "slope": Param(0.0, -0.3, 0.3, (-0.15, 0.15), "rise of the neckline, in depths of the head"),
}
_DOUBLE = {"depth": Param(0.4, 0.15, 0.85, (0.3, 0.6), "distance between the tops and the turn between them")}
_TRIANGLE = {
    **_TOUCHES,
    "contraction": Param(0.8, 0.3, 0.95, (0.6, 0.9), "how far the lines have met at the end"),
    "breakout": Param(0.7, 0.1, 2.0, (0.5, 1.0), "way out of the triangle, in heights"),
}
_RECOVERY = {"recovery": Param(1.0, 0.2, 1.5, (0.7, 1.2), "part of the fall that is taken back")}
_LEVEL = {
    "bounces": Param(3, 2, 8, (2, 4), "touches of the level", whole=True),
    "holds": Param(1, 0, 1, (0, 1), "1 the level holds, 0 it breaks in the end", whole=True),
}


def _pattern(
    name: str, about: str, shape: Callable[[Mapping[str, float]], Skeleton], *extra: Mapping[str, Param]
) -> Pattern:
    params = dict(COMMON)
    for some in extra:
        params |= some
    return Pattern(name, about, shape, params)


def _turned(pattern: Pattern, name: str, about: str) -> Pattern:
    return msgspec.structs.replace(pattern, name=name, about=about, mirrored=True)


_BULL = _pattern("bull_trend", "impulses up, shorter pullbacks", shapes.trend, _TREND)
_INVERSE = _pattern(
    "inverse_head_and_shoulders",
    "three lows, the middle one deepest; up through the neckline",
    shapes.inverse_head_and_shoulders,
    _SHOULDERS,
)
_BOTTOM = _pattern(
    "double_bottom", "two equal lows, up through the high between", shapes.double_bottom, _DOUBLE
)
_ASCENDING = _pattern(
    "ascending_triangle", "equal highs, rising lows; out at the top", shapes.ascending_triangle, _TRIANGLE
)
_SUPPORT = _pattern("support_bounce", "thrown back from a level below", shapes.support_bounce, _LEVEL)

PATTERNS: Mapping[str, Pattern] = {
    pattern.name: pattern
    for pattern in (
        _BULL,
        _turned(_BULL, "bear_trend", "impulses down, shorter pullbacks"),
        _pattern(
            "breakout", "a range, out of it, a retest, and on", shapes.breakout, _RANGE, _TOUCHES, _DIRECTION
        ),
        _pattern(
            "false_breakout",
            "a range, a poke out of it that fails, and out on the other side",
            shapes.false_breakout,
            _RANGE,
            _TOUCHES,
            {"poke": Param(0.35, 0.1, 1.0, (0.25, 0.5), "way of the poke, in widths of the range")},
            _DIRECTION,
        ),
        _pattern("v_reversal", "a fall in haste, then straight up", shapes.v_reversal, _RECOVERY, _DIRECTION),
        _pattern("rounded_reversal", "a bowl", shapes.rounded_reversal, _RECOVERY, _DIRECTION),
        _turned(
            _INVERSE, "head_and_shoulders", "three highs, the middle one highest; down through the neckline"
        ),
        _INVERSE,
        _turned(_BOTTOM, "double_top", "two equal highs, down through the low between"),
        _BOTTOM,
        _ASCENDING,
        _turned(_ASCENDING, "descending_triangle", "equal lows, falling highs; out at the bottom"),
        _pattern(
            "symmetric_triangle",
            "falling highs, rising lows; out at one side",
            shapes.symmetric_triangle,
            _TRIANGLE,
            _DIRECTION,
        ),
        _SUPPORT,
        _turned(_SUPPORT, "resistance_rejection", "thrown back from a level above"),
        _pattern(
            "volatility_cycle",
            "a squeeze and an expansion",
            shapes.volatility_cycle,
            {
                "cycles": Param(2, 1, 8, (1, 3), "squeezes", whole=True),
                "squeeze": Param(0.15, 0.02, 0.8, (0.1, 0.3), "narrowest swing over the widest"),
            },
        ),
        _pattern(
            "consolidation",
            "to and fro between two levels",
            shapes.consolidation,
            {"swings": Param(5, 1, 20, (3, 7), "ways up and down", whole=True)},
        ),
        _pattern(
            "flash_crash",
            "a fall within minutes, and a part of it taken back",
            shapes.flash_crash,
            {
                "crash_share": Param(0.015, 0.003, 0.1, (0.01, 0.04), "part of the time that the fall takes"),
                "recovery": Param(0.7, 0.0, 1.0, (0.3, 1.0), "part of the fall that is taken back"),
            },
        ),
        _pattern(
            "liquidity_sweep",
            "a stab below two equal lows, and a rally",
            shapes.liquidity_sweep,
            {"sweep": Param(0.2, 0.05, 1.0, (0.15, 0.35), "way below the lows, in heights")},
            _DIRECTION,
        ),
        _pattern("random_walk", "no pattern at all", shapes.random_walk),
    )
}

ALIASES = {
    "trend": "bull_trend",
    "reversal": "v_reversal",
    "triangle": "symmetric_triangle",
    "support": "support_bounce",
    "resistance": "resistance_rejection",
}
"""Short words for the pattern that is meant most often."""


def pattern(name: str) -> Pattern:
    """Give a pattern by name or alias; UsageError lists the names."""
    found = PATTERNS.get(ALIASES.get(name, name))
    if found is None:
        raise UsageError(f"pattern_type: expected one of {', '.join((*PATTERNS, *ALIASES))}; found {name!r}")
    return found


def settled(chosen: Pattern, params: Mapping[str, float] | None) -> dict[str, float]:
    """Give all parameters, defaults filled in; UsageError for a strange name or a number out of range."""
    given = params or {}
    if strange := sorted(given.keys() - chosen.params.keys()):
        raise UsageError(
            f"params of {chosen.name}: expected some of {', '.join(chosen.params)}; found {strange[0]!r}"
        )
    for name, value in given.items():
        one = chosen.params[name]
        check_number(f"{name} of {chosen.name}", value, one.low, one.high, whole=one.whole)
    if given.get("direction") == 0:
        raise UsageError(f"direction of {chosen.name}: expected 1 or -1; found 0")
    found = {name: float(given.get(name, one.default)) for name, one in chosen.params.items()}
    if found["bar_minutes"] not in BAR_MINUTES or found["minutes"] % found["bar_minutes"]:
        raise UsageError(
            f"params of {chosen.name}: expected bar_minutes of 1, 5, 15, 30, 60, 240 or 1440 that divide "
            f"minutes; found {found['bar_minutes']:g} and {found['minutes']:g}"
        )
    lengths = np.diff(chosen.skeleton(found).knots(int(found["minutes"])))
    if lengths.min() < 1:
        raise UsageError(
            f"minutes of {chosen.name}: expected at least one for each of {len(lengths)} legs; "
            f"found {found['minutes']:g} in all"
        )
    return found


BAR_MINUTES = (1, 5, 15, 30, 60, 240, 1_440)


def check_number(where: str, value: float, low: float, high: float, *, whole: bool = False) -> None:
    """Raise UsageError unless `value` is a number (a whole one) from `low` to `high`."""
    try:
        fits = low <= value <= high and (not whole or value == int(value))
    except TypeError:
        fits = False
    if not fits:
        kind = "a whole number" if whole else "a number"
        raise UsageError(f"{where}: expected {kind} from {low:g} to {high:g}; found {value!r}")
