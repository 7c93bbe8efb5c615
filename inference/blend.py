"""Several members' probabilities into one: what each weighs, and how far they disagree.

Must not know models, instruments or the clock. Pure arrays, one row per instrument, one column per
member; called by inference.sitting live and in the backtest alike.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inference.ensemble_card import Policy

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_DOWN, _UP = 0, 2
_LEAST = 1e-9
"""Smallest raw weight of a voter, of the row's largest: an old vote stays a voter."""
_SKILL = 0.25
"""Skill beyond this many nats counts as this much: no streak makes a weight explode."""


class Standing(NamedTuple):
    """What is known of each member beside its votes, all [M].

    `prior` as on the ensemble's card, `skill` the realised log-loss gain in nats (inference.scoreboard),
    `data_age_days` the time since the end of its training data.
    """

    prior: Floats
    skill: Floats
    data_age_days: Floats


class Blend(NamedTuple):
    """One row per instrument: probabilities [N, 3], weights [N, M] summing to 1 (0 where nobody votes).

    `spread` is the largest minus the smallest p_up - p_down of the voters, `agreement` the weight of
    those that lean to the blend's side, `conflict` whether voters lean to different sides.
    """

    p: Floats
    weights: Floats
    spread: Floats
    agreement: Floats
    conflict: Flags


def weigh(p: Floats, votes: Flags, age_bars: Floats, standing: Standing, policy: Policy) -> Floats:
    """Give the weights [N, M] of probabilities p [N, M, 3] where `votes` holds, 0 elsewhere.

    prior x confidence x accuracy x freshness, then bounded. Confidence is the likeliest class's
    probability (between 1/3 and 1, so it can at most treble a weight). Accuracy is exponential in the
    skill, as in Hedge (Freund & Schapire, JCSS 1997). Freshness halves with the age of the vote, in the
    member's own bars, and with the age of its training data.
    """
    skill = np.clip(standing.skill, -_SKILL, _SKILL)
    member = (
        standing.prior
        * np.exp(policy.rate * skill)
        * 0.5 ** (np.maximum(standing.data_age_days, 0.0) / policy.half_life_days)
    )
    fresh = 0.5 ** (np.maximum(age_bars, 0.0) / policy.half_life_bars)
    confidence = np.maximum(np.maximum(p[:, :, 0], p[:, :, 1]), p[:, :, 2])
    return bounded(member * confidence * fresh, votes, policy.floor, policy.cap)


def bounded(raw: Floats, votes: Flags, floor: float, cap: float) -> Floats:
    """Scale raw weights [N, M] to sum to 1 with each voter's within [floor, cap].

    Where so few (or many) vote that this cannot be, the bound that is in the way gives: one voter
    has it all. The weights are clip(s x raw, floor, cap) with the one s per row that makes them sum
    to 1, so who has more raw weight never gets less.
    """
    if raw.shape[1] == 1:
        return votes.astype(np.float64)  # what follows would come to the same
    count = votes.sum(axis=1, keepdims=True)
    equal = 1.0 / np.maximum(count, 1)
    low = np.where(votes, np.minimum(floor, equal), 0.0)
    high = np.where(votes, np.maximum(cap, equal), 0.0)
    raw = np.where(votes, raw, 0.0)
    top = raw.max(axis=1, keepdims=True)
    raw = np.where(votes, np.maximum(raw / np.where(top > 0, top, 1.0), _LEAST), 0.0)
    divisor = np.where(votes, raw, 1.0)
    # The sum is linear in s between the values of s at which a member meets a bound.
    bends = np.sort(np.concatenate([low / divisor, high / divisor], axis=1), axis=1)
    sums = np.clip(bends[:, :, None] * raw[:, None, :], low[:, None, :], high[:, None, :]).sum(axis=2)
    after = np.minimum((sums < 1.0).sum(axis=1), bends.shape[1] - 1)[:, None]
    before = np.maximum(after - 1, 0)
    s0, s1 = (np.take_along_axis(bends, at, 1) for at in (before, after))
    f0, f1 = (np.take_along_axis(sums, at, 1) for at in (before, after))
    rise = np.where(f1 > f0, f1 - f0, 1.0)
    scale = s0 + np.clip((1.0 - f0) / rise, 0.0, 1.0) * (s1 - s0)
    weights = np.clip(scale * raw, low, high)
    total = weights.sum(axis=1, keepdims=True)
    return weights / np.where(total > 0, total, 1.0)


def blend(p: Floats, votes: Flags, weights: Floats) -> Blend:
    """Average probabilities p [N, M, 3] and measure how far the voters are apart."""
    mixed = (weights[:, :, None] * np.where(votes[:, :, None], p, 0.0)).sum(axis=1)
    lean = np.where(votes, p[:, :, _UP] - p[:, :, _DOWN], 0.0)
    highest = np.where(votes, lean, -np.inf).max(axis=1)
    lowest = np.where(votes, lean, np.inf).min(axis=1)
    someone = votes.any(axis=1)
    side = np.sign(mixed[:, _UP] - mixed[:, _DOWN])
    return Blend(
        p=mixed,
        weights=weights,
        spread=np.where(someone, highest - lowest, 0.0),
        agreement=np.where(np.sign(lean) == side[:, None], weights, 0.0).sum(axis=1),
        conflict=someone & (lowest < 0) & (highest > 0),
    )
