import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from feeds.ingest_report import Limits, Verdict, judge, write_verdict
from training.cli import run

MODELS = Path(__file__).parents[2] / "configs" / "models"


def told(capsys) -> str:
    """The one line on stderr."""
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.strip().splitlines()
    return line


def test_help_imports_nothing_heavy_and_shows_examples():
    script = (
        "import sys; from training.cli import run; code = run(sys.argv[1:]);"
        "heavy = {'numpy', 'numba', 'lightgbm', 'onnx', 'onnxruntime', 'polars', 'sklearn', 'torch'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules); sys.exit(code)"
    )
    shown = (
        "",
        "train",
        "evaluate",
        "walkforward",
        "crossval",
        "vault open",
        "vault status",
        "vault verify",
        "labels list",
        "labels measure",
        "significance run",
        "significance noise",
        "registry list",
        "registry activate",
        "registry rollback",
        "export",
        "smoke",
        "report",
        "compare",
        "synthetic list",
        "synthetic show",
        "synthetic write",
    )
    for words in ([*name.split(), "--help"] for name in shown):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script, *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert len(words) == 1 or "Examples:" in done.stdout


def test_train_writes_an_artifact_and_prints_its_metrics(edge_lake, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = (
        "train --spec entry_5m --venue guard --out models/made --max-rows 5000 --json --test-start 2024-02-14"
    )
    code = run([*words.split(), "--lake", str(edge_lake), "--instruments", "G0/USD,G1/USD"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    body = json.loads(captured.out)
    assert body["metrics"]["trades"] > 0
    assert body["split"]["test_start"] == "2024-02-14T00:00:00.000000Z"
    card = json.loads(Path("models/made/card.json").read_text())
    assert card["model_hash"] == body["model_hash"]
    assert card["command"] == (
        "training train --spec entry_5m --lake DIR --venue guard --timeframe 5m "
        "--instruments G0/USD,G1/USD --test-start 2024-02-14 --barrier-atr 3 --horizon-bars 24 --seed 1 "
        "--trials 1 --max-rows 5000 --model-version 1 --out models/made"
    )
    assert str(edge_lake) not in Path("models/made/card.json").read_text()


def test_absolute_output_folder_is_not_written_on_the_card(edge_lake, tmp_path, capsys):
    words = "train --spec entry_5m --venue guard --max-rows 2000 --instruments G0/USD"
    assert run([*words.split(), "--lake", str(edge_lake), "--out", str(tmp_path / "mine")]) == 0
    text = (tmp_path / "mine" / "card.json").read_text()
    assert "--out DIR/mine" in text
    assert str(tmp_path) not in text
    assert "by month" in capsys.readouterr().out.lower()


def test_evaluate_prints_tables_and_json(capsys):
    path = str(MODELS / "entry-1h")
    assert run(["evaluate", path]) == 0
    text = capsys.readouterr().out
    for words in ("entry-1h version", "base rate", "kraken", "coin flips", "Configurations tried"):
        assert words in text
    assert run(["evaluate", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "entry-1h"


@pytest.mark.parametrize(
    "words, code, expected",
    [
        (["train", "--spec", "x", "--lake", ".", "--out", "m"], 64, "--spec: expected one of scalp_1m"),
        (["train", "--spec", "entry_5m"], 64, "Missing option"),
        (["evaluate", "nowhere"], 65, "training: nowhere: expected a model with card.json"),
        (["nonsense"], 64, "nonsense"),
    ],
)
def test_refusals_are_one_line_and_an_exit_code(words, code, expected, capsys):
    assert run(words) == code
    assert expected in told(capsys)


@pytest.mark.parametrize(
    "option, value, expected",
    [
        ("--timeframe", "7m", "expected one of 1m, 5m"),
        ("--test-start", "May", "expected a date like 2024-05-01"),
        ("--barrier-atr", "0", "expected a number above 0"),
        ("--max-rows", "-1", "expected a number above 0"),
    ],
)
def test_bad_values_are_refused_before_any_work(option, value, expected, tmp_path, capsys):
    words = ["train", "--spec", "entry_5m", "--lake", str(tmp_path), "--out", str(tmp_path / "m")]
    assert run([*words, option, value]) == 64
    assert expected in told(capsys)


def test_empty_lake_is_bad_data(tmp_path, capsys):
    assert run(["train", "--spec", "entry_5m", "--lake", str(tmp_path), "--out", str(tmp_path / "m")]) == 65
    assert "expected binance 5m bars of anything" in capsys.readouterr().err


def test_missing_training_stack_names_the_install_line(tmp_path):
    script = (
        "import sys, importlib.util; find = importlib.util.find_spec;"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'lightgbm' else find(name, *rest);"
        "from training.cli import run;"
        "sys.exit(run('train --spec entry_5m --lake . --out m'.split()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 64
    assert "training needs lightgbm; install with: ./run setup train" in done.stderr


def test_altered_artifact_is_refused(tmp_path, capsys):
    shutil.copytree(MODELS / "entry-1h", tmp_path / "m")
    card = tmp_path / "m" / "card.json"
    card.write_text(card.read_text().replace('"version": "2"', '"version": "3"'))
    assert run(["evaluate", str(tmp_path / "m")]) == 65
    assert "model_hash" in told(capsys)


def test_series_that_the_ingestion_report_blocks_is_refused_unless_waived(edge_lake, tmp_path, capsys):
    lake = tmp_path / "lake"
    shutil.copytree(edge_lake, lake)
    limits = Limits(max_missing_percent=0.0, max_gap_h=0.0, max_outliers_percent=-1.0)
    write_verdict(lake, Verdict(limits, tuple(judge(lake, limits))))
    words = "train --spec entry_5m --venue guard --max-rows 2000 --instruments G0/USD"
    options = ["--lake", str(lake), "--out", str(tmp_path / "mine")]
    assert run([*words.split(), *options]) == 65
    assert "found guard/G0-USD/5m:outliers (0 % of the bars are outliers, limit -1)" in told(capsys)
    assert not (tmp_path / "mine").exists()
    assert run([*words.split(), *options, "--waive", "guard/G0-USD/5m:outliers"]) == 0
    assert "--waive guard/G0-USD/5m:outliers" in (tmp_path / "mine" / "card.json").read_text()
