"""Ensembles: several verified models and the policy that makes one opinion of their votes.

Must not know instruments, traders or how votes are cast. Called by the shell that loads models and by
`trader model verify`. A folder with a single model is an ensemble of one.
"""

import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec

from core.errors import ModelError
from core.market import Timeframe
from inference import artifact, card_check
from inference.artifact import Artifact
from inference.card import CLASSES, REGIMES, Kind, LabelTerms
from inference.ensemble_card import SCHEMA, EnsembleCard, MemberRef, Policy, Role, decode, identity

ENSEMBLE_FILE = "ensemble.json"

_KINDS = {
    Role.VOTE: (Kind.ENTRY,),
    Role.META: (Kind.META,),
    Role.REGIME: tuple(REGIMES),
    Role.MANAGER: (Kind.MANAGER,),
}
_ABOVE_ZERO = (
    "skill_half_life_days",
    "skill_prior_windows",
    "half_life_bars",
    "half_life_days",
    "max_age_bars",
    "max_spread",
)
_SHARES = ("floor", "cap", "min_take", "regime_low", "regime_high")


@dataclass(frozen=True, eq=False)
class Member:
    """One verified model in its role; `prior` as on the ensemble's card."""

    ref: MemberRef
    artifact: Artifact


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Verified members and the policy over them; `model_hash` stands for every byte of it."""

    card: EnsembleCard
    members: tuple[Member, ...]

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def model_hash(self) -> str:
        return self.card.model_hash

    @property
    def label(self) -> LabelTerms:
        """What risk takes the opinions to mean."""
        return self.card.label

    @property
    def decision(self) -> Timeframe:
        """Timeframe at whose closes there is an opinion."""
        return Timeframe(self.card.label.decision)

    @property
    def timeframes(self) -> tuple[Timeframe, ...]:
        """All timeframes that it needs bars of, decision first."""
        wanted = [
            t for member in self.members for t in (member.artifact.decision, *member.artifact.spec.timeframes)
        ]
        return tuple(dict.fromkeys([self.decision, *wanted]))

    @property
    def warm_up_ns(self) -> int:
        """How much history its features need before the first opinion."""
        blocks = [block for member in self.members for block in member.artifact.spec.blocks]
        return max(block.warm_up * block.timeframe.ns for block in blocks)

    @property
    def entering(self) -> "Ensemble":
        """The same without members that speak of open positions only: what its opinions rest on."""
        return Ensemble(self.card, tuple(one for one in self.members if one.ref.role is not Role.MANAGER))

    def of(self, role: Role) -> tuple[Member, ...]:
        """Give the members of a role, in the card's order."""
        return tuple(member for member in self.members if member.ref.role is role)


def load(path: Path | str) -> Ensemble:
    """Read and prove the model or ensemble in a folder; ModelError in one line."""
    folder = Path(path)
    with artifact.readable(folder):
        if (folder / ENSEMBLE_FILE).is_file():
            return _checked(folder)
        return alone(artifact.load(folder))


def alone(model: Artifact) -> Ensemble:
    """Give the ensemble whose only voter is this entry model; it keeps the model's name and hash."""
    if model.card.kind is not Kind.ENTRY:
        raise ModelError(
            f"{model.name}: expected an entry model or an ensemble; found kind {model.card.kind.value}"
        )
    ref = MemberRef(model.name, ".", model.model_hash, Role.VOTE)
    card = EnsembleCard(
        schema=SCHEMA,
        name=model.name,
        version=model.card.version,
        model_hash=model.model_hash,
        command=model.card.command,
        label=model.card.label,
        members=(ref,),
        policy=Policy(),
        conformal=model.card.conformal,
    )
    return Ensemble(card, (Member(ref, model),))


def verify(path: Path | str) -> dict[str, object]:
    """Prove a folder and give the findings as plain values; a bad one has ok=False and `error`."""
    folder = Path(path)
    try:
        with artifact.readable(folder):
            if not (folder / ENSEMBLE_FILE).is_file():
                return artifact.verify(folder)
            found = _checked(folder)
    except ModelError as refused:
        return {"path": str(folder), "ok": False, "error": str(refused)}
    return {
        "path": str(folder),
        "ok": True,
        "error": "",
        "name": found.name,
        "version": found.card.version,
        "model_hash": found.model_hash,
        "kind": "ensemble",
        "feature_spec": "+".join(dict.fromkeys(member.artifact.spec.name for member in found.members)),
        "decision": found.decision.value,
        "bytes": sum(len(member.artifact.model) for member in found.members),
        "members": [f"{member.ref.name}:{member.ref.role.value}" for member in found.members],
        "heads": [
            f"{member.ref.name}.{head.name}" for member in found.members for head in member.artifact.card.more
        ],
    }


def _checked(folder: Path) -> Ensemble:
    card = _card(folder)
    _expect(folder, "schema", SCHEMA, card.schema)
    _expect(folder, "model_hash of this card's content", identity(card), card.model_hash)
    _policy(folder, card)
    names = [ref.name for ref in card.members]
    _expect(folder, "member names, each once", sorted(set(names)), sorted(names))
    inside = {part for ref in card.members for part in PurePosixPath(ref.folder).parts[:1]} - {".."}
    _expect(
        folder, "files", sorted({ENSEMBLE_FILE, *inside}), sorted(entry.name for entry in folder.iterdir())
    )
    found = Ensemble(card, tuple(Member(ref, _member(folder, ref)) for ref in card.members))
    _together(folder, found)
    return found


