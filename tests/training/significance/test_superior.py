import numpy as np
import pytest
from arch.bootstrap import SPA

from training.significance.superior import superior_p, superior_trials


def noise(seed=1, trials=20, days=200):
    return np.random.default_rng(seed).normal(0.0, 0.01, (days, trials))


def hansen_by_hand(apart, block, seed, replicates=2000):
    """Hansen (2005), consistent centring, on columns of unit deviation; own stationary bootstrap."""
    rng = np.random.default_rng(seed)
    z = apart / apart.std(axis=0)
    days = len(z)
    mean = z.mean(axis=0)
    lags = np.arange(1, days)
    p = 1 / block
    kernel = (1 - lags / days) * (1 - p) ** lags + lags / days * (1 - p) ** (days - lags)
    flat = z - mean
    variance = (flat**2).mean(axis=0)
    variance += 2 * sum(
        k * (flat[:-n] * flat[n:]).sum(axis=0) / days for n, k in zip(lags, kernel, strict=True)
    )
    kept = mean >= -np.sqrt(variance / days * 2 * np.log(np.log(days)))
    centre = np.where(kept, mean, 0.0)
    beaten = 0
    for _ in range(replicates):
        picks = np.empty(days, int)
        for day in range(days):
            fresh = day == 0 or rng.random() < p
            picks[day] = rng.integers(days) if fresh else (picks[day - 1] + 1) % days
        beaten += (z[picks].mean(axis=0) - centre).max() > mean.max()
    return beaten / replicates


@pytest.mark.parametrize("seed", [1, 2])
def test_it_agrees_with_hansen_by_hand(seed):
    apart = noise(seed, trials=6, days=120)
    found = superior_p(apart, block_days=5, seed=3, replicates=2000)
    assert found == pytest.approx(hansen_by_hand(apart, 5, 4), abs=0.04)


def test_noise_is_refused_about_nineteen_times_in_twenty():
    low = sum(superior_p(noise(seed), block_days=5, seed=seed, replicates=200) <= 0.05 for seed in range(40))
    assert low <= 7  # binomial(40, 0.05) exceeds 7 less than once in a thousand times


def test_an_edge_is_found_and_named():
    apart = noise()
    apart[:, 3] += 0.004
    assert superior_p(apart, block_days=5, seed=1) <= 0.01
    assert superior_trials(apart, block_days=5, seed=1) == {3}
    assert superior_trials(noise(), block_days=5, seed=1) == frozenset()


def test_a_wild_trial_does_not_decide_for_all():
    apart = noise()
    apart[:, 3] += 0.004
    wild = apart.copy()
    wild[:, 0] *= 30.0
    assert superior_p(wild, block_days=5, seed=1) == superior_p(apart, block_days=5, seed=1)
    # The library's own test on raw columns loses the edge behind the noise of that one trial.
    raw = SPA(np.zeros(len(wild)), -wild, block_size=5, reps=1000, seed=1)
    raw.compute()
    assert raw.pvalues["consistent"] > 0.2


def test_what_never_differs_cannot_be_superior():
    nothing = np.zeros((100, 3))
    assert superior_p(nothing, block_days=5, seed=1) is None
    assert superior_trials(nothing, block_days=5, seed=1) == frozenset()
    one = np.column_stack((np.zeros(200), noise()[:, 3] + 0.004))
    assert superior_trials(one, block_days=5, seed=1) == {1}


def test_all_may_be_superior_though_not_at_once():
    """The first step names some of them, the second all that are left."""
    every = np.random.default_rng(1).normal(0.0, 0.01, (400, 2)) + np.array([0.004, 0.001])
    first = SPA(np.zeros(400), -every / every.std(axis=0), block_size=5, reps=300, seed=0)
    first.compute()
    assert list(first.better_models(0.05)) == [0]
    assert superior_trials(every, block_days=5, seed=0, replicates=300) == {0, 1}
