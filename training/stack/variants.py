"""Three tempers of one ensemble: how sure, how agreed and how lively it must be before it enters.

Must not know results. Called by training.plan. Every bound is a quantile of what the members said of rows
before the test span, so it says how often a gate opens and nothing about what an entry then earned.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from core.errors import DataError, UsageError
from inference.ensemble_card import Policy
from training.members.kept import TEST, Kept
from training.panel.panel import Floats
from training.stack.seating import TAKE, Seated, seat


class Temper(msgspec.Struct, frozen=True):
    """What a variant lets through, as shares of closes before the test span.

    `taken`: of the closes, those of which the meta-model is surest. `agreed`: of those with several votes,
    those whose voters lie closest together; 1 = their disagreement does not matter. `voting`: the share of
    voters that must have a fresh vote, rounded up. `lively`: of the closes, those at which a regime member
    gives its second class most chance; 1 = any market.
    """

    what_for: str
    taken: float
    agreed: float
    voting: float
    lively: float


VARIANTS: Mapping[str, Temper] = {
    "conservative": Temper(
        "few entries: all must vote, closely together, in the livelier half of the market; for high fees "
        "and for small accounts, where each entry costs most",
        taken=0.02,
        agreed=0.5,
        voting=1.0,
        lively=0.5,
    ),
    "balanced": Temper(
        "an entry at one close in twenty, unless the fifth of the closes in which voters differ most, or the "
        "calmest fifth of the market",
        taken=0.05,
        agreed=0.8,
        voting=0.5,
        lively=0.8,
    ),
    "aggressive": Temper(
        "many entries: one fresh vote is enough, voters may differ, any market; for low fees and for paper, "
        "to see much in a short time",
        taken=0.2,
        agreed=1.0,
        voting=0.0,
        lively=1.0,
    ),
}


_PLAIN = Policy()


def tempered(
    name: str,
    voters: Sequence[Kept],
    meta: Kept | None,
    regimes: Sequence[Kept] = (),
    *,
    base: Policy = _PLAIN,
    priors: Sequence[float] = (),
) -> tuple[Policy, dict[str, float]]:
    """Give what `policy` does of voters as they were kept, in the ensemble's order."""
    early = [one.only(one.ts < one.subject.test_start) for one in voters]
    return policy(name, seat(early, base, priors), meta, regimes, base=base)


def policy(
    name: str, seated: Seated, meta: Kept | None, regimes: Sequence[Kept] = (), *, base: Policy = _PLAIN
) -> tuple[Policy, dict[str, float]]:
    """Give a variant's policy, and for each regime member by name its own lower bound.

    `meta` and `regimes` are kept answers, `seated` the voters' (training.stack.seating.seat); all else of
    the policy is `base`'s, `min_take` too where there is no meta-model. UsageError for an unknown name,
    DataError without rows before the test span.
    """
    if name not in VARIANTS:
        raise UsageError(f"variant: expected one of {', '.join(VARIANTS)}; found {name!r}")
    temper, voters = VARIANTS[name], len(seated.names)
    early = seated.only(np.asarray(seated.rows.ts < seated.rows.subject.test_start))
    several = early.found.spread[early.voted.sum(axis=1) > 1]
    spread = _least(-several, temper.agreed, "votes of several") if voters > 1 else -1.0
    bounds = {one.subject.name: _least(_early(one), temper.lively, one.subject.name) for one in regimes}
    if temper.lively >= 1.0:
        bounds = dict.fromkeys(bounds, 0.0)
    found = msgspec.structs.replace(
        base,
        min_take=base.min_take if meta is None else _least(_early(meta), temper.taken, meta.subject.name),
        min_votes=max(1, int(np.ceil(temper.voting * voters))),
        abstain="spread" if temper.agreed < 1.0 and voters > 1 else "none",
        max_spread=base.max_spread if temper.agreed >= 1.0 else max(-spread, 1e-6),
    )
    return found, bounds


def _early(kept: Kept) -> Floats:
    """Give the chances of the second class on rows before the test span."""
    chance: Floats = kept.p[kept.fold != TEST][:, TAKE].astype(np.float64)
    return chance[np.isfinite(chance)]


def _least(values: Floats, share: float, whose: str) -> float:
    """Give the value that `share` of them reach, in six digits: a bound that a person can read."""
    if not len(values):
        raise DataError(f"{whose}: expected answers before the test span; found none")
    return float(np.floor(np.quantile(values, 1.0 - share) * 1e6) / 1e6)
