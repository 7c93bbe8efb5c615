"""An ensemble of one voter over a whole history: what the council would decide, worked out at once.

Must not know features, files or the desk. Called by trader.backtest.opinions where nobody asks for the
votes. It does what inference.members and inference.sitting do where nobody is there to weigh a vote
against; a test holds it against them, close by close.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inference import conformal
from inference.card import Kind
from inference.ensemble import Ensemble
from inference.ensemble_card import Role
from inference.members import Member
from inference.sanity import SAME, Findings, Inspection, improper, inspect
from inference.sitting import undecided_text
from trader.backtest.opinion_table import NOT_READY, Codes, OpinionTable

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float32]


class Column(NamedTuple):
    """One member's answers at all its closes, [closes, N, ...]; `place` finds a close."""

    member: Member
    ts_close: Ints
    place: Mapping[int, int]
    p: Matrix
    ready: Flags
    outside: Floats
    scales: Floats  # [3, closes, N]: atr, volatility, close


def is_solo(ensemble: Ensemble) -> bool:
    """Tell whether one voter decides alone, at its own closes, as it is."""
    (first, *others) = ensemble.members
    same_closes = first.artifact.decision is ensemble.decision
    usual = ensemble.card.calibration is None and ensemble.card.policy.min_votes == 1
    return not others and first.ref.role is Role.VOTE and same_closes and usual


def solo_table(
    ensemble: Ensemble, instruments: tuple[str, ...], column: Column, closes: Ints
) -> OpinionTable:
    """Give the table of a solo ensemble at `closes`, all of which are the member's."""
    rows = np.searchsorted(column.ts_close, closes)
    p, ready = column.p[rows].astype(np.float64), column.ready[rows]
    found = _judged(ensemble, p, ready, column.outside[rows])
    votes, said = _newest(p, found.usable, closes, ensemble)
    left = ready & votes
    texts = _Texts(left.shape)
    texts.write(~ready, NOT_READY)
    for row, findings in found.told.items():
        texts.explain(row, findings, ready[row] & ~votes[row], left[row], ensemble.members[0].ref.name)
    terms = ensemble.card.conformal
    if terms is not None and ensemble.card.policy.abstain in ("conformal", "either"):
        inside = conformal.sets(said.astype(np.float32), terms.quantile)
        single = ensemble.card.policy.single_class
        torn = left & conformal.undecided(inside.reshape(-1, 3), single_class=single).reshape(left.shape)
        for kind in np.unique(inside[torn], axis=0):
            texts.write(torn & (inside == kind).all(axis=-1), undecided_text(kind, terms.alpha))
        left &= ~torn
    return OpinionTable(
        model_hash=ensemble.model_hash,
        decision=ensemble.decision,
        instruments=instruments,
        members=(ensemble.members[0].ref.name,),
        ts_close=closes,
        usable=left,
        reason=texts.codes,
        reasons=texts.known,
        p=np.where(left[..., None], said, 0.0),
        scales=np.where(left[..., None], np.moveaxis(column.scales[:, rows], 0, -1), 0.0),
        spread=np.zeros(left.shape),
        age_s=np.zeros(left.shape),
    )


class _Judged(NamedTuple):
    """Which answers [T, N] may be believed, and what was said of closes where some may not."""

    usable: Flags
    told: Mapping[int, Findings]


def _judged(ensemble: Ensemble, p: Floats, ready: Flags, outside: Floats) -> _Judged:
    """Judge all batches; inference.sanity itself judges those in which something may be wrong."""
    limits = ensemble.card.policy.sanity
    repeats = _repeats(p, ready)
    highest = p.max(axis=-1)
    odd = improper(p) | (highest > limits.saturated)
    odd |= (repeats >= limits.repeats) | (outside > limits.outside)
    suspect = (ready & odd).any(axis=1)
    count = ready.sum(axis=1)
    with np.errstate(invalid="ignore"):
        high = np.where(ready[..., None], p, -np.inf).max(axis=1)
        low = np.where(ready[..., None], p, np.inf).min(axis=1)
        suspect |= (count >= limits.batch) & ~((high - low).max(axis=1) > SAME)
    usable, told = ready.copy(), {}
    for row in np.flatnonzero(suspect).tolist():
        batch = Inspection(p[row], ready[row], repeats[row], outside[row], np.zeros(ready.shape[1]))
        told[row] = inspect(Kind.ENTRY, batch, limits)
        usable[row] = told[row].usable
    return _Judged(usable, told)


def _repeats(p: Floats, ready: Flags) -> Ints:
    """Count how many closes in a row each instrument got one and the same answer [T, N]."""
    runs = np.zeros(ready.shape, np.int64)
    for column in range(ready.shape[1]):
        rows = np.flatnonzero(ready[:, column])
        if not len(rows):
            continue
        said = p[rows, column]
        with np.errstate(invalid="ignore"):
            same = (np.abs(np.diff(said, axis=0)) <= SAME).all(axis=1)
        place = np.arange(len(rows))
        began = np.maximum.accumulate(np.where(np.append(False, same), 0, place))
        runs[rows, column] = place - began + 1
    return runs


def _newest(p: Floats, usable: Flags, closes: Ints, ensemble: Ensemble) -> tuple[Flags, Floats]:
    """Give which instruments have a vote young enough, and the newest believable answers [T, N, 3]."""
    made = np.where(usable, np.arange(len(closes))[:, None], -1)
    made = np.maximum.accumulate(made, axis=0) if len(made) else made
    age = (closes[:, None] - closes[made]) / ensemble.members[0].artifact.decision.ns if len(made) else made
    votes = np.asarray((made >= 0) & (age < ensemble.card.policy.max_age_bars))
    said = p[made, np.arange(p.shape[1])] if len(made) else p
    return votes, said


class _Texts:
    """Reasons by number."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.codes: Codes = np.zeros(shape, np.uint32)
        self._numbers = {"": 0}

    @property
    def known(self) -> tuple[str, ...]:
        """The texts in the order of their numbers."""
        return tuple(self._numbers)

    def write(self, where: Flags, text: str) -> None:
        self.codes[where] = self._numbers.setdefault(text, len(self._numbers))

    def explain(self, row: int, found: Findings, silent: Flags, left: Flags, name: str) -> None:
        """Say of one close what was wrong with rows without a vote, and note it beside the others."""
        for column in np.flatnonzero(silent).tolist():
            self.codes[row, column] = self._number(found.why.get(column) or NOT_READY)
        if found.fault:
            self.codes[row, left] = self._number(f"{name}: {found.fault}")

    def _number(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))
