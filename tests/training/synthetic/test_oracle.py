from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.synthetic.catalogue import PATTERNS
from training.synthetic.generate import draw_pattern
from training.synthetic.oracle import best_actions, net

MOVES = st.lists(st.integers(-50, 50), min_size=0, max_size=6)


def path(moves: list[int]) -> np.ndarray:
    return np.cumsum([0.0, *moves]) * 1e-3


@settings(max_examples=60, deadline=None)
@given(moves=MOVES, cost=st.integers(0, 30))
def test_no_sequence_of_actions_earns_more(moves, cost):
    x, paid = path(moves), cost * 1e-3
    found = best_actions(x, paid)
    every = (np.array([*held, 0], np.int8) for held in product((-1, 0, 1), repeat=len(moves)))
    assert net(x, found, paid) == pytest.approx(max(net(x, held, paid) for held in every), abs=1e-12)
    assert found[-1] == 0


@pytest.mark.parametrize(
    "cost, expected, earned",
    [
        (0.0, [1, -1, 1, 0], 0.09),  # 0.03 + 0.02 + 0.04
        (0.005, [1, -1, 1, 0], 0.06),  # six units traded
        (0.015, [1, 1, 1, 0], 0.02),  # 0.05 less two units: turning twice would cost four more
        (0.03, [0, 0, 0, 0], 0.0),  # 0.05 does not pay for two units
    ],
)
def test_by_hand(cost, expected, earned):
    x = path([30, -20, 40])
    found = best_actions(x, cost)
    assert found.tolist() == expected
    assert net(x, found, cost) == pytest.approx(earned)


def test_ties_go_to_who_does_not_trade():
    assert best_actions(path([10]), 0.005).tolist() == [0, 0]
    assert best_actions(path([0, 0]), 0.0).tolist() == [0, 0, 0]
    assert best_actions(np.zeros(0), 0.0).tolist() == []


def dynamic_programme(x: np.ndarray, cost: float) -> float:
    """Best worth, from the first bar on: written apart from the product's, which walks from the last."""
    worth = {-1: -np.inf, 0: 0.0, 1: -np.inf}
    for move in np.diff(x):
        worth = {
            now: max(worth[before] - cost * abs(now - before) for before in worth) + now * move
            for now in (-1, 0, 1)
        }
    return max(value - cost * abs(held) for held, value in worth.items())


@pytest.mark.parametrize("name", PATTERNS)
def test_actions_of_a_pattern_are_the_best_and_never_worse_than_flat(name):
    cost = 16e-4
    bare = draw_pattern(name, None, 0.0, seed=1)
    closes = np.log(bare.bars.close)
    assert np.allclose(closes, bare.path, atol=1e-12)
    assert net(closes, bare.actions, cost) == pytest.approx(dynamic_programme(closes, cost), abs=1e-9)
    assert net(bare.path, bare.actions, cost) >= 0.0
    noisy = draw_pattern(name, None, 0.05, seed=1)
    assert (noisy.actions == bare.actions).all()
    if name != "random_walk":
        assert net(np.log(noisy.bars.close), noisy.actions, cost) > 0.0


def test_a_cost_beyond_the_pattern_keeps_the_trader_out():
    dear = draw_pattern("head_and_shoulders", {"height": 0.01, "cost_bps": 60}, 0.0, seed=1)
    assert (dear.actions == 0).all()
    cheap = draw_pattern("head_and_shoulders", {"height": 0.01, "cost_bps": 5}, 0.0, seed=1)
    assert set(cheap.actions[:-1].tolist()) == {-1, 1}
