"""Whole walk-forwards on the shipped market: what they may see, that they repeat, and what they leave."""

import json
import shutil
from pathlib import Path

import msgspec
import polars as pl
import pytest

from core.clock import DAY
from core.errors import UsageError
from core.text import iso, parse_iso
from trader.backtest import record as records
from trader.evaluation.trials import read as read_ledger
from training.cli import run
from training.walkforward.figures import Figures
from training.walkforward.fold import Done
from training.walkforward.page import headline, markdown
from training.walkforward.run import code_hash, versions
from training.walkforward.study import Study, read_plan

ROOT = Path(__file__).parents[2]
MARKET = ROOT / "configs" / "market"
WORDS = (
    "walkforward --spec entry_5m --timeframe 5m --instruments BTC/USDT,ETH/USDT --train-months 1 "
    "--test-months 1 --vault-start 2024-05-01 --schedule gross,kraken --max-rows 2000"
)
STUDY = "entry-5m-binance-5m"
VAULT = parse_iso("2024-05-01")


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """Give the shipped desk with a pause after each trade: fewer trades are quicker."""
    path = tmp_path_factory.mktemp("desk") / "desk.toml"
    shipped = (ROOT / "configs/walkforward/desk.toml").read_text()
    assert shipped.count("cooldown_s = 0.0") == 1
    path.write_text(shipped.replace("cooldown_s = 0.0", "cooldown_s = 21600.0"))
    return path


def walk(out: Path, desk: Path, *more: str, lake: Path = MARKET) -> int:
    log = ("--vault-log", str(out / "vault.jsonl"), "--trials", str(out / "folds" / "trials.jsonl"))
    return run([*WORDS.split(), "--lake", str(lake), "--out", str(out), "--desk", str(desk), *log, *more])


@pytest.fixture(scope="module")
def walked(desk, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("walked")
    assert walk(out, desk, "--workers", "1") == 0
    return out


def folds(out: Path) -> list[Done]:
    found = sorted((out / "folds").glob("*/fold.json"))
    return [msgspec.json.decode(path.read_bytes(), type=Done) for path in found]


def contents(out: Path) -> dict[str, bytes]:
    """Everything that was written but the folds, by name."""
    kept = (path for path in out.rglob("*") if path.is_file() and "folds" not in path.parts)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in kept}


def test_the_same_bytes_come_from_other_workers_in_another_folder(walked, desk, tmp_path):
    assert walk(tmp_path, desk, "--workers", "2") == 0
    first, again = contents(walked), contents(tmp_path)
    assert first.keys() == again.keys() >= {"walkforward.md", "walkforward.json", f"{STUDY}/kraken/run.json"}
    assert [name for name in first if first[name] != again[name]] == []


