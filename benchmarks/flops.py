"""Counting what a network costs: multiplications and additions of its ONNX graph for one row.

Must not know which network. Called by the benches that run the twins.
"""

import math

import onnx

Shapes = dict[str, tuple[int, ...]]


def flops(model: bytes) -> int:
    """Give the floating-point operations of one row: 2 per multiply-add, 1 per element elsewhere.

    Counted are products (Conv, MatMul, Gemm, GRU, LSTM) and everything that computes an element;
    moving data costs none.
    """
    return sum(by_kind(model).values())


def by_kind(model: bytes) -> dict[str, int]:
    """Give the same, by kind of node."""
    proto = onnx.load_from_string(model)
    for value in proto.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    shapes = _shapes(onnx.shape_inference.infer_shapes(proto, data_prop=True))
    found: dict[str, int] = {}
    for node in proto.graph.node:
        found[node.op_type] = found.get(node.op_type, 0) + _cost(node, shapes)
    return found


def parameters(model: bytes) -> int:
    """Give how many weights a network has."""
    graph = onnx.load_from_string(model).graph
    return sum(math.prod(w.dims) for w in graph.initializer if w.data_type == onnx.TensorProto.FLOAT)


def _shapes(proto: onnx.ModelProto) -> Shapes:
    known = {w.name: tuple(w.dims) for w in proto.graph.initializer}
    for value in (*proto.graph.input, *proto.graph.value_info, *proto.graph.output):
        known[value.name] = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
    return known


MOVES = frozenset(
    {"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Slice", "Concat", "Pad", "Split", "Identity", "Gather"}
)


def _cost(node: onnx.NodeProto, shapes: Shapes) -> int:
    out = math.prod(shapes[node.output[0]]) if node.output[0] in shapes else 0
    match node.op_type:
        case "Conv":
            return 2 * out * math.prod(shapes[node.input[1]][1:])
        case "MatMul":
            return 2 * out * shapes[node.input[0]][-1]
        case "Gemm":
            return 2 * out * shapes[node.input[1]][0]
        case "GRU" | "LSTM":
            steps = shapes[node.input[0]][0]
            return 2 * steps * sum(math.prod(shapes[node.input[k]]) for k in (1, 2))
        case kind if kind in MOVES:
            return 0
        case _:
            return out