def _card(folder: Path) -> EnsembleCard:
    try:
        return decode((folder / ENSEMBLE_FILE).read_bytes())
    except OSError as missing:
        reason = missing.strerror or "cannot be read"
        raise ModelError(f"{folder}: expected {ENSEMBLE_FILE}; found: {reason}") from missing
    except (msgspec.DecodeError, UnicodeDecodeError) as broken:
        raise ModelError(
            f"{folder}/{ENSEMBLE_FILE}: expected an ensemble of schema {SCHEMA}; {broken}"
        ) from broken


def _member(folder: Path, ref: MemberRef) -> Artifact:
    """Load one member from inside the folder or beside it; nothing else may be named."""
    parts = PurePosixPath(ref.folder).parts
    plain = parts[1:] if parts[:1] == ("..",) else parts
    if len(plain) != 1 or plain[0] in ("..", "/") or "\\" in ref.folder:
        raise ModelError(
            f"{folder}: expected member {ref.name} in a folder inside or beside; found {ref.folder!r}"
        )
    model = artifact.load(folder / ref.folder)
    _expect(folder, f"model_hash of member {ref.name}", ref.model_hash, model.model_hash)
    kinds = _KINDS[ref.role]
    if model.card.kind not in kinds:
        wanted = " or ".join(kind.value for kind in kinds)
        raise ModelError(
            f"{folder}: expected kind of member {ref.name} {wanted}; found {model.card.kind.value}"
        )
    return model


def _together(folder: Path, found: Ensemble) -> None:
    """Check that the members can answer together at the ensemble's closes."""
    label = found.card.label
    voters = found.of(Role.VOTE)
    if label not in [member.artifact.card.label for member in voters]:
        raise ModelError(f"{folder}: expected a voter with the ensemble's label {label}; found none")
    if found.card.policy.min_votes > len(voters):
        raise ModelError(
            f"{folder}: expected min_votes of at most {len(voters)}; found {found.card.policy.min_votes}"
        )
    for role in (Role.META, Role.MANAGER):
        if len(found.of(role)) > 1:
            raise ModelError(
                f"{folder}: expected at most one {role.value} member; found {len(found.of(role))}"
            )
    for member in found.of(Role.META):
        _expect(
            folder, "decision timeframe of the meta member", label.decision, member.artifact.decision.value
        )
        seen = member.artifact.card.voters
        if seen is not msgspec.UNSET:
            names = tuple(voter.ref.name for voter in voters)
            _expect(folder, f"voters of {member.ref.name}, in its order,", seen, names)
    if found.card.policy.regime_rule == "any" and not found.of(Role.REGIME):
        raise ModelError(f"{folder}: expected a regime member for regime_rule any; found none")
    for member in found.members:
        _bounds(folder, member.ref)
        if not (math.isfinite(member.ref.prior) and member.ref.prior > 0):
            raise ModelError(
                f"{folder}: expected a prior above 0; found {member.ref.prior} of {member.ref.name}"
            )
        length = member.artifact.decision.ns
        if found.decision.ns % length and length % found.decision.ns:
            raise ModelError(f"{folder}: expected closes that meet; found {member.artifact.decision.value}")


def _bounds(folder: Path, ref: MemberRef) -> None:
    """Check a member's own bounds: a regime's alone, and shares."""
    own = [bound for bound in (ref.low, ref.high) if bound is not msgspec.UNSET]
    if own and ref.role is not Role.REGIME:
        raise ModelError(f"{folder}: expected bounds of regime members alone; found some of {ref.name}")
    if not all(0 <= bound <= 1 for bound in own) or own != sorted(own):
        raise ModelError(f"{folder}: expected bounds within 0 and 1, low first; found {own} of {ref.name}")


def _policy(folder: Path, card: EnsembleCard) -> None:
    policy = card.policy
    for name in _ABOVE_ZERO:
        if not getattr(policy, name) > 0:
            raise ModelError(f"{folder}: expected {name} above 0; found {getattr(policy, name)}")
    for name in _SHARES:
        if not 0 <= getattr(policy, name) <= 1:
            raise ModelError(f"{folder}: expected {name} within 0 and 1; found {getattr(policy, name)}")
    if not (policy.floor < policy.cap and 0 <= policy.rate <= 1_000 and policy.min_votes >= 1):
        raise ModelError(
            f"{folder}: expected floor below cap, rate of 0 to 1000, min_votes of 1; found {policy}"
        )
    if policy.abstain in ("conformal", "either") and card.conformal is None:
        raise ModelError(f"{folder}: expected a conformal quantile to abstain by; found none")
    try:
        card_check.calibration(card.calibration, len(CLASSES))
        card_check.conformal(card.conformal)
    except ModelError as refused:
        raise ModelError(f"{folder}: {refused}") from refused


def _expect(folder: Path, what: str, expected: object, found: object) -> None:
    if found != expected:
        raise ModelError(f"{folder}: expected {what} {expected}; found {found}")