def test_finished_folds_are_found_again_and_no_bar_of_the_vault_is_used(walked, desk, tmp_path, capsys):
    """Without those bars in the lake every fold is found by the hash of what it read."""
    out, lake = tmp_path / "out", tmp_path / "lake"
    shutil.copytree(walked, out)
    for pair in ("BTC-USDT", "ETH-USDT"):
        bars = Path("ohlcv") / "binance" / pair / "5m.parquet"
        (lake / bars).parent.mkdir(parents=True)
        pl.read_parquet(MARKET / bars).filter(pl.col("ts") < VAULT // 1_000_000).write_parquet(lake / bars)
    assert walk(out, desk, lake=lake) == 0
    assert "2 folds, 0 of them made now" in capsys.readouterr().out
    # The page and its JSON say until when bars are shut away.
    found, first = contents(out), contents(walked)
    assert [name for name in first if first[name] != found[name] and "/" in name] == []
    assert all(fold.test_end <= VAULT for done in folds(walked) for fold in done.folds.values())


def test_a_fold_of_other_libraries_is_not_taken_for_one_of_these():
    here = versions()
    assert here["lightgbm"] != "0.0.1"
    assert code_hash(here) == code_hash(dict(reversed(here.items())))
    assert code_hash(here) != code_hash(here | {"lightgbm": "0.0.1"})


def test_the_vault_stays_shut_unless_its_opening_is_on_record(desk, tmp_path, capsys):
    assert walk(tmp_path, desk, "--opened", "0.5.0") == UsageError.exit_code
    assert "expected an opening by version 0.5.0" in capsys.readouterr().err


@pytest.mark.parametrize("schedule", ["gross", "kraken"])
def test_the_record_is_out_of_sample_and_adds_up(walked, schedule):
    found = records.load(walked / STUDY / schedule)
    card = found.card
    assert [iso(ts)[:10] for ts in (card.start, card.end)] == ["2024-03-01", "2024-05-01"]
    assert card.schedule == schedule
    assert card.command.endswith(" --max-rows 2000 --desk desk.toml")
    assert [fold.number for fold in card.folds] == [1, 2]
    for fold in card.folds:
        (model,) = fold.models
        assert fold.train_start < fold.validation_start < fold.test_start == model.trained_until
        assert fold.purged_rows > 0
        assert fold.metrics["aligned_rows"] > 10_000
        assert fold.metrics["latest_source_ns"] == 0
        inside = [trip for trip in found.trips if fold.test_start <= trip.opened < fold.test_end]
        assert len(inside) > 20
        assert max(trip.closed for trip in inside) <= fold.test_end
    (cash,) = card.cash.values()
    earned = sum(trip.net for trip in found.trips)
    assert found.curve["equity"][-1] == pytest.approx(float(cash + earned), abs=1e-4)
    assert found.curve["ts"].is_sorted()
    assert found.pairs.group_by("instrument").last()["net"].sum() == pytest.approx(float(earned), abs=1e-4)
    fees = float(sum(trip.fees + trip.margin_fees for trip in found.trips))
    assert found.curve["fees"][-1] == pytest.approx(fees, abs=1e-4)
    assert (fees > 0) == (schedule == "kraken")


def test_every_run_is_counted_as_a_trial_once(walked):
    ledger = read_ledger(walked / "folds" / "trials.jsonl")
    assert sorted(trial.schedule for trial in ledger.trials) == ["gross", "kraken"]
    assert len({trial.key for trial in ledger.trials}) == 1
    assert {trial.days for trial in ledger.trials} == {61}


def test_models_were_trained_on_nothing_later(walked):
    for done in folds(walked):
        model = next((walked / "folds").glob(f"{done.folder}/model/card.json"))
        split = json.loads(model.read_text())["split"]
        fold = done.folds["gross"]
        assert parse_iso(split["train_start"]) >= fold.train_start
        assert parse_iso(split["test_start"]) == fold.test_start
        assert parse_iso(split["test_end"]) < fold.test_end
        assert split["embargo_s"] == 24 * 300


def test_page_and_figures_say_it_plainly(walked):
    page, told = (
        (walked / "walkforward.md").read_text(),
        json.loads((walked / "walkforward.json").read_text()),
    )
    assert page.startswith("**At Kraken's fees the walk-forward lost money: -")
    for word in ("*hold*", "*flat*", "### Against chance", "### By fold", "### By pair", "not looked at"):
        assert word in page
    assert str(ROOT) not in page
    assert "`training walkforward --lake DIR --" in page
    assert "--spec entry_5m" in page
    (study,) = told
    by_name = {fees["schedule"]: fees for fees in study["fees"]}
    gross, kraken = by_name["gross"], by_name["kraken"]
    assert kraken["pooled"]["total"] < gross["pooled"]["total"]
    assert kraken["random"]["total"]["value"] < 0
    assert kraken["sharpe"]["high"] < 0
    assert len(kraken["folds"]) == 2
    assert [pair["name"] for pair in kraken["pairs"]] == ["BTC/USDT", "ETH/USDT"]
    # Six days of validation leave fewer than 200 trades: the turnover that nobody tuned is taken.
    tuned = kraken["folds"][0]["tuned"]
    assert tuned["min_confidence"] == tuned["pooled"] > 0.3
    assert (walked / STUDY / "kraken" / "folds.csv").read_text().count("\n") == 3


def test_a_page_of_an_opened_vault_does_not_say_that_it_is_shut(walked):
    told = msgspec.json.decode((walked / "walkforward.json").read_bytes(), type=list[Figures])
    seen = [
        msgspec.structs.replace(one, vault="2024-05-01 to 2024-07-19, opened by version 0.5") for one in told
    ]
    pages = [markdown(one, command="x", data="y", libraries={}) for one in (told, seen)]
    assert [page.count("(the vault) are in no figure") for page in pages] == [1, 0]
    assert "A finished model" not in pages[0]
    assert "The vault was opened for this" in pages[1]


def test_the_headline_speaks_of_what_was_measured(walked):
    (told,) = msgspec.json.decode((walked / "walkforward.json").read_bytes(), type=list[Figures])
    gross, kraken = told.fees
    assert " After fees, whatever the schedule, that is so for none." in headline([told])
    assert "After fees" not in headline([msgspec.structs.replace(told, fees=(gross,))])
    idle = msgspec.structs.replace(kraken, pooled=msgspec.structs.replace(kraken.pooled, trades=0, cagr=0.0))
    said = headline([msgspec.structs.replace(told, fees=(gross, idle))])
    assert said.startswith("**At Kraken's fees the walk-forward made nothing: 0.0 % a year.**")


def test_a_finished_model_is_run_after_its_own_training_alone(desk, tmp_path, capsys):
    words = (
        "walkforward --timeframe 5m --instruments BTC/USDT --test-months 1 --vault-start 2024-06-01 "
        "--schedule kraken --json"
    )
    more = [
        "--lake",
        str(MARKET),
        "--out",
        str(tmp_path),
        "--desk",
        str(ROOT / "configs/walkforward/desk.toml"),
        "--trials",
        str(tmp_path / "trials.jsonl"),
    ]
    assert run([*words.split(), *more, "--fixed", str(ROOT / "configs/models/entry-5m")]) == 0
    (study,) = json.loads(capsys.readouterr().out)
    assert (study["start"], study["end"], study["trained"]) == ("2024-05-01", "2024-06-01", False)
    found = records.load(tmp_path / "entry-5m-binance-5m" / "kraken")
    (fold,) = found.card.folds
    assert fold.models[0].trained_until == parse_iso("2024-05-01") <= fold.test_start
    assert fold.test_end - fold.test_start == 31 * DAY
    page = (tmp_path / "walkforward.md").read_text()
    assert "every fold trains" not in page
    assert "A finished model is not tuned" in page


@pytest.mark.parametrize(
    "changed, said",
    [
        (["--spec", "entry_9m"], "expected a spec of"),
        (["--schedule", "free"], "expected schedules of gross"),
        (["--train-months", "40"], "expected more than 40 whole months"),
        (["--mode", "sideways"], "expected one of walk_forward, final_fold, dates"),
        (["--mode", "dates"], "expected days in the order"),
        (["--fixed", "configs/models/entry-5m"], "expected either spec or fixed"),
        (
            ["--spec", "", "--fixed", "configs/models/entry-5m", "--mode", "final_fold"],
            "expected mode walk_forward for a finished model; found 'final_fold'",
        ),
        (["--instruments", "X/USDT"], "expected 5m bars of binance X/USDT"),
    ],
)
def test_refusals_are_one_line(desk, tmp_path, capsys, changed, said):
    assert walk(tmp_path, desk, *changed) != 0
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line


def test_the_shipped_plan_reads_and_names_each_study_once():
    plan = read_plan(ROOT / "configs/walkforward/real.toml")
    names = [study.name for study in plan.study]
    assert len(set(names)) == len(names) >= 6
    for study in plan.study:
        assert isinstance(study, Study)
        assert len(study.schedules) == 5
        assert not study.fixed or (ROOT / "configs/walkforward" / study.fixed).is_dir()
