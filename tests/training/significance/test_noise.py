"""Noise costs money: whoever knows nothing is refused, whoever knows enough to pay the fees is found."""

from pathlib import Path

import numpy as np
import pytest

from core.market import Timeframe
from training.random_strategies import costing, planted
from training.significance.closes import daily, read_closes
from training.significance.noise import draws, passing

MARKET = Path(__file__).parents[3] / "configs" / "market"
KRAKEN = 0.004
REPLICATES = 200


@pytest.fixture(scope="module")
def closes():
    return read_closes(MARKET, venue="binance", timeframe=Timeframe.H1)


@pytest.fixture(scope="module")
def noises(closes):
    return {
        fee: draws(closes, fee=fee, count=20, strategies=50, seed=1, replicates=REPLICATES)
        for fee in (0.0, KRAKEN)
    }


@pytest.mark.parametrize("fee", [0.0, KRAKEN])
def test_at_most_one_draw_of_twenty_passes(noises, fee):
    assert len(noises[fee]) == 20
    assert passing(noises[fee])["together"] <= 1


def test_the_best_of_fifty_looks_good_and_fees_take_it_all(noises):
    gross, net = (np.median([one.sharpe for one in noises[fee]]) for fee in (0.0, KRAKEN))
    # 200 days have a standard error of 1.35, and the best of fifty is 2.25 of them above zero.
    assert gross == pytest.approx(2.25 * np.sqrt(365 / 200), abs=0.6)
    assert net < 0.5
    assert sum(one.total > 0 for one in noises[0.0]) == 20


def test_no_criterion_alone_is_enough(noises):
    # Fees rank strategies by their patience in every half of the days, so the choice looks well founded.
    assert passing(noises[KRAKEN])["pbo"] >= 2
    assert passing(noises[KRAKEN])["dsr"] == 0
    # Without fees luck now and then beats what luck is expected to do.
    assert passing(noises[0.0])["dsr"] >= 1
    assert passing(noises[0.0])["pbo"] + passing(noises[0.0])["spa"] <= 2


def test_an_edge_that_survives_fees_is_found(closes):
    found = draws(closes, fee=KRAKEN, count=4, strategies=50, seed=1, edge=0.85, replicates=REPLICATES)
    assert all(one.planted for one in found)
    assert passing(found)["together"] == 4


def test_the_same_edge_below_the_fees_is_not(closes):
    edge = 0.64
    made = planted(closes, np.random.default_rng(1), accuracy=edge)
    before, after = (closes.price[at, made.instrument] for at in (made.entry, made.exit))
    worth = (2 * edge - 1) * np.mean(np.abs(after / before - 1))
    assert 0.004 < worth < 2 * KRAKEN
    gross = draws(closes, fee=0.0, count=4, strategies=50, seed=1, edge=edge, replicates=REPLICATES)
    net = draws(closes, fee=KRAKEN, count=4, strategies=50, seed=1, edge=edge, replicates=REPLICATES)
    assert passing(gross)["together"] >= 3
    assert passing(net)["together"] == 0
    earned, paid = daily(costing(made, KRAKEN), closes)
    assert earned.sum() > 0
    assert earned.sum() - paid.sum() < 0


def test_the_same_seed_draws_the_same(closes):
    one, two = (draws(closes, fee=0.0, count=1, strategies=8, seed=5, replicates=50) for _ in range(2))
    assert one == two
    other = draws(closes, fee=0.0, count=1, strategies=8, seed=6, replicates=50)
    assert other != one
