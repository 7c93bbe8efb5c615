"""What an ensemble says about itself: `ensemble.json`.

Must not know files, ONNX or how members run. Written by training, read by inference.ensemble and by
everything that shows an ensemble to people.
"""

import enum
import hashlib
from typing import Literal

import msgspec

from inference.card import Calibration, Conformal, LabelTerms

SCHEMA = 1


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Role(enum.StrEnum):
    """What a member does for the ensemble."""

    VOTE = "vote"  # its probabilities are blended
    META = "meta"  # sees the blend and says whether to take it
    REGIME = "regime"  # says what the market is like; some of it is refused
    MANAGER = "manager"  # speaks of open positions only


class MemberRef(_Strict, frozen=True):
    """One model of the ensemble. `folder` is relative to the ensemble's: inside it, or beside it.

    `prior` is what the people who made it think of it beside the others, 1 = as good. `low` and `high`
    bound the chance that a regime member gives its second class; unset, the policy's bounds hold. (Fields
    that came later are unset, not defaulted: an unset one is not in the text, so older hashes stand.)
    """

    name: str
    folder: str
    model_hash: str
    role: Role
    prior: float = 1.0
    low: float | msgspec.UnsetType = msgspec.UNSET
    high: float | msgspec.UnsetType = msgspec.UNSET


class SanityLimits(_Strict, frozen=True):
    """When a member's answer is not believed (inference.sanity)."""

    saturated: float = 0.995  # a probability above it is no forecast
    saturated_share: float = 0.2  # of a batch: then the whole batch is a fault
    batch: int = 8  # rows that a batch needs before it is judged as a whole
    repeats: int = 96  # closes in a row with one and the same answer for an instrument
    outside: float = 0.25  # share of columns far outside the training range
    outside_spread: float = 2.0  # "far": so many 10-90 % ranges beyond the outer deciles
    feature_age_s: float = 7_200.0  # age of the newest input


class Policy(_Strict, frozen=True):
    """How votes become one opinion (inference.blend, inference.sitting)."""

    # weights
    rate: float = 20.0  # weight grows with e^(rate x skill), skill in nats per prediction
    skill_half_life_days: float = 30.0
    skill_prior_windows: float = 20.0  # independent outcomes that the card's own figure counts for
    half_life_bars: float = 1.0  # of a vote, in bars of the member's own timeframe
    half_life_days: float = 180.0  # of what a member was trained on
    floor: float = 0.05  # of a voting member's share
    cap: float = 0.7
    # who may vote, and when the blend is no opinion
    max_age_bars: float = 1.0
    min_votes: int = 1
    min_take: float = 0.5  # of the meta-model
    regime_low: float = 0.0  # of a regime member's second class: below it nothing is entered
    regime_high: float = 1.0  # and above it
    regime_rule: Literal["all", "any"] | msgspec.UnsetType = msgspec.UNSET
    # how many regime members must be within their bounds; unset is all of them
    abstain: Literal["none", "spread", "conformal", "either"] = "none"
    max_spread: float = 0.25  # of p_up - p_down between members
    single_class: bool = False  # conformal: also abstain where the set holds a side and hold
    sanity: SanityLimits = SanityLimits()


class EnsembleCard(_Strict, frozen=True):
    """Everything about one ensemble.

    `model_hash` is the SHA-256 of this card without that one field; since the members' own hashes
    are in it, one hash stands for everything. `label` is what risk takes the blend to mean: that of
    a voting member which decides at the same timeframe. `calibration` and `conformal` are the blend's.
    """

    schema: int
    name: str
    version: str
    model_hash: str
    command: str
    label: LabelTerms
    members: tuple[MemberRef, ...]
    policy: Policy
    calibration: Calibration | None = None
    conformal: Conformal | None = None


def identity(card: EnsembleCard) -> str:
    """Give the hash that a card of this content must carry."""
    bare = msgspec.structs.replace(card, model_hash="")
    return hashlib.sha256(msgspec.json.encode(bare)).hexdigest()


def sealed(card: EnsembleCard) -> EnsembleCard:
    """Give the card as a reader will see it, with its own hash filled in."""
    read_back = decode(encode(card))
    return msgspec.structs.replace(read_back, model_hash=identity(read_back))


def encode(card: EnsembleCard) -> bytes:
    """Give the text of `ensemble.json`."""
    return msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n"


def decode(text: bytes) -> EnsembleCard:
    """Read `ensemble.json`; raises msgspec.DecodeError or ValidationError with the field at fault."""
    return msgspec.json.decode(text, type=EnsembleCard)
