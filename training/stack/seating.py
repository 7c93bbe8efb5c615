"""What an ensemble would have heard at each close, out of what its voters said of rows unseen by them.

Must not know stackers or files. Called by training.stack.meta and training.stack.variants. Votes are taken
up as inference.members does it (the newest answer younger than `max_age_bars` of the voter's own bars) and
weighed by inference.blend, so a meta-model learns from what it will be shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.clock import DAY
from core.errors import DataError
from core.market import Timeframe
from core.text import iso
from inference.blend import Blend, Standing, blend, weigh
from inference.card import CLASSES
from inference.ensemble_card import Policy
from inference.sitting import members_seen, votes_seen
from training.labels import DOWN, UP
from training.members.kept import TEST, Kept, Subject
from training.panel.panel import UNKNOWN, Flags, Floats, Ints, Kinds, Matrix
from training.stack.skill import skill_by_then
from training.trades import Outcomes

_CHUNK = 20_000
"""Rows weighed at once: bounded weights need M x M numbers a row."""

SKIP, TAKE = 0, 1


@dataclass(frozen=True, eq=False)
class Seated:
    """The anchor's rows [n] with every voter's newest vote p [n, M, 3] where `voted`, and the blend.

    `side` is 1 or -1, the blend's; `took` whether an entry on it met its own barrier first. Rows at which
    the blend leans nowhere are left out.
    """

    abouts: tuple[Subject, ...]
    rows: Kept
    p: Floats
    voted: Flags
    found: Blend
    side: Ints
    took: Kinds

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> tuple[str, ...]:
        """The voters, in the ensemble's order."""
        return tuple(about.name for about in self.abouts)

    @property
    def votes(self) -> Matrix:
        """The tensor `votes` [n, 5]."""
        return votes_seen(self.found)

    @property
    def members(self) -> Matrix:
        """The tensor `members` [n, 4 M]."""
        return members_seen(self.p, self.voted)

    @property
    def outcomes(self) -> Outcomes:
        """What entries would have led to, as training.trades takes it."""
        rows = self.rows
        return Outcomes(rows.instrument, rows.ts, rows.ts_end, rows.long_return, rows.short_return)

    @property
    def paid(self) -> Floats:
        """Return of an entry on the blend's side, before fees [n]."""
        return np.where(self.side > 0, self.rows.long_return, self.rows.short_return)

    def only(self, picked: Flags | Ints) -> "Seated":
        """Give some rows."""
        return Seated(
            self.abouts,
            self.rows.only(picked),
            self.p[picked],
            self.voted[picked],
            _picked(self.found, picked),
            self.side[picked],
            self.took[picked],
        )


def seat(kepts: Sequence[Kept], policy: Policy, priors: Sequence[float] = ()) -> Seated:
    """Give what voters would have said together, in their order; the first one's rows are the decisions.

    Left out are closes of which some voter has no answer about any instrument, for its answers begin later
    or are thinned there: a live voter is not silent on those grounds. Priors default to 1 each. DataError
    for voters that were not cut at one instant, are no entry models or decide at closes that do not meet.
    """
    anchor = kepts[0]
    _together(kepts)
    kept = np.asarray((anchor.kind != UNKNOWN) & np.isfinite(anchor.p).all(axis=1))
    for one in kepts[1:]:
        kept &= _answered(one, anchor.ts, policy)
    rows = anchor.only(kept)
    heard = [_heard(rows, one, policy) for one in kepts]
    p = np.stack([one[0] for one in heard], axis=1)
    age = np.stack([one[1] for one in heard], axis=1)
    standing = Standing(
        np.asarray(priors or np.ones(len(kepts)), np.float64),
        np.stack([one[2] for one in heard], axis=1),
        np.stack([one[3] for one in heard], axis=1),
    )
    voted = np.asarray(age < policy.max_age_bars)
    found = _blended(p, voted, np.where(voted, age, 0.0), standing, policy)
    lean = found.p[:, UP] - found.p[:, DOWN]
    side = np.sign(lean).astype(np.int64)
    took = np.where(rows.kind == np.where(side > 0, UP, DOWN), TAKE, SKIP).astype(np.int8)
    seated = Seated(tuple(one.subject for one in kepts), rows, p, voted, found, side, took)
    return seated.only(np.asarray((side != 0) & (voted.sum(axis=1) >= policy.min_votes)))


