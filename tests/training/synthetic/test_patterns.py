import math

import numpy as np
import pytest

from tests.training.synthetic.detectors import DETECTORS, MIRRORED, seen
from training.synthetic.catalogue import PATTERNS
from training.synthetic.generate import draw_pattern

HEIGHT = 0.04
NAMES = [name for name in PATTERNS if name != "random_walk"]


def drawn(name: str, noise: float, seed: int = 1, **params: float) -> np.ndarray:
    """Log closes in heights, 0 before the first bar."""
    bars = draw_pattern(name, {"height": HEIGHT, **params}, noise, seed=seed).bars
    return np.log(bars.close / 100.0) / HEIGHT


def test_every_pattern_has_a_detector():
    assert {*DETECTORS, *MIRRORED} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_bare_pattern_has_its_geometry_and_no_other(name):
    x = drawn(name, 0.0)
    assert [other for other in NAMES if seen(other, x)] == [name]
    assert not seen(name, -x) or name in ("consolidation", "volatility_cycle")


@pytest.mark.parametrize("name", NAMES)
def test_the_geometry_outlives_the_usual_noise_in_most_seeds(name):
    assert sum(seen(name, drawn(name, 0.05, seed)) for seed in range(20)) >= 18


def test_a_walk_is_hardly_ever_taken_for_a_pattern():
    """Scaled to one height, as a pattern is: or else no detector could be wrong."""
    found = dict.fromkeys(NAMES, 0)
    for seed in range(40):
        x = drawn("random_walk", 0.3, seed)
        x = (x - x[0]) / np.ptp(x)
        for name in NAMES:
            found[name] += seen(name, x)
    assert max(found.values()) <= 2, found


@pytest.mark.parametrize("name", [name for name in NAMES if "direction" in PATTERNS[name].params])
def test_direction_turns_a_pattern_upside_down(name):
    up, down = drawn(name, 0.0), drawn(name, 0.0, direction=-1)
    assert np.allclose(up, -down, atol=1e-12)
    assert not seen(name, down)


def test_parameters_move_what_they_name():
    """Levels by hand: heights of 4 % on 100, no noise."""
    assert drawn("bull_trend", 0.0, pushes=1)[-1] == pytest.approx(1.0)
    assert drawn("flash_crash", 0.0, recovery=0.25)[-1] == pytest.approx(-0.75)
    assert drawn("flash_crash", 0.0).min() == pytest.approx(-1.0, abs=0.1)
    assert drawn("liquidity_sweep", 0.0, sweep=0.5).min() == pytest.approx(-1.2, abs=0.03)
    assert drawn("support_bounce", 0.0, holds=0)[-1] == pytest.approx(-1.8)
    assert drawn("false_breakout", 0.0, range=0.5, poke=0.4).max() == pytest.approx(0.45, abs=0.02)
    squeezed, loose = (drawn("volatility_cycle", 0.0, squeeze=s, cycles=1) for s in (0.05, 0.5))
    assert np.ptp(squeezed[340:380]) < 0.4 * np.ptp(loose[340:380])
    slope = drawn("head_and_shoulders", 0.0, slope=0.3)
    flat = drawn("head_and_shoulders", 0.0)
    # The neckline's second point lies 0.3 depths of the head (0.6 heights) lower.
    assert flat[455:465].min() - slope[455:465].min() == pytest.approx(0.18, abs=0.02)


def test_noise_is_as_large_as_it_says():
    """A walk has no turning points: a twentieth of 240 minutes gathers 0.1 heights, all of them sqrt(20)."""
    ends = [drawn("random_walk", 0.1, seed, minutes=240)[-1] for seed in range(300)]
    assert np.std(ends) == pytest.approx(0.1 * math.sqrt(20), rel=0.15)
    assert abs(np.mean(ends)) < 3.3 * np.std(ends) / math.sqrt(300)


def test_noise_comes_back_at_the_turning_points_and_strays_between_them():
    """Of a straight way of one leg, 720 minutes long: at its end half of 0.1 heights, in the middle more."""
    end, middle = [], []
    for seed in range(200):
        x = drawn("bull_trend", 0.1, seed, pushes=1)
        end.append(x[-1] - 1.0)
        middle.append(x[359] - 0.5)
    assert np.std(end) == pytest.approx(0.05, rel=0.2)
    # A bridge's deviation in the middle is half of the walk's: 0.1 sqrt(20) / 2, with half a stray beside it.
    assert np.std(middle) == pytest.approx(math.hypot(0.1 * math.sqrt(20) / 2, 0.025), rel=0.25)
