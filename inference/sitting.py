"""One decision of one ensemble: votes, gates, blend, meta-model, regime filter, calibration, abstention.

Must not know features, how a model runs, or risk. Called by inference.council, live and in the backtest
alike. Each refusal is a named reason (core.signal.GATES), and an instrument that was refused stays so.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import SECOND
from core.signal import Filter
from inference import calibrate, conformal
from inference.artifact import Artifact
from inference.blend import Blend, Standing, blend, weigh
from inference.card import MEMBER_COLUMNS, REGIMES, VOTE_COLUMNS
from inference.card_check import MEMBERS, VOTES
from inference.ensemble import Ensemble
from inference.ensemble import Member as Seat
from inference.ensemble_card import Role
from inference.members import Answers, Due, Member

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float32]


class Models(Protocol):
    """What runs models on features: live, or looked up in what was folded."""

    def answers(self, due: Sequence[Due]) -> list[Answers]:
        """Give what each member says [N]; only the rows that are due will be looked at."""

    def take(
        self, model: Artifact, ts_close: int, rows: Ints, given: Mapping[str, Matrix]
    ) -> tuple[Matrix, Flags]:
        """Give a meta-model's probabilities [n, 2] for `rows`, and which are ready.

        `given` are its tensors beside the features: `votes` and `members`.
        """


class Verdicts(NamedTuple):
    """One row per instrument asked for: what core.signal.Opinion holds, as arrays.

    `vote_p` [n, M, 3], `weights` and `vote_age_s` [n, M] are the voters' in the ensemble's order,
    `found` [n, F, 2] chance (NaN = none) and age in seconds of the filters. A row that is not usable has
    p = 0; of one that is, `reason` tells which members were left out.
    """

    usable: Flags
    reason: list[str]
    p: Floats
    scales: Floats  # [3, n]: atr, volatility, close
    spread: Floats
    age_s: Floats
    vote_p: Floats
    weights: Floats
    vote_age_s: Floats
    found: Floats

    def of(self, rows: Sequence[int]) -> "Verdicts":
        """Give the verdicts of some rows, in that order."""
        if list(rows) == list(range(len(self.reason))):
            return self
        at = np.array(rows, np.int64)
        picked = {
            name: value[:, at] if name == "scales" else value[at]
            for name, value in self._asdict().items()
            if name != "reason"
        }
        return Verdicts(reason=[self.reason[row] for row in rows], **picked)


class Band(NamedTuple):
    """A regime member and the chances of its second class in which entries are allowed."""

    name: str
    member: Member
    low: float
    high: float

    def seen(self, ts_close: int, rows: Ints, max_age_bars: float) -> Floats:
        """Give chance and age in seconds [n, 2], NaN and 0 where nothing fresh is known."""
        age = self.member.age_bars(ts_close, rows)
        fresh = age < max_age_bars
        seconds = np.where(fresh, age, 0.0) * (self.member.length / SECOND)
        return np.column_stack([np.where(fresh, self.member.p[rows, 1], np.nan), seconds])

    def outside(self, ts_close: int, rows: Ints, max_age_bars: float) -> tuple[Flags, Callable[[int], str]]:
        """Tell which rows it keeps out or does not know enough of, and why (of one of those)."""
        member, low, high = self.member, self.low, self.high
        p = member.p[rows, 1]
        fresh = member.age_bars(ts_close, rows) < max_age_bars

        def why(k: int) -> str:
            if not fresh[k]:
                return f"regime: {self.name}: {member.why(int(rows[k]))}"
            below, above = REGIMES[member.artifact.card.kind]
            bound = f"{below}, {p[k]:.2f} < {low:.2f}" if p[k] < low else f"{above}, {p[k]:.2f} > {high:.2f}"
            return f"regime: {bound}"

        return np.asarray(~fresh | (p < low) | (p > high)), why


def _band(seat: Seat, member: Member, ensemble: Ensemble) -> Band:
    policy = ensemble.card.policy
    low = policy.regime_low if seat.ref.low is msgspec.UNSET else seat.ref.low
    high = policy.regime_high if seat.ref.high is msgspec.UNSET else seat.ref.high
    return Band(seat.ref.name, member, low, high)


def _filters(ensemble: Ensemble, bands: Sequence[Band]) -> tuple[Filter, ...]:
    """Name those that do not vote: meta-model, regimes, managers."""
    least = ensemble.card.policy.min_take

    def named(seat: Seat, low: float, high: float) -> Filter:
        return Filter(seat.ref.name, seat.ref.role.value, seat.artifact.card.classes[1], low, high)

    regimes = zip(ensemble.of(Role.REGIME), bands, strict=True)
    return (
        *(named(seat, least, 1.0) for seat in ensemble.of(Role.META)),
        *(named(seat, band.low, band.high) for seat, band in regimes),
        *(named(seat, 0.0, 1.0) for seat in ensemble.of(Role.MANAGER)),
    )


class Panel:
    """One ensemble's members by role."""

    def __init__(self, ensemble: Ensemble, members: Mapping[Seat, Member]) -> None:
        self.ensemble = ensemble
        self._seats = members
        self.members = tuple(members.values())
        voting = ensemble.of(Role.VOTE)
        self.voters = tuple(members[seat] for seat in voting)
        self.names = tuple(seat.ref.name for seat in voting)
        self.prior = np.array([seat.ref.prior for seat in voting])
        self.regimes = tuple(_band(seat, members[seat], ensemble) for seat in ensemble.of(Role.REGIME))
        self.meta = next((members[seat].artifact for seat in ensemble.of(Role.META)), None)
        self.filters = _filters(ensemble, self.regimes)
        self.asked = (*self.voters, *(band.member for band in self.regimes))
        labels = [seat.artifact.card.label for seat in voting]
        self.anchor = self.voters[labels.index(ensemble.label)]

    def shadow(self) -> "Panel":
        """Give a panel whose members leave no trace."""
        shadows = {member: member.shadow() for member in self.members}
        return Panel(self.ensemble, {seat: shadows[member] for seat, member in self._seats.items()})

    def standing(self, ts_close: int) -> Standing:
        """Give what the weights need to know of the voters."""
        windows = self.ensemble.card.policy.skill_prior_windows
        skill = np.array([member.score(windows, ts_close).skill for member in self.voters])
        age = np.array([member.data_age_days(ts_close) for member in self.voters])
        return Standing(self.prior, skill, age)


