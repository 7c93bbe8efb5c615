"""A model or an ensemble as plain values for people: members by role, what they read, say and are bound by.

Must not know the command line. Called by `trader model show`.
"""

from pathlib import Path
from typing import Any

import msgspec

from inference import artifact, ensemble
from inference.artifact import Artifact
from inference.card import Kind
from inference.ensemble import ENSEMBLE_FILE, Ensemble
from inference.ensemble_card import Policy, Role

Json = dict[str, Any]


def described(path: Path | str) -> Json:
    """Read and prove a folder, and tell what is in it; ModelError in one line."""
    folder = Path(path)
    if not (folder / ENSEMBLE_FILE).is_file():
        model = artifact.load(folder)
        return {
            "name": model.name,
            "kind": model.card.kind.value,
            "version": model.card.version,
            "model_hash": model.model_hash,
            "decision": model.decision.value,
            "label": msgspec.to_builtins(model.card.label),
            "policy": {},
            "members": [_member(model, model.name)],
        }
    found = ensemble.load(folder)
    policy = found.card.policy
    changed = {
        name: msgspec.to_builtins(value)
        for name, value in msgspec.structs.asdict(policy).items()
        if value is not msgspec.UNSET and value != getattr(Policy(), name)
    }
    return {
        "name": found.name,
        "kind": "ensemble",
        "version": found.card.version,
        "model_hash": found.model_hash,
        "decision": found.decision.value,
        "label": msgspec.to_builtins(found.label),
        "policy": changed,
        "members": [_seat(found, member) for member in found.members],
    }


def _seat(found: Ensemble, member: ensemble.Member) -> Json:
    ref, policy = member.ref, found.card.policy
    told = _member(member.artifact, ref.name) | {"role": ref.role.value, "prior": ref.prior}
    if ref.role is Role.META:
        told |= {"low": policy.min_take, "high": 1.0}
    if ref.role is Role.REGIME:
        told["low"] = policy.regime_low if ref.low is msgspec.UNSET else ref.low
        told["high"] = policy.regime_high if ref.high is msgspec.UNSET else ref.high
    return told


def _member(model: Artifact, name: str) -> Json:
    card = model.card
    return {
        "name": name,
        "role": "",
        "kind": card.kind.value,
        "version": card.version,
        "model_hash": card.model_hash,
        "decision": model.decision.value,
        "features": card.features.name,
        "inputs": {tensor: list(shape) for tensor, shape in card.inputs.items()},
        "classes": list(card.classes),
        "trained_until": card.split.test_start,
        "bytes": len(model.model),
        "voters": list(card.voters) if card.voters is not msgspec.UNSET else [],
        "heads": [msgspec.to_builtins(head) for head in card.more],
        "rule": card.label.rule,
    }


def told(found: Json) -> list[str]:
    """Write it for a terminal."""
    label = found["label"]
    asked = label["rule"] or f"{label['barrier_atr']:g} ATR within {label['horizon_bars']} bars"
    head = f"{found['name']} version {found['version']}  {found['model_hash'][:12]}"
    lines = [f"{head}  decides at {found['decision']}: {asked}"]
    width = max(len(member["name"]) for member in found["members"])
    for member in found["members"]:
        lines.append(
            f"  {member['role'] or member['kind']:<8} {member['name']:<{width}}  {member['decision']:>3}  "
            f"{member['features']}, {member['bytes'] / 1000:.0f} kB, trained to "
            f"{member['trained_until'][:10]}{_bound(member)}"
        )
        lines += [
            f"           head {head['name']} [{head['size']}] in {head['unit']}: {head['says']}"
            for head in member["heads"]
        ]
    if found["policy"]:
        lines.append("  policy   " + ", ".join(f"{name} {value}" for name, value in found["policy"].items()))
    return lines


def _bound(member: Json) -> str:
    said = member["classes"][-1]
    if member["role"] == Role.MANAGER or (not member["role"] and member["kind"] == Kind.MANAGER):
        return "; speaks of open positions only"
    if member["role"] == Role.META:
        seen = f" of {', '.join(member['voters'])}" if member["voters"] else ""
        return f"; {said} at least {member['low']:g}, sees the blend{' and the votes' if seen else ''}{seen}"
    if member["role"] == Role.REGIME:
        return f"; {said} from {member['low']:g} to {member['high']:g}"
    return f"; prior {member['prior']:g}" if member["role"] else ""
