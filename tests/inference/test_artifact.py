import hashlib
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from core.errors import ModelError
from inference import artifact, golden
from inference.artifact import load, open_session, verify
from inference.card import (
    BinaryMetrics,
    Calibration,
    Conformal,
    Interval,
    Kind,
    RobustScaler,
    decode,
    encode,
    sealed,
)
from inference.features.spec import SPECS

MODELS = Path(__file__).parents[2] / "configs" / "models"
COLUMNS = len(SPECS["entry_1h"].names)
NONE = Interval(None, None, None)
NO_ENTRY = BinaryMetrics(0.2, NONE, 0.8, 0.5, 0.5, NONE, NONE, "persistence", 0.5, NONE, "none")
SHIPPED = ("entry-5m", "entry-15m", "entry-1h")


@pytest.fixture
def folder(tmp_path) -> Path:
    return shutil.copytree(MODELS / "entry-1h", tmp_path / "model")


def rewrite(
    folder: Path, *, model: bytes | None = None, vectors: dict | bytes | None = None, **changes
) -> None:
    """Change a card (its model, its vectors) and seal it again, as a careful forger would."""
    card = decode((folder / "card.json").read_bytes())
    body = golden.encode(vectors) if isinstance(vectors, dict) else vectors
    for name, content in (("model.onnx", model), ("golden.npz", body)):
        if content is not None:
            (folder / name).write_bytes(content)
            files = changes.setdefault("files", dict(card.files))
            files[name] = hashlib.sha256(content).hexdigest()
    (folder / "card.json").write_bytes(encode(sealed(msgspec.structs.replace(card, **changes))))


def vectors_of(folder: Path) -> golden.Arrays:
    return golden.decode((folder / "golden.npz").read_bytes())


def assert_refused(folder: Path, words: str) -> None:
    with pytest.raises(ModelError, match=words) as refused:
        load(folder)
    assert "\n" not in str(refused.value)
    assert str(folder) in str(refused.value)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_prove_themselves(name):
    found = verify(MODELS / name)
    assert found["ok"], found["error"]
    assert found["golden_rows"] == 32
    assert found["golden_max_error"] < 1e-6
    assert found["bytes"] < 600_000


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_cards_say_how_they_were_made_and_no_more(name):
    card = load(MODELS / name).card
    assert card.name == name
    assert card.command == f"training train --config configs/train/full.toml --data DIR --only {name}"
    text = (MODELS / name / "card.json").read_text()
    assert not any(word in text for word in ("/work", "/home", "/tmp", "http"))


def test_artifact_offers_card_spec_and_bytes(folder):
    found = load(folder)
    assert found.name == "entry-1h"
    assert found.decision is found.spec.decision
    assert found.model == (folder / "model.onnx").read_bytes()
    assert found.model_hash == found.card.model_hash


def test_verify_tells_instead_of_raising(folder):
    (folder / "model.onnx").write_bytes(b"")
    found = verify(folder)
    assert found["ok"] is False
    assert "sha256" in found["error"]


def test_missing_folder_is_refused(tmp_path):
    assert_refused(tmp_path / "none", "expected a model with card.json; found: No such file")


@pytest.mark.parametrize("text", [b"", b"{}", b"not json", b"\xff\xfe", b'{"schema": "x"}'])
def test_unreadable_card_is_refused(folder, text):
    (folder / "card.json").write_bytes(text)
    assert_refused(folder, "expected a card of schema 2")


def test_any_change_of_the_card_is_refused(folder):
    card = folder / "card.json"
    card.write_text(card.read_text().replace('"barrier_atr": 3.0', '"barrier_atr": 2.0'))
    assert_refused(folder, "expected model_hash")


def test_any_change_of_the_model_is_refused(folder):
    model = bytearray((folder / "model.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (folder / "model.onnx").write_bytes(bytes(model))
    assert_refused(folder, "expected sha256 of model.onnx")


@pytest.mark.parametrize("name", ["model.onnx.data", "readme.md"])
def test_extra_files_are_refused(folder, name):
    (folder / name).write_bytes(b"")
    assert_refused(folder, "expected files")


def test_model_with_outside_data_is_refused(folder):
    onnx = pytest.importorskip("onnx")
    graph = onnx.load_from_string((folder / "model.onnx").read_bytes())
    tensor = graph.graph.initializer.add(name="weights", data_type=1, dims=[1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    rewrite(folder, model=graph.SerializeToString())
    assert_refused(folder, "expected a self-contained model")


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"schema": 1}, "expected schema 2; found 1"),
        ({"classes": ("up", "hold", "down")}, "expected classes"),
        ({"files": {}}, "expected files on the card"),
        ({"kind": Kind.MANAGER}, "expected classes of kind manager"),
        ({"inputs": {}}, "expected input tensors of"),
        ({"inputs": {"x": (7,)}}, "expected input tensors of"),
        ({"inputs": {"x": (COLUMNS,), "position": (5,)}}, "expected input tensors of"),
        ({"scalers": {"x": RobustScaler((0.0,), (1.0,), 5.0)}}, "expected columns of the scaler of x"),
        (
            {"scalers": {"x": RobustScaler((0.0,) * COLUMNS, (0.0,) * COLUMNS, 5.0)}},
            "positive scales and clip",
        ),
        ({"calibration": Calibration(0.0, (0.0, 0.0, 0.0))}, "expected a temperature above 0"),
        ({"calibration": Calibration(1.0, (0.0, 0.0))}, "3 finite biases"),
        ({"conformal": Conformal(0.1, 1.5, 0.9, 0.5)}, "expected conformal alpha and quantile"),
        ({"metrics": NO_ENTRY}, "expected the figures of kind entry; found BinaryMetrics"),
        ({"deciles": {"x": ((0.0,) * 9,)}}, "expected columns of deciles of x"),
        ({"deciles": {"x": ((0.0,) * 8,) * COLUMNS}}, "expected nine finite deciles"),
    ],
)
def test_cards_that_do_not_fit_are_refused(folder, changes, words):
    rewrite(folder, **changes)
    assert_refused(folder, words)


