"""ONNX graphs of models that see one row of columns: from scaled tensors, windows or not, to probabilities.

Must not know how a model learned. Called by the makers of models without a memory. The columns of the
newest bar are picked inside the graph, so a tree and a network over windows take the same tensors.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.artifact import OUTPUT
from training.members.seen import Seen

OPSET = 15
IR = 8
"""The format of opset 15: what onnxmltools writes, too."""
ROW = "row"
"""What the picked columns are called inside the graph."""

Layer = tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]
"""Weights [in, out] and biases [out]."""


def dense(seen: Seen, layers: Sequence[Layer]) -> bytes:
    """Give layers with rectifiers between them and a softmax behind the last."""
    from onnx import helper, numpy_helper  # noqa: PLC0415

    nodes, values, found = [], [], ROW
    for number, (weights, biases) in enumerate(layers):
        values.append(numpy_helper.from_array(np.asarray(weights, np.float32), f"w{number}"))
        values.append(numpy_helper.from_array(np.asarray(biases, np.float32), f"b{number}"))
        nodes.append(helper.make_node("Gemm", [found, f"w{number}", f"b{number}"], [f"s{number}"]))
        found = f"s{number}"
        if number + 1 < len(layers):
            nodes.append(helper.make_node("Relu", [found], [f"r{number}"]))
            found = f"r{number}"
    nodes.append(helper.make_node("Softmax", [found], [OUTPUT], axis=1))
    return _whole(seen, nodes, values, len(layers[-1][1]), [helper.make_opsetid("", OPSET)])


def behind(seen: Seen, body: bytes, entry: str) -> bytes:
    """Give `body`, a graph of one input `entry` [n, columns] of opset 15, behind the picking of columns."""
    import onnx  # noqa: PLC0415

    graph = onnx.load_from_string(body)
    for node in graph.graph.node:
        node.input[:] = [ROW if name == entry else name for name in node.input]
    classes = graph.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    return _whole(
        seen,
        list(graph.graph.node),
        list(graph.graph.initializer),
        classes,
        sorted(graph.opset_import, key=lambda one: one.domain),
    )


def _whole(seen: Seen, nodes: list[Any], values: list[Any], classes: int, opsets: list[Any]) -> bytes:
    from onnx import TensorProto, helper  # noqa: PLC0415

    picking, picked = _picking(seen.kept, seen.shapes)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, *seen.shapes[name]])
        for name in seen.kept
    ]
    output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, classes])
    graph = helper.make_graph([*picking, *nodes], "member", inputs, [output], [*picked, *values])
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR, producer_name="")
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _picking(
    kept: Mapping[str, Sequence[int]], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[list[Any], list[Any]]:
    """Give the nodes and constants that make one row [n, K] of the tensors' newest kept columns."""
    from onnx import helper, numpy_helper  # noqa: PLC0415

    nodes, values, parts = [], [], []
    for number, (name, columns) in enumerate(kept.items()):
        found = name
        if len(shapes[name]) == 2:
            newest = np.array(shapes[name][0] - 1, np.int64)
            values.append(numpy_helper.from_array(newest, f"newest{number}"))
            nodes.append(helper.make_node("Gather", [name, f"newest{number}"], [f"bar{number}"], axis=1))
            found = f"bar{number}"
        values.append(numpy_helper.from_array(np.array(columns, np.int64), f"kept{number}"))
        nodes.append(helper.make_node("Gather", [found, f"kept{number}"], [f"part{number}"], axis=1))
        parts.append(f"part{number}")
    return [*nodes, helper.make_node("Concat", parts, [ROW], axis=1)], values
