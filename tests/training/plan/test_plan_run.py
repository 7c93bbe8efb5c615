"""A plan over a made market, worked off by the command line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.market import Timeframe
from core.text import parse_iso
from inference import ensemble
from inference.artifact import INPUT, load, open_session
from inference.features.spec import SPECS
from training.cli import run
from training.dataset import build, joined
from training.labels import BarrierTerms
from training.members import kept
from training.members.out_of_fold import cuts_of
from training.plan import job as jobs
from training.plan.schema import Trees
from training.provenance import Recipe, read
from training.walkforward.run import code_hash, versions

PLAN = """
venue = "guard"
test_start = "2024-02-14"
[[trees]]
name = "fast"
spec = "entry_5m"
source = "5m"
instruments = ["G0/USD", "G1/USD"]
max_rows = 3000
folds = 2
[[trees]]
name = "slow"
spec = "entry_5m"
source = "5m"
instruments = ["G0/USD"]
max_rows = 2000
[[ensemble]]
name = "both"
vote = ["fast", "slow"]
prior = { slow = 0.5 }
policy = { min_votes = 2 }
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("plan")
    (root / "plan.toml").write_text(PLAN)
    return root


@pytest.fixture
def train(place, edge_lake, capsys, monkeypatch):
    """Run the plan in its folder; give the code, the JSON that it printed and what it said on stderr."""
    monkeypatch.chdir(place)

    def command(*words: str):
        code = run(["train", "--config", "plan.toml", "--data", str(edge_lake), "--json", *_places(), *words])
        captured = capsys.readouterr()
        return code, json.loads(captured.out) if captured.out else None, captured.err.strip()

    return command


def _places():
    return ("--out", "models", "--work", "work")


@pytest.fixture(scope="module")
def made(place, edge_lake):
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        assert run(["train", "--config", "plan.toml", "--data", str(edge_lake), *_places()]) == 0
    return place / "models"


def test_every_model_of_a_plan_is_made_and_proves(made):
    both = ensemble.load(made / "both")
    assert [(one.ref.name, one.ref.prior) for one in both.members] == [("fast", 1.0), ("slow", 0.5)]
    assert both.card.policy.min_votes == 2
    assert load(made / "slow").card.command == ("training train --config plan.toml --data DIR --only slow")


def test_kept_answers_are_those_of_models_that_had_not_seen_the_rows(made, place, edge_lake):
    answers = kept.load(place / "work" / "fast.npz")
    subject = answers.subject
    assert subject.model_hash == load(made / "fast").model_hash
    # The same rows made here anew: each fold's answers are those of a model that ends before its span.
    terms = BarrierTerms(Timeframe.M5)
    recipe = Recipe("x", SPECS["entry_5m"], "guard", Timeframe.M5, terms, instruments=subject.instruments)
    rows = joined(list(build(read(recipe, edge_lake), recipe.spec, recipe.terms)))
    cuts = cuts_of(int(rows.outcomes.ts.min()), parse_iso("2024-02-14"), 2)
    assert int(answers.ts.min()) >= cuts[0]
    for number in (1, 2):
        card = load(place / "work" / "folds" / f"fast-{number}").card
        mine = answers.fold == number
        assert int(answers.ts[mine].min()) >= parse_iso(card.split.test_start)
    model = load(made / "fast")
    test = rows.only(rows.outcomes.ts >= parse_iso("2024-02-14"))
    p = model.run(open_session(model.model), {INPUT: test.x})
    assert np.array_equal(answers.only(answers.fold == kept.TEST).p, p)
    assert np.isfinite(answers.close).all()
    assert (answers.atr > 0).all()


def test_resuming_keeps_what_is_whole_and_makes_what_is_not(made, train, place):
    code, told, _ = train("--resume")
    assert code == 0
    assert [one["found"] for one in told["made"]] == [True, True, True]
    first = {one["name"]: one["model_hash"] for one in told["made"]}
    shutil.rmtree(made / "slow")
    code, told, _ = train("--resume")
    assert {one["name"]: one["found"] for one in told["made"]} == {"fast": True, "slow": False, "both": True}
    assert {one["name"]: one["model_hash"] for one in told["made"]} == first
    (place / "plan.toml").write_text(PLAN.replace("slow = 0.5", "slow = 0.6"))
    try:
        code, told, _ = train("--resume")
    finally:
        (place / "plan.toml").write_text(PLAN)
    assert {one["name"]: one["found"] for one in told["made"]} == {"fast": True, "slow": True, "both": False}
    assert train("--only", "both")[1]["made"][0]["model_hash"] == first["both"]


def test_a_check_makes_all_again_and_names_what_differs(made, train, place):
    old = place / "work" / "check" / jobs.FITS / "fast" / "of-an-earlier-check.pt"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"a fit")
    code, told, _ = train("--check", "--only", "both")
    assert (code, told) == (0, {"checked": ["fast", "slow", "both"], "different": []})
    assert not old.exists()
    before = (made / "slow" / "model.onnx").read_bytes()
    (made / "slow" / "model.onnx").write_bytes(before + b"x")
    try:
        code, told, said = train("--check", "--only", "slow")
    finally:
        (made / "slow" / "model.onnx").write_bytes(before)
    assert code == 65
    (different,) = told["different"]
    assert different["name"] == "slow"
    assert "sha256 of model.onnx" in different["expected"]
    assert "found others: slow" in said


def test_a_model_without_its_members_is_refused_with_the_way_out(train, place, tmp_path):
    code, _, said = train("--only", "both", "--work", str(tmp_path))
    assert code == 64
    assert said.startswith("training: both: expected fast to be made before; found no record of it")
    assert said.endswith("--only fast,both")


def test_a_spec_and_a_plan_exclude_each_other(train, capsys):
    code, _, said = train("--spec", "entry_5m")
    assert (code, said) == (64, "training: expected either --spec or --config; found both")
    assert run(["train", "--lake", "x"]) == 64
    assert "found neither" in capsys.readouterr().err


def test_a_program_takes_up_no_fit_of_another_one():
    common = jobs.Common("guard", "2024-02-14", "", 1, "1", "plan.toml")
    job = jobs.Job(Trees(name="fast", spec="entry_5m"), common, jobs.Place(Path("d"), Path("m"), Path("w")))
    assert jobs.fits_of(job) == Path("w") / jobs.FITS / "fast" / jobs.program()[:12]
    assert jobs.program() not in {code_hash(versions()), code_hash(versions() | {"torch": "0"})}


def test_progress_is_told_in_lines_of_json(made, place):
    lines = [
        json.loads(line) for line in (place / "work" / jobs.LOGS / "fast.jsonl").read_text().splitlines()
    ]
    phases = [line["phase"] for line in lines]
    assert phases[0] == "begins"
    assert "fold 2 of 2" in phases
    assert all(line["model"] == "fast" and line["seconds"] >= 0 for line in lines)
