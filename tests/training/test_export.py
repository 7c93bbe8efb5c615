import numpy as np
import pytest

from core.errors import ModelError, UsageError
from inference import golden as vectors
from inference.artifact import open_session
from training import export, trees


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(12)
    x = rng.standard_normal((3000, 5)).astype(np.float32)
    booster = trees.fit(x, np.digitize(x[:, 0] + rng.standard_normal(3000), [-1, 1]).astype(np.int8), 1)
    return export.to_onnx(booster, 5), x, trees.chances(booster, x)


@pytest.mark.parametrize("batch", [1, 2, 7, 64, 1000])
def test_graph_equals_the_trees_at_any_batch(trained, batch):
    model, x, expected = trained
    found = open_session(model).run(["probabilities"], {"x": x[:batch]})[0]
    assert found.dtype == np.float32
    assert np.abs(found - expected[:batch]).max() < 1e-6


def test_graph_has_one_input_and_one_output(trained):
    session = open_session(trained[0])
    assert [(node.name, node.type, node.shape[1]) for node in session.get_inputs()] == [
        ("x", "tensor(float)", 5)
    ]
    assert [node.name for node in session.get_outputs()] == ["probabilities"]


def test_bytes_do_not_depend_on_the_hash_seed_of_the_process(trained):
    import onnx

    opsets = onnx.load_from_string(trained[0]).opset_import
    assert [one.domain for one in opsets] == ["", "ai.onnx.ml"]


@pytest.mark.parametrize("value", [0.0, 1e-42, 1e30, -1e30])
def test_constant_and_extreme_rows_give_probabilities(trained, value):
    row = np.full((1, 5), value, np.float32)
    found = open_session(trained[0]).run(None, {"x": row})[0]
    assert found.sum() == pytest.approx(1.0, abs=1e-5)


def test_parity_check_refuses_another_answer(trained):
    model, x, expected = trained
    assert export.check_parity(model, x, expected) < 1e-6
    with pytest.raises(ModelError, match="expected the ONNX graph to equal the trees"):
        export.check_parity(model, x, expected + 1e-4)


def test_golden_rows_survive_the_file_exactly(trained):
    _, x, expected = trained
    found = vectors.decode(vectors.encode(export.golden({"x": x}, expected)))
    picked = np.linspace(0, 2999, 32).astype(int)
    assert (found["x"] == x[picked]).all()
    assert (found[vectors.ANSWERS] == expected[picked].astype(np.float32)).all()


@pytest.mark.parametrize("name", ["notes.txt", ".git"])
def test_target_must_be_free_or_an_old_artifact(tmp_path, name):
    export.check_target(tmp_path / "new")
    (tmp_path / "card.json").write_text("{}")
    export.check_target(tmp_path)
    (tmp_path / name).write_text("")
    with pytest.raises(UsageError, match="found other files"):
        export.check_target(tmp_path)
    with pytest.raises(UsageError, match="found other files"):
        export.check_target(tmp_path / name)
