"""The commands about labels: what they list, what they measure, what they refuse."""

import json
import re
from pathlib import Path

import pytest

from training.cli import run

MEASURE = "labels measure --spec seq_15m --venue guard --instruments G0/USD,G1/USD --targets"


def test_every_target_is_listed_with_its_horizon_and_classes(capsys):
    assert run(["labels", "list", "--decision", "1h", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["direction_3"] == {"horizon_s": 3 * 3600, "classes": ["down", "hold", "up"]}
    assert body["magnitude"]["classes"] == []
    assert run(["labels", "list", "--decision", "1h"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(body) + 2
    assert "| volume_up | 1 h | normal, rising |" in lines


def test_answers_on_a_lake_are_told(null_lake: Path, capsys, tmp_path):
    words = [*MEASURE.split(), "barrier,vol_high,move_3", "--lake", str(null_lake), "--cache", str(tmp_path)]
    assert run([*words, "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    barrier, vol_high, move = body["targets"]
    assert barrier["rows"] == body["rows"] > 5_000
    assert barrier["known"] == body["rows"] - 2 * 24  # the last decisions of both have no whole horizon
    assert sum(barrier["shares"].values()) == pytest.approx(1.0)
    assert vol_high["shares"]["high"] == pytest.approx(0.2, abs=0.001)
    assert len(vol_high["bounds"]) == 1
    assert move["shares"] == {}
    # Three bars each, all the time: a third of the rows, and a little more at both ends.
    assert move["unique_rows"] == pytest.approx(move["known"] / 3, rel=0.002)
    assert run(words) == 0  # found again in the cache
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{body['rows']:,} rows of 2 instruments; both barriers within one bar: ")
    assert lines[3].startswith(f"| `barrier` | 6 h | {barrier['known']:,} | down ")


@pytest.mark.parametrize(
    "words, told",
    [
        ("labels list --decision 2h", "--decision: expected one of 1m, 5m, .*; found '2h'"),
        ("labels measure --lake . --spec seq_2h", "--spec: expected one of .*; found 'seq_2h'"),
        ("labels measure --lake . --vault-start soon", "--vault-start: expected a date .*; found 'soon'"),
        ("labels measure --lake . --targets luck", "target: expected one of barrier, .*; found 'luck'"),
    ],
)
def test_what_there_is_not_is_refused_in_a_line(words, told, capsys):
    assert run(words.split()) == 64
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(told, line)