class Sitting:
    """One ensemble's decision about some instruments at one close."""

    def __init__(self, panel: Panel, ts_close: int, rows: Ints, counts: Counter[str]) -> None:
        self._panel = panel
        self._policy = panel.ensemble.card.policy
        self._ts = ts_close
        self._rows = rows
        self._counts = counts
        self._left = np.ones(len(rows), np.bool_)
        self._take = np.full(len(rows), np.nan)
        self._reason = [""] * len(rows)

    def verdicts(self, models: Models) -> Verdicts:
        panel, rows = self._panel, self._rows
        age = np.stack([member.age_bars(self._ts, rows) for member in panel.voters], axis=1)
        p = np.stack([member.p[rows] for member in panel.voters], axis=1)
        votes = np.asarray(age < self._policy.max_age_bars)
        self._votes(votes)
        weights = weigh(p, votes, np.where(votes, age, 0.0), panel.standing(self._ts), self._policy)
        found = blend(p, votes, weights)
        self._meta(found, members_seen(p, votes), models)
        self._regimes()
        mixed = calibrate.apply(panel.ensemble.card.calibration, found.p)
        self._abstain(mixed, found)
        self._counts["conflict"] += int(found.conflict.sum())
        scales = panel.anchor.scales[:, rows]
        lengths = np.array([member.length for member in panel.voters]) / SECOND
        return Verdicts(
            usable=self._left,
            reason=self._noted(),
            p=np.where(self._left[:, None], mixed, 0.0),
            scales=scales[:3],
            spread=found.spread,
            age_s=np.where(panel.anchor.ready[rows], scales[3], 0.0),
            vote_p=p,
            weights=weights,
            vote_age_s=np.where(np.isfinite(age), age, 0.0) * lengths,
            found=self._found(),
        )

    def _found(self) -> Floats:
        """Give what the filters said, in the order of the panel's."""
        panel, limit = self._panel, self._policy.max_age_bars
        parts = [band.seen(self._ts, self._rows, limit) for band in panel.regimes]
        if panel.meta is not None:
            parts.insert(0, np.column_stack([self._take, np.zeros(len(self._rows))]))
        return np.stack(parts, axis=1) if parts else np.empty((len(self._rows), 0, 2))

    def _refuse(self, wrong: Flags, text: Callable[[int], str]) -> None:
        bad = self._left & wrong
        if not bad.any():
            return
        for k in np.flatnonzero(bad).tolist():
            self._reason[k] = text(k)
            self._counts[self._reason[k].partition(":")[0]] += 1
        self._left = self._left & ~wrong

    def _votes(self, votes: Flags) -> None:
        """Refuse where the scales of the decision are not known or too few members may vote."""
        panel, rows = self._panel, self._rows
        current = panel.anchor.ran_at == self._ts
        if panel.anchor.ran_at > self._ts:
            self._refuse(self._left, lambda _: "stale: a later close was asked about before")
        self._refuse(~(panel.anchor.ready[rows] & current), lambda k: panel.anchor.why(int(rows[k])))
        needed = self._policy.min_votes
        self._refuse(
            np.asarray(votes.sum(axis=1) < needed),
            lambda k: self._silent(votes[k], int(rows[k]), needed),
        )

    def _silent(self, votes: Flags, row: int, needed: int) -> str:
        panel = self._panel
        if len(panel.voters) == 1:
            return panel.anchor.why(row)
        absent = [k for k, voted in enumerate(votes) if not voted]
        told = "; ".join(f"{panel.names[k]}: {panel.voters[k].why(row)}" for k in absent)
        limit = f"{self._policy.max_age_bars:g} of its bars"
        return f"stale: {int(votes.sum())} of {needed} members younger than {limit}; {told}"

    def _meta(self, found: Blend, members: Matrix, models: Models) -> None:
        meta = self._panel.meta
        if meta is None or not self._left.any():
            return
        at = np.flatnonzero(self._left)
        given = {VOTES: votes_seen(found)[at], MEMBERS: members[at]}
        take, ready = np.zeros(len(self._rows)), np.zeros(len(self._rows), np.bool_)
        p, ready[at] = models.take(meta, self._ts, self._rows[at], given)
        take[at] = p[:, 1]
        least = self._policy.min_take
        silent = ~(ready & np.isfinite(take))
        self._take = np.where(silent, np.nan, take)
        self._refuse(silent, lambda _: "meta: no answer, its features are not ready")
        self._refuse(take < least, lambda k: f"meta: {take[k]:.2f} < {least:.2f} to take it")

    def _regimes(self) -> None:
        """Refuse what any regime member keeps out; under the rule "any" only what all of them do."""
        bands = self._panel.regimes
        found = [band.outside(self._ts, self._rows, self._policy.max_age_bars) for band in bands]
        if self._policy.regime_rule == "any":
            found = [(np.logical_and.reduce([outside for outside, _ in found]), _joined(found))]
        for outside, why in found:
            self._refuse(outside, why)

    def _abstain(self, p: Matrix, found: Blend) -> None:
        policy, limit = self._policy, self._policy.max_spread
        if policy.abstain in ("spread", "either"):
            self._refuse(
                found.spread > limit,
                lambda k: f"spread: members disagree by {found.spread[k]:.2f} > {limit:.2f}",
            )
        terms = self._panel.ensemble.card.conformal
        if policy.abstain in ("conformal", "either") and terms is not None:
            inside = conformal.sets(p, terms.quantile)
            self._refuse(
                conformal.undecided(inside, single_class=policy.single_class),
                lambda k: undecided_text(inside[k], terms.alpha),
            )

    def _noted(self) -> list[str]:
        """Give the reasons, and beside usable rows which members were left out for a whole batch."""
        panel = zip(self._panel.names, self._panel.voters, strict=True)
        note = "; ".join(f"{name}: {member.fault}" for name, member in panel if member.fault)
        return [reason or note for reason in self._reason]


