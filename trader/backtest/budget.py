"""What a run will take of memory, reckoned from bars, pairs and columns before anything is loaded.

Must not know bars or the desk. Called by trader.backtest.run. The figures are upper bounds of what the
arrays hold; `python -m benchmarks.backtest` prints the peak that was measured beside the estimate.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from core.clock import DAY
from core.errors import UsageError
from core.market import Timeframe
from inference.ensemble import Ensemble
from inference.features.spec import FeatureSpec

MEMORY_MB = 2048
"""What a run may take unless it is told otherwise."""
PROGRAM_MB = 420
"""Python, its libraries, compiled kernels and a few models, with nothing loaded."""
_BAR = 9 * 8
"""Bytes of a bar: nine columns."""
_PLACE = 4 + 4
"""Bytes by bar of a panel: where it is, and what a trader's screen says of it."""
_TABLE = 2 * (1 + 4 + 3 * 8 + 3 * 8 + 8 + 8)
"""Bytes of an opinion; it exists twice while a table is made."""
_ANSWER = 3 * 4 + 1 + 8 + 3 * 8
"""Bytes of one member's answer."""
_MB = 2**20
_LEAST_DAYS = 8


class Span(NamedTuple):
    """What is to be run: `since` is where its features begin, all in ns UTC; `source` the finest bars."""

    pairs: int
    source: Timeframe
    since: int
    start: int
    end: int

    def bars(self, timeframe: Timeframe) -> int:
        """Count one pair's bars of a timeframe, warm-up and all."""
        return (self.end - self.since) // timeframe.ns

    @property
    def days(self) -> int:
        """Days that are traded."""
        return (self.end - self.start) // DAY


class Plan(NamedTuple):
    """How a run keeps within its budget: bars `keep` in memory or not, panels of `panel_days`."""

    keep: bool
    panel_days: int
    estimate_mb: int


def planned(span: Span, models: Sequence[Ensemble], memory_mb: int, *, folds: bool) -> Plan:
    """Choose the quickest way that fits; UsageError if none does. `folds`: opinions are not there yet."""
    fixed = PROGRAM_MB * _MB + _opinions(span, models, folds=folds)
    one_pair = sum(span.bars(t) * _BAR for t in _timeframes(models, span.source))
    features = max((_features(span, spec) for spec in _specs(models)), default=0) if folds else 0
    panel_day = span.pairs * (DAY // span.source.ns) * (2 * _BAR + _PLACE * (1 + len(models)))
    whole = fixed + features + span.pairs * one_pair + span.days * panel_day
    if whole <= memory_mb * _MB:
        return Plan(keep=True, panel_days=span.days, estimate_mb=-(-whole // _MB))
    lean = fixed + max(features + 3 * one_pair, span.pairs * one_pair // max(1, span.days))
    room = (memory_mb * _MB - lean) // panel_day
    if room < min(_LEAST_DAYS, span.days):
        need = -(-(lean + min(_LEAST_DAYS, span.days) * panel_day) // _MB)
        raise UsageError(
            f"memory: expected a budget of at least {need} MB for {span.pairs} pairs and {span.days} days "
            f"of {span.source.value} bars; found {memory_mb} MB"
        )
    days = min(room, span.days)
    return Plan(keep=False, panel_days=days, estimate_mb=-(-(lean + days * panel_day) // _MB))


def _opinions(span: Span, models: Sequence[Ensemble], *, folds: bool) -> int:
    tables = sum(span.bars(model.decision) * span.pairs * _TABLE for model in models)
    answers = sum(
        span.bars(member.artifact.decision) * span.pairs * _ANSWER
        for model in models
        for member in model.members
    )
    return tables + (answers if folds else 0)


def _features(span: Span, spec: FeatureSpec) -> int:
    """Give the bytes of one pair's columns: float32 once for reading, float64 once while they are made."""
    return sum(span.bars(block.timeframe) * len(block.columns) * (4 + 8) for block in spec.needed)


def _specs(models: Iterable[Ensemble]) -> list[FeatureSpec]:
    return [member.artifact.spec for model in models for member in model.members]


def _timeframes(models: Iterable[Ensemble], source: Timeframe) -> set[Timeframe]:
    return {t for model in models for t in model.timeframes} | {source}
