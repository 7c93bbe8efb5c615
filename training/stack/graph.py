"""A stacker as one ONNX graph: from the tensors `votes` and `members` to `probabilities` [n, 2].

Must not know how it learned. Called by training.stack.meta. The columns are those of training.stack.design,
made by selections, subtractions and products alone, so trees see the very bits that they were fitted on.
onnx is imported when used.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import ModelError
from inference.artifact import INPUT, OUTPUT, TOLERANCE, open_session
from inference.card import MEMBER_COLUMNS, VOTE_COLUMNS
from inference.card_check import MEMBERS, VOTES
from training import export
from training.panel.panel import Floats, Matrix
from training.stack.design import BLEND, LEAST_P
from training.stack.stackers import CLIP, Boosted, Extreme, Logistic, Perceptron, Stacker

IR = 8
_DOWN, _HOLD, _UP, _SPREAD, _AGREEMENT = range(5)


class _Graph:
    """Nodes and constants under construction; methods take and give names of tensors."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper  # noqa: PLC0415

        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, values: npt.ArrayLike) -> str:
        from onnx import numpy_helper  # noqa: PLC0415

        array = np.asarray(values)
        array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name


def to_onnx(stacker: Stacker, voters: int) -> bytes:
    """Give the file; the same stacker gives the same bytes."""
    from onnx import TensorProto, helper  # noqa: PLC0415
    from onnx.checker import check_model  # noqa: PLC0415

    graph = _Graph()
    x = _columns(graph, voters)
    opsets = [helper.make_opsetid("", export.OPSET)]
    match stacker:
        case Logistic():
            answer = _logistic(graph, x, stacker, voters)
        case Perceptron():
            answer = _perceptron(graph, x, stacker)
        case Boosted() | Extreme():
            answer, domain = _trees(graph, x, stacker, len(BLEND) + 3 * voters)
            opsets += [one for one in domain if one.domain]
        case _:
            raise ModelError(f"expected a stacker that has a graph; found {type(stacker).__name__}")
    graph.nodes.append(helper.make_node("Identity", [answer], [OUTPUT]))
    shapes = {VOTES: len(VOTE_COLUMNS), MEMBERS: len(MEMBER_COLUMNS) * voters}
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
        for name, size in shapes.items()
    ]
    output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", 2])
    made = helper.make_graph(graph.nodes, "meta", inputs, [output], graph.constants)
    model = helper.make_model(made, opset_imports=opsets, ir_version=IR)
    check_model(model)
    whole: bytes = model.SerializeToString()
    return whole


def check_parity(model: bytes, votes: Matrix, members: Matrix, expected: Floats) -> float:
    """Give the largest difference on real rows in batches of 1, 2, 7 and 64; ModelError above TOLERANCE."""
    session = open_session(model)
    error = 0.0
    for size in (1, 2, 7, 64):
        for first in range(0, min(len(votes), 8 * size), size):
            at = slice(first, first + size)
            found = session.run([OUTPUT], {VOTES: votes[at], MEMBERS: members[at]})[0]
            error = max(error, float(np.max(np.abs(found - expected[at]))))
    if not error <= TOLERANCE:  # also catches NaN
        raise ModelError(f"expected the graph to equal the stacker within {TOLERANCE:g}; found {error:g}")
    return error


def _columns(graph: _Graph, voters: int) -> str:
    """Make the columns of design.taking."""

    def column(at: int) -> str:
        return graph.op("Gather", VOTES, graph.constant([at]), axis=1)

    def each(at: int) -> str:
        return graph.op("Gather", by_voter, graph.constant(at), axis=2)

    up = graph.op("Greater", column(_UP), column(_DOWN))
    side, hold = graph.op("Where", up, column(_UP), column(_DOWN)), column(_HOLD)
    by_voter = graph.op("Reshape", MEMBERS, graph.constant([-1, voters, len(MEMBER_COLUMNS)]))
    voted = each(MEMBER_COLUMNS.index("voted"))
    own = graph.op("Where", up, each(_UP), each(_DOWN))
    with_side = graph.op("Mul", graph.op("Sub", own, side), voted)
    with_hold = graph.op("Mul", graph.op("Sub", each(_HOLD), hold), voted)
    blend = (side, hold, column(_SPREAD), column(_AGREEMENT))
    return graph.op("Concat", *blend, with_side, with_hold, voted, axis=1)


