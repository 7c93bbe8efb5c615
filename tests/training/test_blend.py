import shutil
from pathlib import Path

import msgspec
import pytest

from core.errors import ModelError, UsageError
from inference import ensemble
from inference.ensemble_card import Policy, Role
from training.blend import Part, write
from training.cli import run

MODELS = Path(__file__).parents[2] / "configs" / "models"
SHELF = {"entry-15m", "entry-1h", "regime-1h", "volume-1h"}


@pytest.fixture
def models(tmp_path) -> Path:
    for name in SHELF:
        shutil.copytree(MODELS / name, tmp_path / name)
    return tmp_path


def test_a_blend_loads_with_its_members_and_the_first_voter_decides(models, capsys):
    words = ["blend", "--vote", f"{models / 'entry-15m'},{models / 'entry-1h'}=0.5", "--max-spread", "0.3"]
    assert run([*words, "--out", str(models / "both")]) == 0
    found = ensemble.load(models / "both")
    assert [(member.ref.name, member.ref.prior) for member in found.members] == [
        ("entry-15m", 1.0),
        ("entry-1h", 0.5),
    ]
    assert found.label.decision == "15m"
    assert found.card.policy.max_spread == 0.3
    assert f"both version 1, {found.model_hash[:12]}" in capsys.readouterr().out
    assert "--out DIR/both" in found.card.command


def test_filters_have_bounds_of_their_own_and_a_rule(models, capsys):
    filters = f"{models / 'regime-1h'}=0.4:1,{models / 'volume-1h'}"
    words = ["blend", "--vote", str(models / "entry-1h"), "--regime", filters, "--regime-low", "0.5"]
    assert run([*words, "--regime-rule", "any", "--out", str(models / "busy")]) == 0
    found = ensemble.load(models / "busy")
    mood, crowd = (seat.ref for seat in found.of(Role.REGIME))
    assert (mood.low, mood.high, crowd.low, crowd.high) == (0.4, 1.0, msgspec.UNSET, msgspec.UNSET)
    assert (found.card.policy.regime_low, found.card.policy.regime_rule) == (0.5, "any")
    assert "--regime-rule any" in found.card.command
    assert "prior 1 bounds 0.4 to 1" in capsys.readouterr().out
    assert run([*words, "--out", str(models / "busy")]) == 0
    plain = ensemble.load(models / "busy").card
    assert plain.policy.regime_rule is msgspec.UNSET
    assert "--regime-rule" not in plain.command


def test_writing_again_replaces_an_ensemble_and_nothing_else(models):
    part = Part(models / "entry-15m", Role.VOTE)
    first = write(models / "one", [part], Policy(), version="1", command="")
    second = write(models / "one", [part], Policy(max_spread=0.5), version="2", command="")
    assert ensemble.load(models / "one").model_hash == second.model_hash != first.model_hash
    (models / "one" / "diary.txt").write_text("mine")
    with pytest.raises(UsageError, match="found other files"):
        write(models / "one", [part], Policy(), version="3", command="")
    assert {entry.name for entry in models.iterdir()} == {*SHELF, "one"}


def test_members_that_do_not_fit_leave_no_folder_behind(models):
    parts = [Part(models / "entry-15m", Role.VOTE), Part(models / "entry-1h", Role.REGIME)]
    with pytest.raises(ModelError, match="expected kind of member entry-1h regime"):
        write(models / "odd", parts, Policy(), version="1", command="")
    assert {entry.name for entry in models.iterdir()} == SHELF


@pytest.mark.parametrize(
    "words, expected",
    [
        ("--vote nowhere/m", "expected a folder beside"),
        ("--vote DIR/entry-15m=much", "--vote: expected FOLDER or FOLDER=PRIOR"),
        ("--vote DIR/entry-15m --abstain never", "--abstain: expected none or spread"),
        ("--vote ,", "expected at least one voting member"),
        ("--vote DIR/entry-1h --regime DIR/regime-1h=0.5", "--regime: expected FOLDER or FOLDER=LOW:HIGH"),
        ("--vote DIR/entry-1h --regime-rule some", "--regime-rule: expected all or any; found 'some'"),
    ],
)
def test_refusals_are_one_line(words, expected, models, capsys):
    words = [word.replace("DIR", str(models)) for word in words.split()]
    assert run(["blend", *words, "--out", str(models / "b")]) == 64
    assert expected in capsys.readouterr().err
    assert not (models / "b").exists()
