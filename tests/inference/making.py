"""Small real models for tests: one affine layer per input tensor and a softmax, written with onnx.helper."""

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pytest

from inference import golden
from inference.artifact import Artifact, open_session
from inference.card import (
    CLASSES_OF,
    SCHEMA,
    BinaryMetrics,
    Card,
    DataUsed,
    FeatureRef,
    Head,
    Interval,
    Kind,
    LabelTerms,
    Split,
    decode,
    encode,
    sealed,
)
from inference.ensemble_card import EnsembleCard, MemberRef, Policy, Role
from inference.ensemble_card import encode as encode_ensemble
from inference.ensemble_card import sealed as sealed_ensemble
from inference.features.spec import SPECS

SHIPPED = Path(__file__).parents[2] / "configs" / "models"
NOTHING = Interval(0.0, -0.01, 0.01)
ROLES = {
    Kind.ENTRY: Role.VOTE,
    Kind.META: Role.META,
    Kind.REGIME: Role.REGIME,
    Kind.VOLUME: Role.REGIME,
    Kind.MANAGER: Role.MANAGER,
}


def graph(
    inputs: dict[str, tuple[int, ...]],
    classes: int,
    *,
    seed: int,
    pull: float = 0.02,
    nan_below: int = -1,
    heads: tuple[Head, ...] = (),
) -> bytes:
    """Give softmax(sum of W x + b) as ONNX; with `nan_below` NaN where that column of `x` is negative.

    A head is the mean of the first input, once for each of its numbers.
    """
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)
    nodes, weights, sums = [], [], []
    for name, shape in inputs.items():
        size = int(np.prod(shape))
        made = (rng.standard_normal((size, classes)) * pull).astype(np.float32)
        weights.append(numpy_helper.from_array(made, f"w_{name}"))
        nodes.append(helper.make_node("Flatten", [name], [f"flat_{name}"], axis=1))
        nodes.append(helper.make_node("MatMul", [f"flat_{name}", f"w_{name}"], [f"sum_{name}"]))
        sums.append(f"sum_{name}")
    if nan_below >= 0:
        weights.append(numpy_helper.from_array(np.array([nan_below], np.int64), "column"))
        weights.append(numpy_helper.from_array(np.zeros((1, classes), np.float32), "zeros"))
        nodes.append(helper.make_node("Gather", ["x", "column"], ["picked"], axis=1))
        nodes.append(helper.make_node("Sqrt", ["picked"], ["root"]))
        nodes.append(helper.make_node("MatMul", ["root", "zeros"], ["nothing"]))
        sums.append("nothing")
    weights.append(numpy_helper.from_array((rng.standard_normal(classes) * 0.2).astype(np.float32), "bias"))
    nodes.append(helper.make_node("Sum", [*sums, "bias"], ["scores"]))
    nodes.append(helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1))
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", classes])]
    for head in heads:
        weights.append(numpy_helper.from_array(np.ones((1, head.size), np.float32), f"w_{head.name}"))
        mean = helper.make_node("ReduceMean", [nodes[0].output[0]], [f"m_{head.name}"], axes=[1], keepdims=1)
        nodes += [mean, helper.make_node("MatMul", [f"m_{head.name}", f"w_{head.name}"], [head.name])]
        outputs.append(helper.make_tensor_value_info(head.name, TensorProto.FLOAT, ["batch", head.size]))
    made = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", *s]) for n, s in inputs.items()],
        outputs,
        weights,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model.SerializeToString()


def card(name: str, spec_name: str, kind: Kind, inputs: dict[str, tuple[int, ...]], **changes) -> Card:
    """Give an honest enough card: the figures of a shipped entry model, or plain zeros for two classes."""
    spec = SPECS[spec_name]
    figures = decode((SHIPPED / "entry-15m" / "card.json").read_bytes()).metrics
    two = BinaryMetrics(0.2, NOTHING, 0.8, 0.5, 0.5, NOTHING, NOTHING, "persistence", 0.5, NOTHING, "none")
    base = Card(
        schema=SCHEMA,
        kind=kind,
        name=name,
        version="1",
        model_hash="",
        files={},
        command="made by a test",
        libraries={},
        features=FeatureRef(spec.name, spec.hash, len(spec.names)),
        inputs=inputs,
        scalers={},
        label=LabelTerms(spec.decision.value, 3.0, 24, "" if kind is Kind.ENTRY else "what a test says"),
        classes=CLASSES_OF[kind],
        calibration=None,
        conformal=None,
        data=DataUsed("made", "1m", ("A/USD",), "2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z", "0" * 64),
        split=Split(*["2024-01-01T00:00:00Z"] * 4, *[0] * 6),
        seed=1,
        trials=1,
        parameters={},
        edge_threshold=0.0,
        metrics=figures if kind is Kind.ENTRY else two,
        deciles={},
    )
    return msgspec.structs.replace(base, **changes)


def write_model(
    folder: Path,
    spec_name: str = "entry_15m",
    kind: Kind = Kind.ENTRY,
    *,
    inputs: dict[str, tuple[int, ...]] | None = None,
    seed: int = 1,
    pull: float = 0.02,
    nan_below: int = -1,
    model: bytes = b"",
    **changes,
) -> Card:
    """Write a small model's folder; `inputs` default to the specification's, `model` to a small graph."""
    shapes = inputs or dict(SPECS[spec_name].shapes)
    written = card(folder.name, spec_name, kind, shapes, **changes)
    model = model or graph(
        shapes, len(written.classes), seed=seed, pull=pull, nan_below=nan_below, heads=written.more
    )
    rng = np.random.default_rng(seed)
    rows = {
        name: np.abs(rng.standard_normal((8, *shape))).astype(np.float32) for name, shape in shapes.items()
    }

    artifact, session = Artifact(written, SPECS[spec_name], model, {}), open_session(model)
    answers = {golden.ANSWERS: artifact.run(session, rows)} | artifact.beside(session, rows)
    vectors = golden.encode(rows | answers)
    folder.mkdir(parents=True)
    files = {"model.onnx": model, "golden.npz": vectors}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    whole = sealed(msgspec.structs.replace(written, files=hashes))
    (folder / "card.json").write_bytes(encode(whole))
    return whole


def write_ensemble(folder: Path, *members: Path, policy: Policy = Policy(), **changes) -> EnsembleCard:  # noqa: B008
    """Write an ensemble over model folders inside of it or beside it; the first one gives the label."""
    cards = [decode((member / "card.json").read_bytes()) for member in members]
    refs = [
        MemberRef(
            one.name,
            member.name if member.parent == folder else f"../{member.name}",
            one.model_hash,
            ROLES[one.kind],
        )
        for one, member in zip(cards, members, strict=True)
    ]
    base = EnsembleCard(1, folder.name, "1", "", "made by a test", cards[0].label, tuple(refs), policy)
    whole = sealed_ensemble(msgspec.structs.replace(base, **changes))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ensemble.json").write_bytes(encode_ensemble(whole))
    return whole
