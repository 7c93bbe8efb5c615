"""Three planted leaks, each detected by its name; five random walks of each: docs/results/canaries.md."""

import json

import numpy as np
import pytest

from core.clock import HOUR
from training.cli import run
from training.guard.canaries import CANARIES, Finding, as_row, examine, judge, look, side_hits
from training.guard.score import holds


@pytest.fixture(scope="module", params=list(CANARIES))
def finding(request) -> Finding:
    return look(request.param, seed=11)


def test_a_planted_leak_is_detected_by_name_and_its_honest_twin_is_not_accused(finding):
    assert finding.detected, finding
    assert finding.name in ("shuffled_folds", "right_closed_resample", "two_sided_label")
    assert (finding.planted.said, finding.honest.said) == ("leak", "chance")
    assert finding.honest.share.high - finding.honest.share.low < 0.05


def test_each_leak_is_as_large_as_it_must_be(finding):
    least = {"shuffled_folds": 0.64, "right_closed_resample": 0.56, "two_sided_label": 0.65}
    assert finding.planted.share.low > least[finding.name]
    if finding.name == "right_closed_resample":
        # An even normal hour knows one of its twelve parts.
        assert holds(finding.planted.share, 0.5 + np.arcsin(12**-0.5) / np.pi)


def test_the_answers_of_any_pipeline_can_be_judged():
    rng = np.random.default_rng(3)
    ts = np.arange(24 * 200, dtype=np.int64) * HOUR
    even, high, low = (rng.random(len(ts)) < p for p in (0.5, 0.56, 0.44))
    assert [judge(hits, ts).said for hits in (even, high, low)] == ["chance", "leak", "worse"]
    assert judge(high, ts, chance=0.56).said == "chance"
    assert judge(even, ts).rows == len(ts)


def test_rows_of_one_day_hang_together():
    """One day in two is right all day long: as many rows as above, and nothing is proven by 20 days."""
    ts = np.arange(24 * 20, dtype=np.int64) * HOUR
    right = np.random.default_rng(1).random(20) < 0.62
    hits = np.repeat(right, 24)
    assert hits.mean() > 0.55
    assert judge(hits, ts).said == "chance"


def test_the_side_is_asked_of_rows_that_moved():
    p = np.array([[0.2, 0.5, 0.3], [0.5, 0.1, 0.4], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    kind = np.array([2, 2, 1, -1], np.int8)
    hits, ts = side_hits(p, kind, np.array([10, 20, 30, 40]))
    assert hits.tolist() == [1.0, 0.0]
    assert ts.tolist() == [10, 20]


def test_the_command_names_what_it_detects(capsys):
    assert run(["guard", "canaries", "--only", "right_closed_resample"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("| right_closed_resample | 1 | 5,756 |")
    assert lines[2].endswith("| detected |")
    assert run(["guard", "canaries", "--only", "right_closed_resample", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["name"] == "right_closed_resample"
    assert body["detected"] is True


def test_a_leak_that_is_not_there_is_not_detected():
    """The honest twin in the leak's place, and the leak in its twin's: a check must refuse both."""
    hours = CANARIES["right_closed_resample"]
    mended = examine("mended", lambda series, _: hours(series, False), 1)
    assert (mended.planted.said, mended.detected) == ("chance", False)
    assert as_row(mended).endswith("| NOT DETECTED |")
    accused = examine("accused", lambda series, _: hours(series, True), 1)
    assert (accused.honest.said, accused.detected) == ("leak", False)


def test_a_strange_name_is_refused(capsys):
    assert run(["guard", "canaries", "--only", "parrot"]) == 64
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("--only: expected some of " + ", ".join(CANARIES) + "; found parrot")
