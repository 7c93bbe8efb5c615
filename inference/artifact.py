"""Model artifacts: a folder with card.json and one self-contained ONNX file, checked before use.

Must not know instruments, traders or the training stack. Called by the shell that loads models,
by `trader model verify` and by training.export, which checks its own work the same way.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort

from core.errors import ModelError
from core.market import Timeframe
from inference.card import CLASSES, SCHEMA, Card, decode, identity
from inference.features.spec import SPECS, FeatureSpec

CARD_FILE = "card.json"
MODEL_FILE = "model.onnx"
INPUT, OUTPUT = "x", "probabilities"
TOLERANCE = 1e-5
"""Largest difference allowed between the golden probabilities and this machine's."""

_ERROR_LEVEL = 3
# onnxruntime's exceptions have no class of their own in common.
_RUNTIME_ERRORS = tuple(
    kind for kind in vars(ort).values() if isinstance(kind, type) and issubclass(kind, Exception)
)


@dataclass(frozen=True)
class Artifact:
    """A verified model: its card, the spec that its input follows, and the ONNX bytes."""

    card: Card
    spec: FeatureSpec
    model: bytes

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


def load(path: Path | str) -> Artifact:
    """Read a folder and prove it; ModelError in one line says what was expected and found."""
    return _checked(Path(path))[0]


def verify(path: Path | str) -> dict[str, object]:
    """Prove a folder and give the findings as plain values; a bad one has ok=False and `error`."""
    folder = Path(path)
    try:
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
        "feature_spec": artifact.card.features.name,
        "decision": artifact.decision.value,
        "bytes": len(artifact.model),
        "golden_rows": len(artifact.card.golden.x),
        "golden_max_error": error,
    }


def open_session(model: bytes) -> Any:
    """Give an onnxruntime session on one thread; ModelError if the bytes are not a usable model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERROR_LEVEL
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except _RUNTIME_ERRORS as refused:
        reason = " ".join(str(refused).split())
        raise ModelError(f"expected an ONNX model that onnxruntime runs; found: {reason}") from refused


def _checked(folder: Path) -> tuple[Artifact, float]:
    card = _card(folder)
    _expect(folder, "schema", SCHEMA, card.schema)
    _expect(folder, "model_hash of this card's content", identity(card), card.model_hash)
    _expect(folder, "classes", CLASSES, card.classes)
    model = _files(folder, card)
    spec = _spec(folder, card)
    return Artifact(card, spec, model), _golden(folder, card, model)


def _card(folder: Path) -> Card:
    try:
        return decode((folder / CARD_FILE).read_bytes())
    except OSError as missing:
        reason = missing.strerror or "cannot be read"
        raise ModelError(f"{folder}: expected a model with {CARD_FILE}; found: {reason}") from missing
    except (msgspec.DecodeError, UnicodeDecodeError) as broken:
        raise ModelError(f"{folder}/{CARD_FILE}: expected a card of schema {SCHEMA}; {broken}") from broken


def _files(folder: Path, card: Card) -> bytes:
    """Check every file and give the model; what was hashed is what runs, there is no second read."""
    _expect(folder, "files on the card", [MODEL_FILE], sorted(card.files))
    _expect(folder, "files", [CARD_FILE, MODEL_FILE], sorted(entry.name for entry in folder.iterdir()))
    model = (folder / MODEL_FILE).read_bytes()
    _expect(folder, f"sha256 of {MODEL_FILE}", card.files[MODEL_FILE], hashlib.sha256(model).hexdigest())
    # A tensor kept outside the file names its place under the key "location" (onnx.proto,
    # TensorProto.external_data); loaded from bytes it would be looked for in the working directory.
    if b"location" in model:
        raise ModelError(f"{folder}/{MODEL_FILE}: expected a self-contained model; found external data")
    return model


def _spec(folder: Path, card: Card) -> FeatureSpec:
    ref = card.features
    if ref.name not in SPECS:
        raise ModelError(f"{folder}: expected a feature spec of {sorted(SPECS)}; found {ref.name!r}")
    spec = SPECS[ref.name]
    _expect(folder, f"hash of feature spec {ref.name}", spec.hash, ref.hash)
    _expect(folder, f"columns of feature spec {ref.name}", len(spec.names), ref.columns)
    _expect(folder, "decision timeframe", spec.decision.value, card.label.decision)
    if not (card.label.barrier_atr > 0 and card.label.horizon_bars > 0):
        raise ModelError(f"{folder}: expected a positive barrier and horizon; found {card.label}")
    return spec


def _golden(folder: Path, card: Card, model: bytes) -> float:
    """Run the golden rows, whole and one by one; give the largest difference."""
    x = _matrix(folder, card.golden.x, card.features.columns)
    expected = _matrix(folder, card.golden.p, len(CLASSES))
    _expect(folder, "golden answers", len(x), len(expected))
    try:
        session = open_session(model)
    except ModelError as refused:
        raise ModelError(f"{folder}: {refused}") from refused
    _expect(folder, "model inputs", [INPUT], [node.name for node in session.get_inputs()])
    _expect(folder, "model outputs", [OUTPUT], [node.name for node in session.get_outputs()])
    try:
        together = session.run([OUTPUT], {INPUT: x})[0]
        alone = np.concatenate([session.run([OUTPUT], {INPUT: row[None]})[0] for row in x])
    except _RUNTIME_ERRORS as refused:
        reason = " ".join(str(refused).split())
        raise ModelError(f"{folder}: expected golden rows to run; found: {reason}") from refused
    _expect(folder, "shape of the golden answers", expected.shape, together.shape)
    difference = np.maximum(np.abs(together - expected), np.abs(alone - expected))
    error = float(np.max(difference))
    if not error <= TOLERANCE:  # also catches NaN
        raise ModelError(f"{folder}: expected golden rows within {TOLERANCE:g}; found {error:g}")
    return error


def _matrix(folder: Path, rows: tuple[tuple[float, ...], ...], columns: int) -> npt.NDArray[np.float32]:
    widths = {len(row) for row in rows}
    if widths != {columns}:
        raise ModelError(f"{folder}: expected golden rows of {columns} values; found {sorted(widths)}")
    return np.array(rows, dtype=np.float32)


def _expect(folder: Path, what: str, expected: object, found: object) -> None:
    if found != expected:
        raise ModelError(f"{folder}: expected {what} {expected}; found {found}")
