"""The named targets and their presets for each timeframe, from scalping to swing (docs/labels.md).

Must not know features, models or files. Called by the recipes and the plan's runner.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from core.clock import DAY, HOUR
from core.errors import UsageError
from core.market import Timeframe
from inference.card import CLASSES_OF, Kind
from training.labels import BarrierTerms
from training.targets.barrier import Barrier
from training.targets.moves import Direction, LargeMove, Magnitude, Move, Trend
from training.targets.regimes import Expansion, Volatility, VolumeUp, span_ns
from training.targets.sides import LONG, SHORT, Excursion, Exits, StopOrTarget
from training.targets.sweep import Sweep
from training.targets.target import Target

EPSILON_PCT = 0.5
"""Of three bars; it grows with the root of the bars, as the spread of a walk does."""
TREND_BAND_ATR = 0.25
"""A bar of a walk is on average sqrt(8 / pi) = 1.6 deviations wide (Feller 1951), so a quarter of an ATR
is 0.4 of them: about a third of the rows in each class."""
LARGE_PCT = 1.0
"""Of one hour; it grows with the root of the hours."""


class Preset(msgspec.Struct, frozen=True):
    """What a timeframe is for: `style`, its barriers, and the span whose volatility is asked for."""

    style: str
    barrier_atr: float
    horizon_bars: int
    calm_ns: int


PRESETS: Mapping[Timeframe, Preset] = {
    Timeframe.M1: Preset("scalping", 3.0, 30, HOUR),
    Timeframe.M5: Preset("scalping", 3.0, 24, HOUR),
    Timeframe.M15: Preset("intraday", 3.0, 24, 6 * HOUR),
    Timeframe.M30: Preset("intraday", 3.0, 24, 6 * HOUR),
    Timeframe.H1: Preset("intraday", 3.0, 24, 6 * HOUR),
    Timeframe.H4: Preset("intraday", 3.0, 24, DAY),
    Timeframe.D1: Preset("swing", 2.0, 10, 5 * DAY),
}


def terms_of(decision: Timeframe) -> BarrierTerms:
    """Give a timeframe's own barriers."""
    preset = PRESETS[decision]
    return BarrierTerms(decision, preset.barrier_atr, preset.horizon_bars)


def target(name: str, decision: Timeframe, terms: BarrierTerms | None = None) -> Target:
    """Give a target by name; without `terms` the timeframe's preset.

    `terms` sets the barriers, and the horizon of every target that is not of a fixed number of bars.
    UsageError for a name that there is not, and for terms of another timeframe.
    """
    if (maker := MAKERS.get(name)) is None:
        raise UsageError(f"target: expected one of {', '.join(MAKERS)}; found {name!r}")
    if terms is not None and terms.decision is not decision:
        raise UsageError(f"target {name}: expected terms of {decision.value}; found {terms.decision.value}")
    return maker(name, decision, terms)


def _moves(kind: Callable[..., Target], bars: int, **terms: Any) -> "_Maker":
    return lambda name, decision, _: kind(name, decision, bars, **terms)


def _barrier(name: str, decision: Timeframe, terms: BarrierTerms | None) -> Target:
    return Barrier(name, terms or terms_of(decision))


def _magnitude(name: str, decision: Timeframe, terms: BarrierTerms | None) -> Target:
    return Magnitude(name, decision, (terms or terms_of(decision)).horizon_bars)


def _large_move(name: str, decision: Timeframe, terms: BarrierTerms | None) -> Target:
    bars = (terms or terms_of(decision)).horizon_bars
    epsilon = LARGE_PCT * math.sqrt(bars * decision.ns / HOUR)
    return LargeMove(name, decision, bars, epsilon_pct=epsilon)


def _calm(decision: Timeframe, terms: BarrierTerms | None) -> int:
    return PRESETS[decision].calm_ns if terms is None else terms.horizon_ns


def _volatility(name: str, decision: Timeframe, terms: BarrierTerms | None) -> Target:
    return Volatility(name, _calm(decision, terms), ("low", "normal", "high"), (0.2, 0.8))


def _vol_high(name: str, decision: Timeframe, terms: BarrierTerms | None) -> Target:
    return Volatility(name, _calm(decision, terms), CLASSES_OF[Kind.REGIME], (0.8,))


def _volume_up(name: str, decision: Timeframe, terms: BarrierTerms | None) -> Target:
    horizon = span_ns(decision) if terms is None else terms.horizon_ns
    if horizon > DAY:
        raise UsageError(f"target {name}: expected a horizon of a day at most; found {horizon / DAY:g} days")
    return VolumeUp(name, horizon)


def _expansion(name: str, decision: Timeframe, _: BarrierTerms | None) -> Target:
    return Expansion(name, span_ns(decision), times=1.5, past=24)


def _sweep(name: str, decision: Timeframe, _: BarrierTerms | None) -> Target:
    return Sweep(name, decision)


def _exits(decision: Timeframe, terms: BarrierTerms | None) -> Exits:
    used = terms or terms_of(decision)
    return Exits(decision, used.barrier_atr, used.barrier_atr, used.horizon_bars)


def _first(side: int) -> "_Maker":
    return lambda name, decision, terms: StopOrTarget(name, _exits(decision, terms), side)


def _excursion(side: int, *, adverse: bool) -> "_Maker":
    return lambda name, decision, terms: Excursion(name, _exits(decision, terms), side, adverse)


_Maker = Callable[[str, Timeframe, BarrierTerms | None], Target]

MAKERS: Mapping[str, _Maker] = {
    "barrier": _barrier,
    **{f"move_{bars}": _moves(Move, bars) for bars in (1, 3, 6, 12, 24)},
    **{
        f"direction_{bars}": _moves(Direction, bars, epsilon_pct=EPSILON_PCT * math.sqrt(bars / 3))
        for bars in (3, 12)
    },
    **{f"trend_{bars}": _moves(Trend, bars, band_atr=TREND_BAND_ATR) for bars in (6, 12, 24)},
    "magnitude": _magnitude,
    "large_move": _large_move,
    "volatility": _volatility,
    "vol_high": _vol_high,
    "volume_up": _volume_up,
    "expansion": _expansion,
    "sweep": _sweep,
    "outcome_long": _first(LONG),
    "outcome_short": _first(SHORT),
    "mae_long": _excursion(LONG, adverse=True),
    "mfe_long": _excursion(LONG, adverse=False),
    "mae_short": _excursion(SHORT, adverse=True),
    "mfe_short": _excursion(SHORT, adverse=False),
}
