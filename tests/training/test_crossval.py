"""Skill over all paths: chance where nothing can be foreseen, and found where an edge is planted."""

import json

import numpy as np
import pytest

from core.errors import DataError, UsageError
from core.market import Timeframe
from inference.features.spec import SPECS
from training.cli import run
from training.cross.validate import cross_validate
from training.guard.lake import write_lake
from training.guard.market import null_market
from training.labels import BarrierTerms
from training.provenance import Recipe


def plan(**changes) -> Recipe:
    settings = {"instruments": ("G0/USD", "G1/USD"), "max_rows": 6_000} | changes
    return Recipe("made", SPECS["entry_5m"], "guard", Timeframe.M5, BarrierTerms(Timeframe.M5), **settings)


@pytest.fixture(scope="module")
def long_lake(tmp_path_factory):
    root = tmp_path_factory.mktemp("long")
    write_lake(root, null_market(2, 130, seed=1), Timeframe.M5)
    return root


def test_every_path_scores_chance_on_a_null_market_and_shuffled_rows_do_not(long_lake):
    said = []
    found = cross_validate(plan(), long_lake, groups=4, tested=2, say=said.append)
    assert (found.splits, len(found.paths)) == (6, 3)
    assert 4_000 < found.rows <= 6_000
    aucs = [path.auc for path in found.paths]
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.06)
    assert max(path.gain for path in found.paths) < 0.05
    # Labels of two hours at rows minutes apart tell each other's answer.
    assert found.shuffled > max(aucs)
    assert found.shuffled > 0.54
    # The features look back sixteen days, a quarter of this lake is twenty-eight.
    assert found.purged > 0.1
    assert sum(line.startswith("split ") for line in said) == 6


def test_a_planted_edge_is_found_on_every_path(edge_lake):
    found = cross_validate(plan(), edge_lake, groups=3, tested=1, say=lambda _: None)
    assert len(found.paths) == 1
    assert found.paths[0].auc > 0.6


def test_refuses_a_lake_that_the_embargo_eats_up(null_lake):
    with pytest.raises(DataError, match=r"expected rows to train on .* embargo of 16.7 days; found none"):
        cross_validate(plan(), null_lake, groups=4, tested=2, say=lambda _: None)


def test_command_prints_the_paths_and_keeps_the_vault_shut(long_lake, capsys):
    words = "crossval --spec entry_5m --venue guard --timeframe 5m --instruments G0/USD --groups 3 --tested 1"
    more = ["--lake", str(long_lake), "--vault-start", "2024-04-20", "--max-rows", "1000"]
    assert run([*words.split(), *more, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] <= 1_000
    assert run([*words.split(), *more]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("3 splits of 3 spans, 1 tested at a time: 1 paths, ")
    assert f"AUC {told['paths'][0]['auc']:.4f}" in lines[1]
    assert run([*words.split(), *more, "--tested", "3"]) == UsageError.exit_code
    assert "expected 1 to 2 test groups; found 3" in capsys.readouterr().err