def _answered(kept: Kept, ts: Ints, policy: Policy) -> Flags:
    """Tell at which instants a voter has an answer about anybody that is young enough to count."""
    closes = np.unique(kept.ts[np.isfinite(kept.p).all(axis=1)])
    if not len(closes):
        return np.zeros(len(ts), np.bool_)
    newest = np.searchsorted(closes, ts, side="right") - 1
    age = (ts - closes[newest]) / Timeframe(kept.subject.decision).ns
    return np.asarray((newest >= 0) & (age < policy.max_age_bars))


def _picked(found: Blend, at: Flags | Ints) -> Blend:
    return Blend(found.p[at], found.weights[at], found.spread[at], found.agreement[at], found.conflict[at])


def _together(kepts: Sequence[Kept]) -> None:
    anchor = kepts[0].subject
    decision = Timeframe(anchor.decision).ns
    for one in (kept.subject for kept in kepts):
        if one.kind != "entry" or one.classes != CLASSES:
            raise DataError(
                f"{one.name}: expected answers of an entry model, {', '.join(CLASSES)}; "
                f"found kind {one.kind} of {', '.join(one.classes)}"
            )
        if one.test_start != anchor.test_start:
            raise DataError(
                f"{one.name}: expected a test span from {iso(anchor.test_start)}, as {anchor.name} has it; "
                f"found {iso(one.test_start)}"
            )
        length = Timeframe(one.decision).ns
        if length % decision and decision % length:
            raise DataError(
                f"{one.name}: expected closes that meet those of {anchor.decision}; found {one.decision}"
            )


def _heard(rows: Kept, kept: Kept, policy: Policy) -> tuple[Floats, Floats, Floats, Floats]:
    """Give a voter's newest answers [n, 3], their age in its bars (inf = none), its skill, its data's age."""
    known = kept.only(np.asarray(np.isfinite(kept.p).all(axis=1)))
    length = Timeframe(kept.subject.decision).ns
    count = len(rows)
    p, age, data_age = np.zeros((count, 3)), np.full(count, np.inf), np.zeros(count)
    fitted = _fitted_at(known)
    place = {name: number for number, name in enumerate(known.subject.instruments)}
    for number, name in enumerate(rows.subject.instruments):
        mine = np.flatnonzero(rows.instrument == number)
        theirs = np.flatnonzero(known.instrument == place.get(name, -1))
        if not (len(mine) and len(theirs)):
            continue
        at = np.searchsorted(known.ts[theirs], rows.ts[mine], side="right") - 1
        mine, at = mine[at >= 0], theirs[at[at >= 0]]
        p[mine] = known.p[at]
        age[mine] = (rows.ts[mine] - known.ts[at]) / length
        data_age[mine] = np.maximum(rows.ts[mine] - fitted[at], 0) / DAY
    judged, skill = skill_by_then(known, policy)
    by_then = np.searchsorted(judged, rows.ts, side="right") - 1
    return p, age, np.where(by_then >= 0, skill[by_then], 0.0), data_age


def _fitted_at(kept: Kept) -> Ints:
    """Give when the fit that answered each row had ended: its span's first row, the test span's start."""
    found = np.full(len(kept), kept.subject.test_start)
    for fold in np.unique(kept.fold).tolist():
        if fold != TEST:
            found[kept.fold == fold] = kept.ts[kept.fold == fold].min()
    return found


def _blended(p: Floats, voted: Flags, age: Floats, standing: Standing, policy: Policy) -> Blend:
    parts = []
    for first in range(0, len(p), _CHUNK):
        at = slice(first, first + _CHUNK)
        own = Standing(standing.prior, standing.skill[at], standing.data_age_days[at])
        weights = weigh(p[at], voted[at], age[at], own, policy)
        parts.append(blend(p[at], voted[at], weights))
    if not parts:
        raise DataError("expected closes that every voter answered; found none")
    return Blend(*(np.concatenate(part) for part in zip(*parts, strict=True)))
