"""Untrained networks of the shapes that the trained ensemble will have.

Must not know how they are run. Called by the benches. Their answers are noise, their cost is real:
one hybrid per timeframe (causal convolutions, a recurrent layer, attention pooling), one fusion over
four timeframes, a meta model, a regime filter and the in-trade manager.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.flops import flops, parameters
from benchmarks.twin_graph import Graph
from inference.card import POSITION_COLUMNS, VOTE_COLUMNS

COLUMNS = 16
WIDTH = 16
"""Channels of every convolution: a multiple of the block that the runtime's kernels work on."""
DILATIONS = (1, 2, 4, 8)
FUSED = {"15m": 64, "1h": 64, "4h": 48, "1d": 32}
MANAGED = {"1m": 32, "5m": 32}
REGIMES = ("1h", "1d")
HYBRIDS = {"15m": 48, "30m": 48, "1h": 48, "4h": 32, "1d": 32}
STATIC = 20
"""Columns without a window: one bar's and the clock's."""
BUDGET_MFLOP = 7.0
CALM = 2_500
"""Keeps chances away from 0 and 1, as those of real models are."""


class Twin(NamedTuple):
    """One network: its file, its inputs without the batch, and when it runs."""

    name: str
    model: bytes
    inputs: Mapping[str, tuple[int, ...]]
    timeframe: str

    @property
    def mflop(self) -> float:
        """Cost of one instrument."""
        return flops(self.model) / 1e6

    @property
    def weights(self) -> int:
        return parameters(self.model)

    def feeds(self, rows: int, seed: int = 1) -> dict[str, NDArray[np.float32]]:
        """Give made-up inputs of `rows` instruments, shaped like scaled features."""
        random = np.random.default_rng(seed)
        return {
            name: random.standard_normal((rows, *shape), dtype=np.float32)
            for name, shape in self.inputs.items()
        }


class Shape(NamedTuple):
    """What the findings of `python -m benchmarks.runtime` decide."""

    layout: str = "conv2d"
    recurrent: str = "LSTM"
    units: int = 16


BEST = Shape()


def twins(shape: Shape = BEST) -> tuple[Twin, ...]:
    """Give every member, the same bytes each time."""
    hybrids = (
        Twin(f"entry_{name}", _hybrid(name, steps, shape), {name: (steps, COLUMNS)}, name)
        for name, steps in HYBRIDS.items()
    )
    fused = {name: (steps, COLUMNS) for name, steps in FUSED.items()}
    managed = {name: (steps, COLUMNS) for name, steps in MANAGED.items()}
    return (
        *hybrids,
        Twin("mtf", _fusion(shape), fused, "15m"),
        Twin("meta", _meta(), {"votes": (len(VOTE_COLUMNS),), "x": (STATIC,)}, "15m"),
        *(Twin(f"regime_{name}", _regime(name), {"x": (STATIC,)}, name) for name in REGIMES),
        Twin("manager", _manager(shape), {**managed, "position": (len(POSITION_COLUMNS),)}, "1m"),
    )


def _branch(graph: Graph, x: str, steps: int, shape: Shape) -> str:
    """Give one timeframe's summary: last step, attention over time, and memory."""
    h = graph.relu(graph.conv(graph.to_layout(x), COLUMNS, WIDTH))
    stem = graph.from_layout(h)
    for dilation in DILATIONS:
        h = graph.op("Add", h, graph.relu(graph.conv(h, WIDTH, WIDTH, dilation=dilation)))
    deep = graph.from_layout(h)
    last = graph.op("Gather", deep, graph.constant([steps - 1]), axis=1)
    newest = graph.op("Squeeze", last, graph.constant([1]))
    memory = graph.recurrent(shape.recurrent, stem, WIDTH, shape.units)
    return graph.op("Concat", newest, graph.attention_pool(deep, WIDTH), memory, axis=1)


def _summary(shape: Shape) -> int:
    return 2 * WIDTH + shape.units


def _head(graph: Graph, x: str, sizes: tuple[int, ...]) -> bytes:
    for inputs, outputs in pairwise(sizes[:-1]):
        x = graph.relu(graph.dense(x, inputs, outputs))
    logits = graph.dense(x, *sizes[-2:], calm=CALM)
    return graph.finish(graph.op("Softmax", logits, axis=1))


def _hybrid(name: str, steps: int, shape: Shape) -> bytes:
    graph = Graph(f"entry_{name}", sum(name.encode()), shape.layout)
    summary = _branch(graph, graph.input(name, steps, COLUMNS), steps, shape)
    return _head(graph, summary, (_summary(shape), 32, 3))


def _fusion(shape: Shape) -> bytes:
    """Branches become tokens that attend to each other (one head), then one answer."""
    graph = Graph("mtf", 5, shape.layout)
    wide = shape._replace(units=shape.units * 3 // 2)
    size = _summary(wide)
    tokens = [
        graph.op(
            "Unsqueeze",
            _branch(graph, graph.input(name, steps, COLUMNS), steps, wide),
            graph.constant([1]),
        )
        for name, steps in FUSED.items()
    ]
    x = graph.op("Concat", *tokens, axis=1)
    query, key, value = (graph.dense(x, size, size) for _ in range(3))
    scores = graph.op("MatMul", query, graph.op("Transpose", key, perm=[0, 2, 1]))
    shares = graph.op("Softmax", graph.op("Mul", scores, graph.constant([size**-0.5])), axis=2)
    mixed = graph.op("Add", x, graph.op("MatMul", shares, value))
    flat = graph.op("Reshape", mixed, graph.constant([-1, size * len(FUSED)]))
    return _head(graph, flat, (size * len(FUSED), 64, 3))


def _manager(shape: Shape) -> bytes:
    """Two short windows and the position's own columns: go on, or get out."""
    graph = Graph("manager", 6, shape.layout)
    parts = [
        _branch(graph, graph.input(name, steps, COLUMNS), steps, shape) for name, steps in MANAGED.items()
    ]
    position = len(POSITION_COLUMNS)
    x = graph.op("Concat", *parts, graph.input("position", position), axis=1)
    return _head(graph, x, (len(parts) * _summary(shape) + position, 32, 2))


def _meta() -> bytes:
    graph = Graph("meta", 7)
    votes = len(VOTE_COLUMNS)
    x = graph.op("Concat", graph.input("votes", votes), graph.input("x", STATIC), axis=1)
    return _head(graph, x, (votes + STATIC, 64, 32, 2))


def _regime(name: str) -> bytes:
    graph = Graph(f"regime_{name}", sum(name.encode()))
    return _head(graph, graph.input("x", STATIC), (STATIC, 32, 2))