@pytest.mark.parametrize(
    "field, changes, words",
    [
        ("features", {"name": "entry_9m"}, "expected a feature spec of"),
        ("features", {"hash": "0" * 64}, "expected hash of feature spec entry_1h"),
        ("features", {"columns": 3}, "expected columns of feature spec entry_1h"),
        ("split", {"test_start": "last spring"}, "split: expected a time such as"),
        ("split", {"test_end": ""}, "split: expected a time such as"),
        ("label", {"decision": "5m"}, "expected decision timeframe 1h; found 5m"),
        ("label", {"horizon_bars": 0}, "expected a positive barrier .* and horizon"),
        ("label", {"barrier_atr": -1.0}, "expected a positive barrier .* and horizon"),
    ],
)
def test_terms_that_the_code_does_not_share_are_refused(folder, field, changes, words):
    card = decode((folder / "card.json").read_bytes())
    rewrite(folder, **{field: msgspec.structs.replace(getattr(card, field), **changes)})
    assert_refused(folder, words)


def test_golden_rows_that_come_out_differently_are_refused(folder):
    vectors = vectors_of(folder)
    off = vectors[golden.ANSWERS] + np.array([1e-4, 0, 0], np.float32)
    rewrite(folder, vectors=vectors | {golden.ANSWERS: off})
    assert_refused(folder, "expected golden rows within 1e-05; found 0.0001")
    rewrite(folder, vectors=vectors | {golden.ANSWERS: np.full_like(off, np.nan)})
    assert_refused(folder, "expected golden rows within 1e-05; found nan")


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda v: v | {golden.ANSWERS: v[golden.ANSWERS][:-1]}, "expected shape of golden x"),
        (lambda v: {name: x[:0] for name, x in v.items()}, "expected golden rows; found none"),
        (lambda v: v | {golden.ANSWERS: np.zeros((), np.float32)}, "expected golden rows; found none"),
        (lambda v: v | {"more": v["x"]}, "expected arrays of golden.npz"),
        (lambda v: {golden.ANSWERS: v[golden.ANSWERS]}, "expected arrays of golden.npz"),
        (lambda v: b"PK", "golden.npz: expected a zip of arrays"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(folder, change, words):
    rewrite(folder, vectors=change(vectors_of(folder)))
    assert_refused(folder, words)


def test_scaler_and_calibration_are_part_of_what_the_vectors_prove(folder):
    columns = decode((folder / "card.json").read_bytes()).features.columns
    unscaled = RobustScaler((0.0,) * columns, (1.0,) * columns, 1e9)
    rewrite(folder, scalers={"x": unscaled})
    assert verify(folder)["golden_max_error"] < 1e-6
    rewrite(folder, calibration=Calibration(2.0, (0.0,) * 3))
    assert_refused(folder, "expected golden rows within")
    rewrite(folder, calibration=None, scalers={"x": RobustScaler((0.0,) * columns, (9.0,) * columns, 5.0)})
    assert_refused(folder, "expected golden rows within")


def test_bytes_that_are_no_model_are_refused(folder):
    rewrite(folder, model=b"no graph")
    assert_refused(folder, "expected an ONNX model that onnxruntime runs; found: .*INVALID_PROTOBUF")


def test_graph_with_other_names_or_width_is_refused(folder):
    onnx = pytest.importorskip("onnx")
    kept = (folder / "model.onnx").read_bytes()
    renamed = onnx.load_from_string(kept)
    renamed.graph.output[0].name = renamed.graph.node[-1].output[0] = "scores"
    rewrite(folder, model=renamed.SerializeToString())
    assert_refused(folder, "expected model outputs .*probabilities.*; found .*scores")
    narrow = onnx.load_from_string(kept)
    narrow.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 3
    rewrite(folder, model=narrow.SerializeToString())
    assert_refused(folder, "expected golden rows to run; found: .*Expected: 3")


def test_sessions_give_the_same_answer_alone_and_in_company():
    found = load(MODELS / "entry-5m")
    x = vectors_of(MODELS / "entry-5m")["x"]
    session = open_session(found.model)
    together = session.run([artifact.OUTPUT], {artifact.INPUT: x})[0]
    alone = [session.run([artifact.OUTPUT], {artifact.INPUT: row[None]})[0][0] for row in x]
    assert np.array_equal(together, np.array(alone))
