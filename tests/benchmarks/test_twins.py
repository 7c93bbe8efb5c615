"""Twins: what they cost is counted right, and every way to run them gives the same answer."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from benchmarks.flops import by_kind, flops, parameters
from benchmarks.runtime import Loaded, fastest_ms, run_shared, session
from benchmarks.twin_ensemble import twin_ensemble
from benchmarks.twin_graph import Graph
from benchmarks.twins import BUDGET_MFLOP, HYBRIDS, Shape, twins

STEPS = 12


def answers(model, feeds):
    return session(model).run(None, feeds)[0]


def test_twins_fit_the_budget_and_are_the_same_each_time():
    made = twins()
    assert sum(twin.mflop for twin in made) <= BUDGET_MFLOP
    assert [twin.model for twin in made] == [twin.model for twin in twins()]
    assert {f"entry_{timeframe}" for timeframe in HYBRIDS} | {"mtf", "meta", "manager"} <= {
        twin.name for twin in made
    }


@pytest.mark.parametrize("twin", twins(), ids=lambda twin: twin.name)
def test_a_twin_gives_probabilities_that_depend_on_its_input(twin):
    found = answers(twin.model, twin.feeds(5))
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
    assert len(np.unique(found.round(6), axis=0)) == 5


def test_a_dense_layer_costs_two_a_weight_and_one_an_addition():
    graph = Graph("one", 1)
    model = graph.finish(graph.dense(graph.input("x", 6), 6, 4))
    assert (flops(model), parameters(model)) == (2 * 6 * 4 + 4, 6 * 4 + 4)


@pytest.mark.parametrize("layout", Graph.LAYOUTS)
def test_a_convolution_costs_two_a_tap_channel_and_step(layout):
    graph = Graph("one", 1, layout)
    x = graph.to_layout(graph.input("x", STEPS, 16))
    model = graph.finish(graph.attention_pool(graph.from_layout(graph.conv(x, 16, 32)), 32))
    assert by_kind(model)["Conv"] == 2 * 3 * 16 * 32 * STEPS


@pytest.mark.parametrize("kind, gates", [("GRU", 3), ("LSTM", 4)])
def test_recurrence_costs_two_a_weight_and_step(kind, gates):
    graph = Graph("one", 1)
    model = graph.finish(graph.recurrent(kind, graph.input("x", STEPS, 16), 16, 8))
    assert by_kind(model)[kind] == 2 * STEPS * gates * 8 * (16 + 8)


def test_layouts_give_the_same_numbers():
    found = []
    for layout in Graph.LAYOUTS:
        twin = twins(Shape(layout=layout))[0]
        found.append(answers(twin.model, twin.feeds(7)))
    np.testing.assert_allclose(found[1], found[0], atol=2e-5)
    np.testing.assert_allclose(found[2], found[0], atol=2e-5)


def test_a_convolution_sees_the_past_only():
    graph = Graph("one", 1)
    h = graph.conv(graph.to_layout(graph.input("x", STEPS, 16)), 16, 16, dilation=2)
    cut = graph.op("Slice", graph.from_layout(h), *(graph.constant([k]) for k in (0, 6, 1)))
    model = graph.finish(graph.op("Reshape", cut, graph.constant([-1, 6 * 16])))
    x = np.random.default_rng(1).standard_normal((3, STEPS, 16), dtype=np.float32)
    later = x.copy()
    later[:, 6:] += 1.0
    np.testing.assert_array_equal(answers(model, {"x": x}), answers(model, {"x": later}))
    earlier = x.copy()
    earlier[:, :6] += 1.0
    assert not np.allclose(answers(model, {"x": x}), answers(model, {"x": earlier}))


def test_two_threads_work_every_chunk_once():
    class Counting:
        def __init__(self):
            self.rows = []

        def run(self, _outputs, feeds):
            self.rows.append(len(feeds["x"]))

    twin = next(one for one in twins() if one.name == "meta")
    counting = Counting()
    with ThreadPoolExecutor(2) as pool:
        run_shared([Loaded(twin, counting, twin.feeds(1_000))], 256, pool)
    assert sorted(counting.rows) == [232, 256, 256, 256]


def test_the_fastest_round_counts_and_the_first_does_not():
    calls = []
    assert fastest_ms(lambda: calls.append(1), rounds=3) >= 0
    assert len(calls) == 4


@pytest.mark.parametrize("member", twin_ensemble().members, ids=lambda member: member.ref.name)
def test_a_specification_feeds_its_twin(member):
    made_by_others = {"votes", "position"}
    inputs = {
        name: shape for name, shape in member.artifact.card.inputs.items() if name not in made_by_others
    }
    assert inputs.items() <= member.artifact.spec.shapes.items()
    assert len(member.artifact.card.scalers) == len(inputs)
