"""The twins as an ensemble that a daemon could load: cards, specifications, roles, one policy.

Must not know how it is run. Called by the benches. Figures on the cards are those of a shipped model,
for untrained networks have none; only names, shapes and scalers are the twins' own.
"""

import hashlib
from pathlib import Path

import msgspec

from benchmarks.twins import Twin, twins
from core.market import Timeframe
from inference.artifact import MODEL_FILE, Artifact, load
from inference.card import (
    CLASSES_OF,
    BinaryMetrics,
    Calibration,
    Card,
    FeatureRef,
    Interval,
    Kind,
    LabelTerms,
    RobustScaler,
    sealed,
)
from inference.ensemble import Ensemble, Member
from inference.ensemble_card import SCHEMA, EnsembleCard, MemberRef, Policy, Role
from inference.ensemble_card import sealed as sealed_ensemble
from inference.features.spec import FLAT, SPECS, Block, FeatureSpec

PATTERN = Path(__file__).parents[1] / "configs" / "models" / "entry-15m"
SHIPPED = {"mtf": SPECS["mtf"], "manager": SPECS["manager_1m5m"]}
"""Twins that read what the shipped specifications of their kind give."""
NAMES = SHIPPED["mtf"].windows[0].columns
NO_FIGURE = Interval(None, None, None)
BINARY = BinaryMetrics(0.5, NO_FIGURE, 0.5, 0.7, 0.7, NO_FIGURE, NO_FIGURE, "none", 0.7, NO_FIGURE, "none")


def twin_ensemble(policy: Policy | None = None) -> Ensemble:
    """Give the ensemble of all twins, deciding at 15m."""
    pattern = load(PATTERN).card
    members = tuple(_member(twin, pattern) for twin in twins())
    card = EnsembleCard(
        schema=SCHEMA,
        name="untrained-twins",
        version="1",
        model_hash="",
        command="python -m benchmarks",
        label=_label(pattern, "15m"),
        members=tuple(member.ref for member in members),
        policy=policy or Policy(min_take=0.0),
    )
    return Ensemble(sealed_ensemble(card), members)


def _member(twin: Twin, pattern: Card) -> Member:
    kind, role = _KINDS[twin.name.partition("_")[0]]
    spec = _spec(twin)
    shapes = {name: shape for name, shape in spec.shapes.items() if name in twin.inputs}
    card = msgspec.structs.replace(
        pattern,
        kind=kind,
        name=twin.name,
        files={MODEL_FILE: hashlib.sha256(twin.model).hexdigest()},
        features=FeatureRef(spec.name, spec.hash, len(spec.names)),
        inputs=dict(twin.inputs),
        scalers={name: _scaler(shape[-1]) for name, shape in shapes.items()},
        label=_label(pattern, twin.timeframe),
        classes=CLASSES_OF[kind],
        calibration=Calibration(1.0, (0.0,) * len(CLASSES_OF[kind])),
        conformal=None,
        metrics=pattern.metrics if kind is Kind.ENTRY else BINARY,
        deciles={name: ((-1e3, *[0.0] * 7, 1e3),) * shape[-1] for name, shape in shapes.items()},
    )
    artifact = Artifact(sealed(card), spec, twin.model)
    return Member(MemberRef(twin.name, twin.name, artifact.model_hash, role), artifact)


_KINDS = {
    "entry": (Kind.ENTRY, Role.VOTE),
    "mtf": (Kind.ENTRY, Role.VOTE),
    "meta": (Kind.META, Role.META),
    "regime": (Kind.REGIME, Role.REGIME),
    "manager": (Kind.MANAGER, Role.MANAGER),
}


def _spec(twin: Twin) -> FeatureSpec:
    """Give the specification whose tensors are the twin's inputs."""
    blocks = tuple(
        Block(Timeframe(name), NAMES, window=shape[0])
        for name, shape in twin.inputs.items()
        if len(shape) == 2
    )
    if twin.name in SHIPPED:
        return SHIPPED[twin.name]
    decision = Timeframe(twin.timeframe)
    if FLAT in twin.inputs:
        return FeatureSpec(f"twin_{twin.name}", decision, (Block(decision, NAMES),))
    return FeatureSpec(f"twin_{twin.name}", decision, blocks, clock=())


def _scaler(columns: int) -> RobustScaler:
    return RobustScaler((0.0,) * columns, (1.0,) * columns, 10.0)


def _label(pattern: Card, decision: str) -> LabelTerms:
    return msgspec.structs.replace(pattern.label, decision=decision)
