"""Kinds of models on made markets, one seed; all of them over five: `training guard check --maker ...`."""

import numpy as np
import pytest

from core.clock import MINUTE
from core.errors import UsageError
from core.market import Timeframe
from feeds.lake import BarArrays
from inference.card import Interval
from inference.features.spec import SPECS
from training.cli import run
from training.guard import makers
from training.guard.makers import NextSide, Proof, as_row, leaks, over_seeds, page, prove
from training.members.catalogue import maker
from training.members.member import silent
from training.panel.panel import UNKNOWN

SPEC = SPECS["seq_15m"]
KINDS = ("lightgbm", "tcn")


def small():
    return [
        maker("lightgbm"),
        maker(
            "tcn",
            hyper={"width": 8, "dilations": (1, 2), "head": 16, "dropout": 0.0},
            fit={"epochs": 3, "patience": 0, "rate": 1e-2},
        ),
    ]


@pytest.fixture(scope="module")
def proofs():
    return {market: prove(SPEC, market, 1, small(), silent, decisions=2_500) for market in makers.MARKETS}


def test_a_tree_and_a_network_are_within_chance_on_a_random_walk(proofs):
    for proof in proofs["null"]:
        assert proof.passed, as_row(proof)
        assert abs(proof.right.value - 0.5) < 0.03
        assert proof.rows > 4_000
        assert proof.optimum == 0.5


def test_a_tree_and_a_network_find_the_planted_edge(proofs):
    tree, network = proofs["planted"]
    assert tree.optimum == pytest.approx(0.6179, abs=1e-4)
    assert tree.oracle.value == pytest.approx(tree.optimum, abs=0.02)
    assert tree.behind.value < makers.WITHIN
    assert tree.passed
    assert network.right.low > 0.52
    assert network.behind.value < 0.06  # fewer rows than the command takes, and half a blink of learning
    assert not leaks(network.behind)


def test_the_side_of_the_coming_bar_by_hand():
    """Quarters of an hour close at 100, 101, 100.5; a fourth is missing, a fifth closes at 102."""
    closes = np.repeat([100.0, 101.0, 100.5, 102.0], 3)
    opens = np.concatenate([np.arange(9), np.arange(12, 15)]) * 5 * MINUTE
    ones = np.ones(12)
    bars = BarArrays(
        "A/B", Timeframe.M5, opens, closes, closes, closes, closes, ones, closes, np.ones(12, np.int32)
    )
    ends = np.array([15, 30, 45, 75]) * MINUTE
    told = NextSide(Timeframe.M15).followed(bars, ends, ones[:4])
    assert told.kind.tolist() == [1, 0, UNKNOWN, UNKNOWN]
    assert told.value[0] == pytest.approx(0.01)
    assert np.isnan(told.value[2:]).all()
    assert (told.ts_end - ends == 15 * MINUTE).all()


def proof(market="planted", *, behind=(0.01, -0.005, 0.025), passed=True, name="tcn", seed=1) -> Proof:
    right = Interval(0.6, 0.58, 0.62)
    lag = None if market == "null" else Interval(*behind)
    return Proof(name, "seq_15m", market, seed, 100, right, 0.6, None, lag, passed)


def test_better_than_the_best_is_a_leak():
    assert leaks(Interval(-0.05, -0.06, -0.04))
    assert not leaks(Interval(-0.001, -0.003, 0.001))
    assert not leaks(Interval(0.05, 0.04, 0.06))


def test_a_kind_passes_by_its_mean_over_seeds_and_by_every_seed():
    good = [proof(behind=(0.03, 0.01, 0.05)), proof(behind=(0.004, 0.0, 0.01), seed=2)]
    assert over_seeds(good) == [("tcn", "seq_15m", "planted", 2, 0.6, pytest.approx(0.017), True)]
    assert not over_seeds([proof(behind=(0.03, 0.01, 0.05)), proof(behind=(0.02, 0, 0.03))])[0][-1]
    assert not over_seeds([proof("null"), proof("null", passed=False)])[0][-1]


def test_the_page_says_in_its_first_line_what_failed():
    lines = list(page([proof("null", passed=False), proof()], "training guard check --maker tcn"))
    assert lines[2] == "Not all passed: tcn on null."
    assert "| tcn | seq_15m | planted | 1 | 0.6000 | +0.0100 | yes |" in lines
    assert list(page([proof()], "x"))[2].startswith("All kinds stay within chance")
    assert all(len(line) <= 120 for line in lines)


@pytest.mark.parametrize(
    "options, said",
    [
        (["--maker", "oracle"], "maker: expected one of persistence, logistic"),
        (["--maker", "logistic", "--specs", "nothing"], "--specs: expected some of"),
    ],
)
def test_the_command_refuses_kinds_and_specifications_that_are_not_there(options, said, capsys):
    assert run(["guard", "check", *options]) == UsageError.exit_code
    assert said in capsys.readouterr().err


def test_the_command_writes_its_page(tmp_path, capsys):
    out = tmp_path / "results" / "guard-makers.md"
    options = ["--maker", "persistence", "--decisions", "1000", "--pairs", "1", "--out", str(out)]
    assert run(["guard", "check", *options]) in (0, 1)  # so few rows may miss the optimum
    assert capsys.readouterr().out.count("| persistence | seq_15m |") == 2
    text = out.read_text()
    assert "check --maker persistence --specs seq_15m --seeds 1 --first-seed 1 --pairs 1 " in text
    assert "| persistence | seq_15m | planted | 1 |" in text
