import json

import pytest

from inference.artifact import TOLERANCE
from tests.training.registry.made import MODELS, reissued
from training.cli import run


@pytest.fixture
def told(capsys, tmp_path):
    """Run a registry command and give its JSON, or what stderr says of a refusal."""

    def tell(*words: str, code: int = 0):
        assert run(["registry", *words, "--registry", str(tmp_path / "models"), "--json"]) == code
        captured = capsys.readouterr()
        if not code:
            return json.loads(captured.out)
        (line,) = captured.err.strip().splitlines()
        return line

    return tell


def test_shelving_activating_comparing_and_rolling_back_by_command(told, tmp_path):
    versions = [told("add", str(reissued(tmp_path / one, one)))["version"] for one in "12"]
    for digits in versions:
        assert told("activate", "entry-5m", digits[:8], "--who", "ada")["to"] == digits
    rows = told("list")
    assert {row["version"]: row["active"] for row in rows} == {versions[0]: False, versions[1]: True}
    assert all(row["activated"].endswith("Z") for row in rows)
    found = told("compare", "entry-5m", versions[0])
    assert ["version", "1", "2"] in found["rows"]
    assert found["not_comparable"] == ""
    assert told("rollback", "entry-5m")["to"] == versions[0]
    assert all(row["ok"] for row in told("verify"))


def test_verify_names_a_version_that_was_changed(told, tmp_path, capsys):
    folder = told("add", str(MODELS / "entry-5m"))["folder"]
    (tmp_path / "models" / folder.partition("models/")[2] / "golden.npz").write_bytes(b"")
    assert run(["registry", "verify", "--registry", str(tmp_path / "models")]) == 65
    captured = capsys.readouterr()
    assert captured.out.startswith("BAD  entry-5m")
    assert "sha256 of golden.npz" in captured.out
    assert "found 1 of 1 that do not" in captured.err


def test_a_registry_that_is_not_there_is_refused_in_one_line(told):
    assert told("list") == []
    assert "expected a registry; found no folder" in told("rollback", "entry-5m", code=64)
    assert "expected a model of none; found 'entry-5m'" in told("activate", "entry-5m", "1", code=64)


def test_a_model_that_was_never_in_force_is_listed_and_has_nothing_to_go_back_to(told):
    digits = told("add", str(MODELS / "entry-5m"))["version"]
    assert told("list") == [{"name": "entry-5m", "version": digits, "active": False, "activated": ""}]
    assert "expected an earlier version to go back to" in told("rollback", "entry-5m", code=64)


def test_export_copies_a_proved_ensemble_and_tells_parity_by_batch(tmp_path, capsys):
    for _ in range(2):  # a second export replaces the first
        assert run(["export", str(MODELS / "blend-15m"), "--out", str(tmp_path), "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["entry-15m", "entry-30m", "entry-1h", "regime-1h"]
    assert all(set(row["errors"]) == {"1", "2", "7", "64"} for row in rows)
    assert max(error for row in rows for error in row["errors"].values()) <= TOLERANCE
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(
        ["blend-15m", "entry-15m", "entry-30m", "entry-1h", "regime-1h"]
    )


def test_export_leaves_a_folder_alone_that_holds_something_else(tmp_path, capsys):
    (tmp_path / "entry-5m").mkdir()
    (tmp_path / "entry-5m" / "notes.txt").write_text("mine")
    assert run(["export", str(MODELS / "entry-5m"), "--out", str(tmp_path)]) == 64
    assert "expected a new folder or an old model to replace" in capsys.readouterr().err
    assert (tmp_path / "entry-5m" / "notes.txt").read_text() == "mine"
