"""`trader backtest report` and `compare`: files written again, one line for what is wrong."""

import json
import shutil

import pytest

from tests.run_records import random_record, write_lake
from trader import cli


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Give a folder with two bare runs and a lake."""
    root = tmp_path_factory.mktemp("runs")
    for name, seed in (("first", 7), ("second", 8)):
        random_record(60, 90, seed, timeframe="1h").save(root / name)
    write_lake(root / "lake", days=130)
    return root


def ran(capsys, *words):
    code = cli.run([*map(str, words)])
    out, err = capsys.readouterr()
    return code, out, err


def test_report_prints_the_verdict_first_and_writes_the_page(capsys, runs):
    code, out, err = ran(
        capsys, "backtest", "report", runs / "first", "--data", runs / "lake", "--no-pictures"
    )
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("Lost ")
    assert "; holding " in lines[0]
    assert lines[1].startswith("Few trades (90)")
    page = runs / "first" / "report.html"
    assert lines[-1] == f"page               {page}"
    assert page.stat().st_size > 5_000_000


def test_report_says_where_a_browser_finds_it_as_json(capsys, runs):
    code, out, err = ran(capsys, "backtest", "report", runs / "second", "--no-pictures", "--open", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["page"] == (runs / "second" / "report.html").as_uri()
    assert told["pooled"]["trips"]["trades"] == 90
    assert "name the lake with --data" in err


@pytest.mark.parametrize(
    "words, code, said",
    [
        (["report", "nowhere"], 65, "nowhere: expected a backtest's folder (run.json"),
        (["report", "{first}", "--data", "nowhere"], 64, "lake: expected"),
        (["compare", "{first}"], 64, "expected two runs or more to compare; found 1"),
        (["compare", "{first}", "{first}"], 64, "expected different runs; found one named twice"),
        (["compare", "{first}", "nowhere"], 65, "nowhere: expected a backtest's folder"),
    ],
)
def test_what_is_wrong_is_one_line(capsys, runs, words, code, said):
    found, out, err = ran(capsys, "backtest", *(word.format(first=runs / "first") for word in words))
    assert (found, out) == (code, "")
    assert err.count("\n") == 1
    assert said in err


def test_compare_prints_a_table_and_writes_a_page(capsys, runs):
    code, out, err = ran(capsys, "backtest", "compare", runs / "first", runs / "second")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("first: Lost ")
    assert lines[3].split() == ["first", "second"]
    assert "Over 60 days that no model has seen: " in out
    assert lines[-1] == f"page  {runs / 'compare.html'}"
    assert (runs / "compare.html").exists()


def test_runs_of_one_name_are_told_apart_by_their_folders(capsys, runs, tmp_path):
    shutil.copytree(runs / "first", tmp_path / "x" / "kraken")
    shutil.copytree(runs / "second", tmp_path / "y" / "kraken")
    out_file = tmp_path / "c.html"
    code, out, _ = ran(
        capsys,
        "backtest",
        "compare",
        tmp_path / "x/kraken",
        tmp_path / "y/kraken",
        "--out",
        out_file,
        "--json",
    )
    told = json.loads(out)
    assert code == 0
    assert told["names"] == ["x/kraken", "y/kraken"]
    assert told["page"] == str(out_file)
