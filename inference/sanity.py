"""Whether a model's answer can be a forecast at all: gates with names, by row and for a whole batch.

Must not know what the answer is used for. Called by inference.members after every run of a model.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inference.card import Card, Kind
from inference.ensemble_card import SanityLimits

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float32]

NOT_FINITE = "sanity: model output is not finite"
NO_PROBABILITIES = "sanity: model output is no set of probabilities"
_SUM = 1e-3
SAME = 1e-9


class Findings(NamedTuple):
    """`usable` [N] rows may be believed; `why` says of the others what is wrong (empty: not ready).

    `fault` is what is wrong with the batch as a whole; then no row of it is usable.
    """

    usable: Flags
    why: dict[int, str]
    fault: str


class Range:
    """How far rows lie outside of what a model was trained on, by the deciles on its card."""

    def __init__(self, card: Card, spread: float) -> None:
        self._bounds = {}
        for name, deciles in card.deciles.items():
            edges = np.array(deciles, np.float64)
            low, high = edges[:, 0], edges[:, -1]
            room = spread * (high - low)
            wide = room > 0  # a column that hardly varied has no range
            self._bounds[name] = (
                np.where(wide, low - room, -np.inf).astype(np.float32),
                np.where(wide, high + room, np.inf).astype(np.float32),
            )
        self._columns = sum(len(low) for low, _ in self._bounds.values())

    def outside(self, tensors: Mapping[str, Matrix], rows: int) -> Floats:
        """Give each row's share of columns far outside [rows]; of a window its newest bar is looked at."""
        far = np.zeros(rows)
        for name, (low, high) in self._bounds.items():
            x = tensors[name]
            newest = x[:, -1] if x.ndim == 3 else x
            far += ((newest < low) | (newest > high)).sum(axis=1)
        return far / max(self._columns, 1)


class Repeats:
    """How many closes in a row an instrument got one and the same answer."""

    def __init__(self, size: int, classes: int) -> None:
        self.last = np.full((size, classes), np.nan)
        self.run = np.zeros(size, np.int64)

    def count(self, p: Floats, ready: Flags) -> Ints:
        """Take in the answers p [N, K] where `ready` holds; give the length of each run so far."""
        with np.errstate(invalid="ignore"):
            same = (np.abs(p - self.last).T <= SAME).all(axis=0)
        self.run = np.where(ready, np.where(same, self.run + 1, 1), self.run)
        self.last = np.where(ready[:, None], p, self.last)
        return self.run


class Inspection(NamedTuple):
    """One batch of answers p [N, K] and what is known of its rows, each [N]."""

    p: Floats
    ready: Flags
    repeats: Ints
    outside: Floats
    age_s: Floats


def inspect(kind: Kind, batch: Inspection, limits: SanityLimits) -> Findings:
    """Judge a batch; rows that are not ready are passed over."""
    p, usable, why = batch.p, batch.ready.copy(), dict[int, str]()

    def refuse(wrong: Flags, text: str) -> None:
        bad = usable & wrong
        if not bad.any():
            return
        for row in np.flatnonzero(bad).tolist():
            why[row] = text.format(
                p=float(p[row].max()), n=int(batch.repeats[row]), far=batch.outside[row], age=batch.age_s[row]
            )
        np.logical_and(usable, ~wrong, out=usable)

    columns = np.ascontiguousarray(p.T)  # numpy reduces a short last axis slowly
    refuse(np.asarray(~np.isfinite(columns).all(axis=0)), NOT_FINITE)
    with np.errstate(invalid="ignore"):
        sure: Flags = columns.max(axis=0) > limits.saturated
    refuse(_improper(columns), NO_PROBABILITIES)
    if fault := _fault(kind, p[usable], sure[usable], limits):
        return Findings(
            np.zeros_like(usable), dict.fromkeys(np.flatnonzero(usable).tolist(), fault) | why, fault
        )
    if kind is Kind.ENTRY:  # whether a market is quiet can be next to certain, where it goes cannot
        refuse(sure, f"sanity: saturated, {{p:.4f}} > {limits.saturated:g}")
    refuse(batch.repeats >= limits.repeats, "sanity: the same answer for {n} closes")
    refuse(
        batch.outside > limits.outside,
        f"sanity: {{far:.0%}} of the features far outside the training range > {limits.outside:.0%}",
    )
    refuse(
        batch.age_s > limits.feature_age_s, f"sanity: features {{age:.0f}} s old > {limits.feature_age_s:g}"
    )
    return Findings(usable, why, "")


def improper(p: Floats) -> Flags:
    """Tell which answers p [..., K] are no set of probabilities, whatever else may be wrong with them."""
    wrong: Flags = _improper(np.moveaxis(p, -1, 0))
    return wrong


def _improper(columns: Floats) -> Flags:
    with np.errstate(invalid="ignore"):
        sums = np.abs(columns.sum(axis=0) - 1) <= _SUM
        return np.asarray(~(sums & (columns >= 0).all(axis=0) & (columns <= 1).all(axis=0)))


def _fault(kind: Kind, p: Floats, sure: Flags, limits: SanityLimits) -> str:
    if len(p) < limits.batch:
        return ""
    if np.ptp(p, axis=0).max() <= SAME:
        return f"sanity: the same answer for all {len(p)} instruments"
    if kind is Kind.ENTRY and sure.mean() > limits.saturated_share:
        return f"sanity: saturated for {sure.mean():.0%} of {len(p)} instruments"
    return ""
