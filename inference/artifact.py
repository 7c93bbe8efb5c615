"""Model artifacts: a folder with a card, one self-contained ONNX file and golden vectors, checked before use.

Must not know instruments, traders or the training stack. Called by the shell that loads models,
by `trader model verify` and by training.export, which checks its own work the same way.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort

from core.errors import ModelError
from core.market import Timeframe
from inference import calibrate, golden
from inference.card import CLASSES_OF, SCHEMA, Card, RobustScaler, decode, identity
from inference.card_check import check
from inference.features.spec import SPECS, FeatureSpec

CARD_FILE = "card.json"
MODEL_FILE = "model.onnx"
GOLDEN_FILE = "golden.npz"
FILES = {CARD_FILE, GOLDEN_FILE, MODEL_FILE}
INPUT, OUTPUT = "x", "probabilities"
TOLERANCE = 1e-5
"""Largest difference allowed between the golden probabilities and this machine's."""

Tensors = Mapping[str, npt.NDArray[np.float32]]

_ERROR_LEVEL = 3
# onnxruntime's exceptions have no class of their own in common.
RUNTIME_ERRORS = tuple(
    kind for kind in vars(ort).values() if isinstance(kind, type) and issubclass(kind, Exception)
)


@dataclass(frozen=True, eq=False)
class Artifact:
    """A verified model: its card, the spec that its input follows, the ONNX bytes and golden vectors."""

    card: Card
    spec: FeatureSpec
    model: bytes
    vectors: golden.Arrays = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def model_hash(self) -> str:
        return self.card.model_hash

    @property
    def decision(self) -> Timeframe:
        """Timeframe at whose closes the model has an opinion."""
        return Timeframe(self.card.label.decision)

    def run(self, session: Any, tensors: Tensors) -> npt.NDArray[np.float32]:
        """Give probabilities [n, classes] for rows as the features come: scaled, run, calibrated."""
        fed = {name: scaled(self.card.scalers.get(name), tensors[name]) for name in self.card.inputs}
        return calibrate.apply(self.card.calibration, session.run([OUTPUT], fed)[0])

    def beside(self, session: Any, tensors: Tensors) -> dict[str, npt.NDArray[np.float32]]:
        """Give what the heads say of rows as the features come, [n, size] by name, as the graph has it."""
        names = [head.name for head in self.card.more]
        if not names:
            return {}
        fed = {name: scaled(self.card.scalers.get(name), tensors[name]) for name in self.card.inputs}
        found = session.run(names, fed)
        rows = len(next(iter(fed.values())))
        for head, values in zip(self.card.more, found, strict=True):
            if values.size != rows * head.size:
                raise ModelError(
                    f"expected {head.size} numbers a row of head {head.name}; found {values.shape}"
                )
        return {
            head.name: values.reshape(rows, head.size)
            for head, values in zip(self.card.more, found, strict=True)
        }

    def _everything(self, session: Any, tensors: Tensors) -> dict[str, npt.NDArray[np.float32]]:
        return {golden.ANSWERS: self.run(session, tensors)} | self.beside(session, tensors)

    def prove(self, session: Any) -> float:
        """Run the golden rows, whole and one by one; give the largest difference of any output.

        Of a head's number above 1 it is the share of that number. ModelError if it is above TOLERANCE, or
        if they do not run.
        """
        answers = {golden.ANSWERS, *(head.name for head in self.card.more)}
        tensors = {name: x for name, x in self.vectors.items() if name not in answers}
        expected = {name: x for name, x in self.vectors.items() if name in answers}
        if expected.keys() != answers:
            raise ModelError(f"{self.name}: expected golden rows; found none")
        rows = len(expected[golden.ANSWERS])
        try:
            together = self._everything(session, tensors)
            alone = [
                self._everything(session, {name: x[k : k + 1] for name, x in tensors.items()})
                for k in range(rows)
            ]
        except RUNTIME_ERRORS as refused:
            reason = " ".join(str(refused).split())
            raise ModelError(f"expected golden rows to run; found: {reason}") from refused
        errors = [
            _difference(known, together[name], np.concatenate([one[name] for one in alone]))
            for name, known in expected.items()
        ]
        if not all(error <= TOLERANCE for error in errors):  # also catches NaN
            raise ModelError(f"expected golden rows within {TOLERANCE:g}; found {max(errors):g}")
        return max(errors)