def votes_seen(found: Blend) -> Matrix:
    """Give the tensor `votes` [n, 5] of a meta-model (card.VOTE_COLUMNS)."""
    seen = np.column_stack([found.p, found.spread, found.agreement]).astype(np.float32)
    assert seen.shape[1] == len(VOTE_COLUMNS)
    return seen


def members_seen(p: Floats, votes: Flags) -> Matrix:
    """Give the tensor `members` [n, 4 M] of a meta-model (card.MEMBER_COLUMNS) of p [n, M, 3]."""
    said = np.where(votes[:, :, None], p, 0.0)
    seen = np.concatenate([said, votes[:, :, None]], axis=2).astype(np.float32)
    assert seen.shape[2] == len(MEMBER_COLUMNS)
    return seen.reshape(len(p), -1)


def undecided_text(inside: Flags, alpha: float) -> str:
    """Say which classes [3] cannot be told apart."""
    return f"conformal: {_classes(inside)} cannot be told apart at {1 - alpha:.0%}"


def _joined(found: Sequence[tuple[Flags, Callable[[int], str]]]) -> Callable[[int], str]:
    """Give all reasons at once, the gate's word in front of the first alone."""
    return lambda k: "regime: " + "; ".join(why(k).removeprefix("regime: ") for _, why in found)


def _classes(inside: Flags) -> str:
    return (
        " and ".join(name for name, held in zip(("down", "hold", "up"), inside, strict=True) if held)
        or "nothing"
    )