def _logistic(graph: _Graph, x: str, stacker: Logistic, voters: int) -> str:
    """Give the pool: voters are log-odds less the blend's, so the blend's own weight lacks theirs."""
    fitted = stacker.pool
    first = len(BLEND)

    def part(start: int, stop: int) -> str:
        return graph.op("Slice", x, *(graph.constant([at]) for at in (start, stop, 1)))

    side = part(0, 1)
    chance = graph.op("Concat", side, graph.op("Add", part(first, first + voters), side), axis=1)
    low, high = graph.constant(LEAST_P), graph.constant(1.0 - LEAST_P)
    chance = graph.op("Clip", chance, low, high)
    odds = graph.op(
        "Sub", graph.op("Log", chance), graph.op("Log", graph.op("Sub", graph.constant(1.0), chance))
    )
    weights = fitted.weights.copy()
    weights[0] -= weights[1:].sum()
    score = graph.op("MatMul", odds, graph.constant(weights[:, None]))
    slopes = (fitted.slopes[:, 1] - fitted.slopes[:, 0]) / fitted.scale
    bias = fitted.bias[1] - fitted.bias[0] - fitted.center @ slopes
    score = graph.op("Add", score, graph.op("MatMul", part(1, first), graph.constant(slopes.reshape(-1, 1))))
    return _two(graph, graph.op("Add", score, graph.constant(bias)))


def _perceptron(graph: _Graph, x: str, stacker: Perceptron) -> str:
    (first, last), (first_bias, last_bias) = stacker.net.coefs_, stacker.net.intercepts_
    h = graph.op("Sub", x, graph.constant(stacker.center))
    h = graph.op("Mul", h, graph.constant(1.0 / stacker.scale))
    h = graph.op("Clip", h, graph.constant(-CLIP), graph.constant(CLIP))
    h = graph.op(
        "Relu", graph.op("Add", graph.op("MatMul", h, graph.constant(first)), graph.constant(first_bias))
    )
    score = graph.op("Add", graph.op("MatMul", h, graph.constant(last)), graph.constant(last_bias))
    return _two(graph, score)


def _trees(graph: _Graph, x: str, stacker: Boosted | Extreme, columns: int) -> tuple[str, list[Any]]:
    """Put the converted trees behind the columns."""
    import onnx  # noqa: PLC0415

    if isinstance(stacker, Extreme):
        from onnxmltools import convert_xgboost  # noqa: PLC0415
        from onnxmltools.convert.common.data_types import FloatTensorType  # noqa: PLC0415

        shape = [(INPUT, FloatTensorType([None, columns]))]
        made = convert_xgboost(stacker.booster, initial_types=shape, target_opset=export.OPSET)
    else:
        made = onnx.load_from_string(export.to_onnx(stacker.booster, columns))
    names = {INPUT: x}
    for node in made.graph.node:
        fresh = onnx.NodeProto()
        fresh.CopyFrom(node)
        fresh.input[:] = [names.get(name, f"tree_{name}") for name in node.input]
        fresh.output[:] = [f"tree_{name}" for name in node.output]
        graph.nodes.append(fresh)
    for constant in made.graph.initializer:
        named = onnx.TensorProto()
        named.CopyFrom(constant)
        named.name = f"tree_{constant.name}"
        graph.constants.append(named)
    return f"tree_{OUTPUT}", list(made.opset_import)


def _two(graph: _Graph, score: str) -> str:
    """Give both classes of one score."""
    p = graph.op("Sigmoid", score)
    return graph.op("Concat", graph.op("Sub", graph.constant(1.0), p), p, axis=1)
