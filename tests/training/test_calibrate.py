import numpy as np
import pytest

from inference import calibrate as applied
from inference.card import Calibration
from training.calibrate import MAX_TEMPERATURE, fit
from training.evaluate import log_loss

HOLD = 1


def drawn(seed: int, rows: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """True chances and classes that follow them."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet([4.0, 4.0, 4.0], rows)
    kind = (rng.random((rows, 1)) > np.cumsum(p, axis=1)).sum(axis=1).astype(np.int8)
    return p, kind


@pytest.mark.parametrize("temperature, bias", [(1.0, 0.0), (2.5, 0.4), (0.6, -0.8)])
def test_undoes_the_distortion_that_it_is_shown(temperature, bias):
    p, kind = drawn(1)
    # What softmax(log / temperature + bias) turns back into p.
    distorted = np.exp(temperature * (np.log(p) - np.array([0.0, bias, 0.0])))
    distorted /= distorted.sum(axis=1, keepdims=True)
    found = fit(distorted, kind, HOLD)
    assert found.temperature == pytest.approx(temperature, rel=0.05)
    assert found.bias == pytest.approx((0.0, bias, 0.0), abs=0.05)
    assert applied.apply(found, distorted) == pytest.approx(p, abs=0.03)


def test_forecasts_without_skill_become_base_rates():
    p, _ = drawn(2)
    _, kind = drawn(3)
    kind[: len(kind) // 4] = HOLD
    found = fit(p, kind, HOLD)
    assert found.temperature == MAX_TEMPERATURE
    after = applied.apply(found, p)
    assert after[:, HOLD].mean() == pytest.approx(np.mean(kind == HOLD), abs=0.01)


def test_the_fit_is_the_best_there_is():
    p, kind = drawn(4, 5_000)
    sharp = p**2 / (p**2).sum(axis=1, keepdims=True)
    found = fit(sharp, kind, HOLD)

    def loss(temperature: float, bias: float) -> float:
        return float(log_loss(applied.apply(Calibration(temperature, (0.0, bias, 0.0)), sharp), kind).mean())

    best = loss(found.temperature, found.bias[HOLD])
    for dt in (-0.05, 0.0, 0.05):
        for db in (-0.05, 0.0, 0.05):
            assert best <= loss(found.temperature + dt, found.bias[HOLD] + db) + 1e-7


def test_which_way_the_market_went_is_not_learned():
    rng = np.random.default_rng(5)
    p = np.full((4_000, 3), 1 / 3) * rng.uniform(0.9, 1.1, (4_000, 3))
    p /= p.sum(axis=1, keepdims=True)
    kind = rng.choice(np.int8([0, 1, 2]), 4_000, p=[0.1, 0.3, 0.6])
    assert fit(p, kind, HOLD).bias[0] == fit(p, kind, HOLD).bias[2] == 0.0


@pytest.mark.parametrize("seed", range(6))
def test_forecasts_that_hardly_vary_and_are_wrong_still_become_base_rates(seed):
    """Slope and bias are next to the same thing there, and the slope wants to be below its bound."""
    rng = np.random.default_rng(seed)
    kind = (rng.random(4_000) < 0.36).astype(np.int8)
    take = 0.4 + 0.02 * rng.standard_normal(4_000) - 0.02 * kind
    p = np.column_stack([1.0 - take, take])
    found = fit(p, kind, 1)
    after = applied.apply(found, p).astype(np.float64)
    assert found.temperature == MAX_TEMPERATURE
    assert after[:, 1].mean() == pytest.approx(kind.mean(), abs=1e-4)
    share = np.array([[1.0 - kind.mean(), kind.mean()]])
    assert log_loss(after, kind).mean() < log_loss(share, kind).mean() + 3e-3