def _difference(
    expected: npt.NDArray[np.float32], together: npt.NDArray[np.float32], alone: npt.NDArray[np.float32]
) -> float:
    if together.shape != expected.shape:
        raise ModelError(f"expected golden answers {expected.shape}; found {together.shape}")
    difference = np.maximum(np.abs(together - expected), np.abs(alone - expected))
    return float(np.max(difference / np.maximum(1.0, np.abs(expected))))


@contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Turn what a file system or a name refuses into a ModelError: a daemon must outlive a bad path."""
    try:
        yield
    except (OSError, ValueError) as refused:
        reason = getattr(refused, "strerror", None) or refused
        raise ModelError(f"{folder}: expected a model that can be read; found: {reason}") from refused


def load(path: Path | str) -> Artifact:
    """Read a folder and prove it; ModelError in one line says what was expected and found."""
    with readable(Path(path)):
        return _checked(Path(path))[0]


def verify(path: Path | str) -> dict[str, object]:
    """Prove a folder and give the findings as plain values; a bad one has ok=False and `error`."""
    folder = Path(path)
    try:
        with readable(folder):
            artifact, error = _checked(folder)
    except ModelError as refused:
        return {"path": str(folder), "ok": False, "error": str(refused)}
    return {
        "path": str(folder),
        "ok": True,
        "error": "",
        "name": artifact.name,
        "version": artifact.card.version,
        "model_hash": artifact.model_hash,
        "kind": artifact.card.kind.value,
        "feature_spec": artifact.card.features.name,
        "decision": artifact.decision.value,
        "bytes": len(artifact.model),
        "golden_rows": len(artifact.vectors[golden.ANSWERS]),
        "golden_max_error": error,
        "heads": [head.name for head in artifact.card.more],
    }


def open_session(model: bytes) -> Any:
    """Give an onnxruntime session on one thread; ModelError if the bytes are not a usable model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERROR_LEVEL
    _share_arena()
    options.enable_mem_pattern = False  # whole blocks for each session and size of batch: 7 MB, no faster
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except RUNTIME_ERRORS as refused:
        reason = " ".join(str(refused).split())
        raise ModelError(f"expected an ONNX model that onnxruntime runs; found: {reason}") from refused


@cache
def _share_arena() -> None:
    """Let all sessions of this process draw on one arena, which grows by what is asked for.

    One for each keeps the most that it ever used, and fifteen do so side by side; none at all costs a
    model of a thousand windows a tenth of its time.
    """
    where = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    as_asked = onnxruntime.OrtArenaCfg({"arena_extend_strategy": 1})
    onnxruntime.create_and_register_allocator(where, as_asked)


