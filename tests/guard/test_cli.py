import json

import pytest

from core.market import Timeframe
from feeds.lake import Lake
from training.cli import run
from training.guard.lake import write_lake
from training.guard.market import null_market


def test_write_makes_a_lake_and_says_what_the_best_score_is(tmp_path, capsys):
    words = "guard write --market planted --strength 0.25 --pairs 2 --days 3 --timeframe 5m --seed 4"
    assert run([*words.split(), "--out", str(tmp_path / "made")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("best accuracy of the next bar's sign: 0.598706")
    assert len(said) == 3
    bars = Lake(tmp_path / "made").read("guard", "G1/USD", Timeframe.M5)
    assert len(bars) == 3 * 288


def test_describe_sets_recorded_beside_made_minutes(tmp_path, capsys):
    write_lake(tmp_path, null_market(1, 5, seed=3))
    words = ["guard", "describe", "--lake", str(tmp_path), "--venue", "guard", "--pairs", "1", "--days", "5"]
    assert run([*words, "--seed", "3", "--json"]) == 0
    recorded, made = json.loads(capsys.readouterr().out)
    assert recorded == made
    assert run(words) == 0
    assert capsys.readouterr().out.startswith("| figure | G0/USD | G0/USD |")


@pytest.mark.parametrize(
    "words, expected",
    [
        ("write --market odd --out OUT", "--market: expected null or planted; found 'odd'"),
        ("write --timeframe 7m --out OUT", "--timeframe: expected one of 1m"),
        ("write --market planted --decision 7m --out OUT", "--decision: expected one of 1m"),
        ("write --out .", "--out: expected a new or empty folder"),
        ("describe --lake OUT", "--lake: expected 1m bars of binance"),
    ],
)
def test_refusals_are_one_line(words, expected, tmp_path, capsys):
    assert run(["guard", *words.replace("OUT", str(tmp_path / "out")).split()]) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert expected in line
