"""All families of columns, and which of them a timeframe computes in what order.

Must not know formulas, instruments or specifications. Called by spec, frame and fold. To add a family:
one file beside this one and one line below.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from core.clock import DAY, HOUR
from core.market import Timeframe
from inference.features import (
    burst,
    direction,
    divergence,
    flow,
    moments,
    momentum,
    oscillators,
    patterns,
    realised,
    scale,
    structure,
    trend,
    volatility,
    volume,
    volume_week,
    wide,
)
from inference.features.family import Family
from inference.features.kernel import Floats, Ints

KERNEL_VERSION = 2
"""Raise it when any number changes: models trained before then refuse to load."""

BASE = scale.FAMILY
FAMILIES: tuple[Family, ...] = (
    BASE,
    trend.FAMILY,
    direction.FAMILY,
    momentum.FAMILY,
    oscillators.FAMILY,
    volatility.FAMILY,
    realised.FAMILY,
    moments.FAMILY,
    volume.FAMILY,
    burst.FAMILY,
    volume_week.FAMILY,
    wide.FAMILY,
    structure.FAMILY,
    divergence.FAMILY,
    patterns.FAMILY,
    flow.FAMILY,
)

MISSING = "missing"
"""Column of every timeframe: share of absent bars among the last SLOTS; 1 in a slot that is absent."""
SLOTS = 60

_FAMILY = {column: family for family in FAMILIES for column in family.columns}
COLUMNS = (MISSING, *_FAMILY)


def hole_limit(timeframe: Timeframe) -> int:
    """Give how many bars in a row may be absent before all columns start over.

    Ten minutes: a short outage must not cost the hundreds of minutes that columns take to be whole again.
    """
    return {Timeframe.M1: 10, Timeframe.D1: 0}.get(timeframe, 2)


def family_of(column: str) -> Family:
    """Give the family that computes a column; `missing` comes with the base family."""
    return BASE if column == MISSING else _FAMILY[column]


def warm_up_of(column: str, timeframe: Timeframe) -> int:
    """Give after how many bars a column is whole and has forgotten where it began."""
    if column == MISSING:
        return 1
    family = _FAMILY[column]
    # Days are told by the hour, and the first hour seen may have been half over.
    span = family.days * DAY + HOUR if family.days else 0
    return max(family.warm_up[column], -(-span // timeframe.ns))


class Layout(NamedTuple):
    """The families that one timeframe computes, and where their columns lie in `out` [width, M]."""

    families: tuple[Family, ...]
    rows: dict[str, int]

    @property
    def width(self) -> int:
        return len(self.rows)

    def states(self, rows: int) -> list[Floats]:
        """Make room for the state of each family."""
        return [np.zeros((rows, family.slots)) for family in self.families]

    def positions(self, columns: Iterable[str]) -> Ints:
        """Give the rows of `out` in which columns lie."""
        return np.array([self.rows[column] for column in columns], np.int64)

    def advance(
        self, states: list[Floats], plan: Ints, ts_open: Ints, bars: Floats, length: int, work: "Work"
    ) -> None:
        """Walk all families over the plan; row 0 of `out` is the caller's."""
        first = 1
        for family, state in zip(self.families, states, strict=True):
            last = first + len(family.columns)
            family.advance(state, plan, ts_open, bars, length, work.scales, work.out[first:last])
            first = last


class Work(NamedTuple):
    """Where a walk writes: `out` [width, M] and `scales` [SCALES, M]."""

    out: Floats
    scales: Floats


def layout(columns: Iterable[str]) -> Layout:
    """Give the families that a set of columns needs, the base family first."""
    wanted = {family_of(column).name for column in columns} | {BASE.name}
    families = tuple(family for family in FAMILIES if family.name in wanted)
    names = (MISSING, *(column for family in families for column in family.columns))
    return Layout(families, {name: row for row, name in enumerate(names)})