def scaled(scaler: RobustScaler | None, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale a tensor by its last axis, in float32 as the graph was trained on; without a scaler as it is."""
    if scaler is None:
        return x
    center = np.array(scaler.center, np.float32)
    scale = np.array(scaler.scale, np.float32)
    clip = np.float32(scaler.clip)
    return np.clip((x - center) / scale, -clip, clip)


def _checked(folder: Path) -> tuple[Artifact, float]:
    card = _card(folder)
    _expect(folder, "schema", SCHEMA, card.schema)
    _expect(folder, "model_hash of this card's content", identity(card), card.model_hash)
    _expect(folder, f"classes of kind {card.kind.value}", CLASSES_OF[card.kind], card.classes)
    model, vectors = _files(folder, card)
    spec = _spec(folder, card)
    try:
        check(card, spec.shapes)
    except ModelError as refused:
        raise ModelError(f"{folder}: {refused}") from refused
    artifact = Artifact(card, spec, model, _vectors(folder, card, vectors))
    return artifact, _proved(folder, artifact)


def _card(folder: Path) -> Card:
    try:
        return decode((folder / CARD_FILE).read_bytes())
    except OSError as missing:
        reason = missing.strerror or "cannot be read"
        raise ModelError(f"{folder}: expected a model with {CARD_FILE}; found: {reason}") from missing
    except (msgspec.DecodeError, UnicodeDecodeError) as broken:
        raise ModelError(f"{folder}/{CARD_FILE}: expected a card of schema {SCHEMA}; {broken}") from broken


def _files(folder: Path, card: Card) -> tuple[bytes, bytes]:
    """Check every file and give model and vectors; what was hashed is what runs, there is no second read."""
    _expect(folder, "files on the card", sorted(FILES - {CARD_FILE}), sorted(card.files))
    _expect(folder, "files", sorted(FILES), sorted(entry.name for entry in folder.iterdir()))
    model, vectors = ((folder / name).read_bytes() for name in (MODEL_FILE, GOLDEN_FILE))
    for name, content in ((MODEL_FILE, model), (GOLDEN_FILE, vectors)):
        _expect(folder, f"sha256 of {name}", card.files[name], hashlib.sha256(content).hexdigest())
    # A tensor kept outside the file names its place under the key "location" (onnx.proto,
    # TensorProto.external_data); loaded from bytes it would be looked for in the working directory.
    if b"location" in model:
        raise ModelError(f"{folder}/{MODEL_FILE}: expected a self-contained model; found external data")
    return model, vectors


def _spec(folder: Path, card: Card) -> FeatureSpec:
    ref = card.features
    if ref.name not in SPECS:
        raise ModelError(f"{folder}: expected a feature spec of {sorted(SPECS)}; found {ref.name!r}")
    spec = SPECS[ref.name]
    _expect(folder, f"hash of feature spec {ref.name}", spec.hash, ref.hash)
    _expect(folder, f"columns of feature spec {ref.name}", len(spec.names), ref.columns)
    _expect(folder, "decision timeframe", spec.decision.value, card.label.decision)
    return spec


def _proved(folder: Path, artifact: Artifact) -> float:
    card = artifact.card
    try:
        session = open_session(artifact.model)
    except ModelError as refused:
        raise ModelError(f"{folder}: {refused}") from refused
    _expect(folder, "model inputs", sorted(card.inputs), sorted(node.name for node in session.get_inputs()))
    outputs = sorted([OUTPUT, *(head.name for head in card.more)])
    _expect(folder, "model outputs", outputs, sorted(node.name for node in session.get_outputs()))
    try:
        return artifact.prove(session)
    except ModelError as refused:
        raise ModelError(f"{folder}: {refused}") from refused


def _vectors(folder: Path, card: Card, content: bytes) -> golden.Arrays:
    try:
        vectors = golden.decode(content)
    except ValueError as broken:
        raise ModelError(f"{folder}/{GOLDEN_FILE}: {broken}") from broken
    shapes = dict(card.inputs) | {golden.ANSWERS: (len(card.classes),)}
    shapes |= {head.name: (head.size,) for head in card.more}
    _expect(folder, f"arrays of {GOLDEN_FILE}", sorted(shapes), sorted(vectors))
    rows = len(vectors[golden.ANSWERS]) if vectors[golden.ANSWERS].ndim else 0
    if not rows:
        raise ModelError(f"{folder}/{GOLDEN_FILE}: expected golden rows; found none")
    for name, shape in shapes.items():
        _expect(folder, f"shape of golden {name}", (rows, *shape), vectors[name].shape)
    return vectors


def _expect(folder: Path, what: str, expected: object, found: object) -> None:
    if found != expected:
        raise ModelError(f"{folder}: expected {what} {expected}; found {found}")
