"""The shipped pipelines on made markets; all of them on more seeds: docs/results/guard-check.md."""

import pytest

from inference.card import Interval
from inference.features.spec import SPECS
from training.cli import run
from training.guard.check import Finding, as_row, check, found, shipped


@pytest.mark.parametrize("name", ["entry_5m", "entry_15m", "entry_1h"])
def test_a_pipeline_scores_chance_where_nothing_can_be_foreseen(name, tmp_path):
    finding = check(SPECS[name], "null", 1, tmp_path)
    assert finding.passed, finding
    assert finding.rows > 9_000
    assert finding.side.high - finding.side.low < 0.08
    assert 0.44 < finding.auc.value < 0.56


def test_a_pipeline_finds_a_planted_edge_and_not_more_than_there_is(tmp_path):
    finding = check(SPECS["entry_5m"], "planted", 1, tmp_path)
    assert finding.passed, finding
    assert finding.oracle.low > 0.7
    assert finding.side.low > 0.7
    # On the same rows the oracle cannot be beaten but by chance.
    assert finding.behind.high > 0


def test_every_entry_spec_can_be_checked():
    assert {"entry_5m", "entry_15m", "entry_1h"} <= set(shipped())


@pytest.mark.parametrize(
    "side, passed",
    [
        ((0.64, 0.62, 0.66), True),
        ((0.60, 0.58, 0.62), False),  # real, but behind what there is to find
        ((0.72, 0.70, 0.74), False),  # better than what is possible: a leak
        ((0.55, 0.40, 0.70), False),  # cannot be told from chance
    ],
)
def test_found_means_told_from_chance_and_at_the_optimum(side, passed):
    assert found(Interval(*side), Interval(0.65, 0.64, 0.66)) is passed


def test_a_finding_says_in_one_line_whether_it_passed():
    finding = Finding(
        spec="entry_15m",
        market="null",
        seed=3,
        days=100,
        rows=12_345,
        auc=Interval(0.5, 0.4, 0.6),
        side=Interval(0.9, 0.8, 0.95),
        oracle=None,
        behind=None,
        passed=False,
    )
    expected = "| entry_15m | null | 3 | 12,345 | 0.500 [0.400, 0.600] | 0.900 [0.800, 0.950] | - | NO |"
    assert as_row(finding) == expected


def test_an_unknown_spec_is_refused_in_one_line(capsys):
    assert run(["guard", "check", "--specs", "entry_7m", "--json"]) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "--specs: expected some of scalp_1m" in captured.err
