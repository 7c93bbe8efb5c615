import numpy as np
import pytest

from core.errors import DataError
from trader.evaluation.significance import Significance, load
from training.significance.judge import judge, luck_of
from training.significance.superior import superior_p

DAYS = 400


def noise(seed, trials=15, deviation=0.01):
    return np.random.default_rng(seed).normal(0.0, deviation, (trials, DAYS))


def verdict(mine, others, **changes):
    usual = {
        "counted": len(others) + 1,
        "market": noise(9, 1)[0] * 3,
        "twin": np.full(DAYS, -1e-4),
        "trips": 80,
        "replicates": 300,
    }
    return judge(mine, others, **(usual | changes), seed=1)


@pytest.fixture(scope="module")
def edge():
    return noise(1, 1)[0] + 0.0035


def test_an_edge_among_noise_is_told_from_luck(edge):
    found = verdict(edge, noise(2))
    assert found.passed
    assert found.failed == ()
    assert found.sentence.startswith("More than luck explains: Earned ")
    assert found.superior
    assert (found.trials, found.compared) == (16, 16)
    assert found.min_track_days < DAYS


def test_the_best_of_noise_is_not():
    every = noise(2)
    best = int(np.argmax(every.mean(axis=1) / every.std(axis=1)))
    found = verdict(every[best], np.delete(every, best, axis=0))
    assert found.sharpe.value > 1.0
    assert not found.passed
    assert found.sentence.startswith("Nothing here can be told from luck: Earned ")
    assert "the best of 16 trials" not in found.sentence
    assert "the best of 15 trials shows" in found.sentence


def test_a_run_beside_an_edge_that_another_has_is_not_named(edge):
    found = verdict(noise(3, 1)[0] + 0.0002, np.vstack((noise(2), edge)))
    assert found.spa["flat"] <= 0.05
    assert not found.superior
    assert not found.passed


def test_more_trials_than_are_compared_make_it_harder(edge):
    weak = edge - 0.0022
    few, many = verdict(weak, noise(2)), verdict(weak, noise(2), counted=100_000)
    assert many.luck > few.luck
    assert many.dsr < few.dsr
    assert (many.trials, many.compared) == (100_000, 16)


def test_a_rising_market_is_no_skill():
    market = noise(4, 1)[0] * 2 + 0.004
    found = verdict(market * 0.5, noise(2), market=market)
    assert found.dsr > 0.95
    assert found.spa["flat"] <= 0.05
    assert found.spa["hold"] > 0.05
    assert not found.passed
    assert any("against holding" in line for line in found.failed)


def test_a_holder_does_not_pass_by_a_rival_who_beats_holding(edge):
    market = noise(4, 1)[0] * 2 + 0.004
    holder, rival, twin = market * 0.5 + noise(8, 1)[0] * 0.01, edge + 0.006, np.zeros(DAYS)
    found = verdict(holder, rival[None], market=market, twin=twin)
    assert found.dsr > 0.95
    assert max(found.spa.values()) <= 0.05
    assert superior_p((holder - market * 0.5)[:, None], block_days=5, seed=1) > 0.05
    assert not found.superior
    assert not found.passed
    # The rival itself beats all three.
    assert luck_of(rival, holder[None], counted=2, market=market, twin=twin, seed=1).beats_all


def test_who_is_no_better_than_his_own_trades_at_random_is_refused(edge):
    found = verdict(edge, noise(2), twin=edge[::-1].copy())
    assert found.spa["random"] > 0.05
    assert found.failed == (f"p {found.spa['random']:.2f} against entering at random, at most 0.05",)


def test_one_trial_is_not_asked_how_it_was_chosen(edge):
    alone = verdict(edge, np.zeros((0, DAYS)))
    assert (alone.trials, alone.pbo, alone.passed) == (1, None, True)
    # But trials that were counted and cannot be compared leave the question open.
    assert not verdict(edge, np.zeros((0, DAYS)), counted=2).passed


def test_losses_that_luck_does_not_explain_are_called_so():
    found = verdict(noise(5, 1)[0] - 0.004, noise(2) - 0.004)
    assert found.sharpe.high < 0
    assert found.sentence.startswith("It loses, and bad luck does not explain it: Lost ")


def test_a_run_without_trades_says_so():
    found = verdict(np.zeros(DAYS), noise(2), twin=np.zeros(DAYS), trips=0)
    assert not found.passed
    assert found.sentence == "Nothing was traded in 400 days, so there is nothing to tell from luck."


@pytest.mark.parametrize("days", [1, 2, 4, 19])
def test_a_few_good_days_are_no_verdict(days):
    good = 0.01 + 1e-4 * np.arange(days)
    market, twin, nobody = noise(1, 1)[0][:days], np.zeros(days), np.zeros((0, days))
    found = judge(good, nobody, counted=1, market=market, twin=twin, trips=9, replicates=100)
    assert not found.passed
    assert found.failed[0] == f"{days} days, at least 20"
    assert found.spa == {"hold": None, "flat": None, "random": None}
    assert found.sentence.startswith("Nothing here can be told from luck: Earned ")
    assert ("no Sharpe ratio" in found.sentence) == (days == 1)


def test_nothing_passes_without_its_benchmarks(edge):
    assert not luck_of(edge, noise(2), counted=16, market=None, twin=None, seed=1).beats_all
    assert not verdict(edge, noise(2), market=None).passed


def test_trials_of_other_days_are_refused(edge):
    with pytest.raises(DataError, match="expected trials"):
        verdict(edge, noise(2)[:, 1:])


def test_a_verdict_is_kept_in_the_folder_and_read_again(edge, tmp_path):
    assert load(tmp_path) is None
    found = verdict(edge, noise(2))
    found.save(tmp_path)
    assert load(tmp_path) == found
    (tmp_path / "significance.json").write_text('{"schema": 1}')
    with pytest.raises(DataError, match="expected figures of significance"):
        load(tmp_path)
    assert isinstance(found, Significance)
