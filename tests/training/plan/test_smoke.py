"""One small member of every kind, made, proved and traded as `./run train-smoke` does."""

import json

import pytest

from inference import ensemble
from inference.card import Kind
from inference.ensemble_card import Role
from training.cli import run


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    root = tmp_path_factory.mktemp("smoke")
    shown = root / "told.json"
    with pytest.MonkeyPatch.context() as patched, shown.open("w") as out:
        patched.setattr("sys.stdout", out)
        assert run(["smoke", "--out", str(root), "--workers", "2", "--json"]) == 0
    return root, {row["name"]: row for row in json.loads(shown.read_text())["rows"]}


def test_a_small_member_of_every_kind_is_made_proved_and_traded(told):
    root, rows = told
    council = ensemble.load(root / "models" / "council")
    assert {member.artifact.card.kind for member in council.members} == set(Kind)
    assert {member.ref.role for member in council.members} == set(Role)
    assert {member.ref.name for member in council.members} == set(rows) - {"council"}
    networks = {"hybrid", "cnn", "fusion", "ft", "sweep"}
    assert networks < set(rows)
    for name, row in rows.items():
        assert row["hash"] == ensemble.verify(root / "models" / name)["model_hash"]
        assert row["bytes"] > 0
        if name != "council":
            assert row["parity"] <= 1e-5
            assert row["rows"] > 100
            assert 0.0 < row["log_loss"] < 1.5 * row["log_loss_base"]
    for name in (*networks, "entry", "council"):
        # Three days of two pairs: 576 closes of 15 minutes, 144 of an hour.
        assert rows[name]["decisions"] == (144 if name in ("hybrid", "ft") else 576)
    assert rows["entry"]["orders"] > 0
    assert rows["council"]["orders"] > 0


def test_what_the_smoke_makes_keeps_answers_for_a_report(told):
    root, _ = told
    kept = {path.stem for path in (root / "work").glob("*.npz")}
    assert {"entry", "regime", "hybrid", "cnn", "fusion", "ft", "sweep", "meta", "manager"} <= kept
