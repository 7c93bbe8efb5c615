"""Several written models bound into one ensemble: which votes, which filters, under what policy.

Must not know how a model was trained or what its votes are worth. Called by training.cli.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from core.errors import UsageError
from inference import artifact, ensemble
from inference.ensemble import ENSEMBLE_FILE
from inference.ensemble_card import SCHEMA, EnsembleCard, MemberRef, Policy, Role, encode, sealed


class Part(NamedTuple):
    """A member to be: its folder lies beside the ensemble's. Bounds are a regime member's own."""

    folder: Path
    role: Role
    prior: float = 1.0
    low: float | None = None
    high: float | None = None

    def named(self, name: str, model_hash: str) -> MemberRef:
        """Give what the ensemble's card says of it."""
        bounds = {"low": self.low, "high": self.high}
        own = {which: bound for which, bound in bounds.items() if bound is not None}
        return MemberRef(name, f"../{self.folder.resolve().name}", model_hash, self.role, self.prior, **own)


def write(out: Path, parts: Sequence[Part], policy: Policy, *, version: str, command: str) -> EnsembleCard:
    """Write `out`/ensemble.json and prove it as the daemon will; the first voter's label is the blend's.

    UsageError for a member that lies elsewhere or an `out` that holds something else, ModelError for
    members that cannot be read or do not fit together; then what was there before stays.
    """
    voters = [part for part in parts if part.role is Role.VOTE]
    if not voters:
        raise UsageError("expected at least one voting member; found none")
    for part in parts:
        if part.folder.resolve().parent != out.resolve().parent:
            raise UsageError(f"{part.folder}: expected a folder beside {out}; found one elsewhere")
    found = {entry.name for entry in out.iterdir()} if out.is_dir() else set()
    if out.is_file() or not found <= {ENSEMBLE_FILE}:
        raise UsageError(f"{out}: expected a new folder or an old ensemble to write to; found other files")
    models = [artifact.load(part.folder) for part in parts]
    label = models[parts.index(voters[0])].card.label
    members = [part.named(model.name, model.model_hash) for part, model in zip(parts, models, strict=True)]
    bare = EnsembleCard(
        schema=SCHEMA,
        name=out.resolve().name,
        version=version,
        model_hash="",
        command=command,
        label=label,
        members=tuple(members),
        policy=policy,
    )
    card = sealed(bare)
    # Beside the old one, since members are named relative to the folder.
    fresh = out.with_name(f".{out.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        (fresh / ENSEMBLE_FILE).write_bytes(encode(card))
        ensemble.load(fresh)
        out.mkdir(exist_ok=True)
        (fresh / ENSEMBLE_FILE).replace(out / ENSEMBLE_FILE)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return card
