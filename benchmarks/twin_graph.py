"""Writing small ONNX networks by hand: seeded weights, no training framework.

Must not know any member's shape. Called by benchmarks.twins. A twin costs what a trained network of
the same shape costs and knows nothing.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR = 8
BATCH = "batch"


class Graph:
    """One network under construction. Methods take and give names of tensors.

    Sequences are [batch, steps, channels]. A causal convolution is written in one of LAYOUTS, which
    give the same numbers at different speeds.
    """

    LAYOUTS = ("conv1d", "conv2d", "flat")

    def __init__(self, name: str, seed: int, layout: str = "conv2d") -> None:
        self._name = name
        self._random = np.random.default_rng(seed)
        self._layout = layout
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node; give its first output."""
        name = f"{kind.lower()}_{len(self._nodes)}"
        names = [name, *(f"{name}_{k}" for k in range(1, outputs))]
        self._nodes.append(helper.make_node(kind, list(inputs), names, name=name, **attributes))
        return name

    def input(self, name: str, *shape: int) -> str:
        """Declare an input of a batch of `shape`."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, *shape]))
        return name

    def constant(self, values: NDArray[Any] | Sequence[int] | Sequence[float]) -> str:
        """Add an initialiser: integers as int64, all else as float32."""
        array = np.asarray(values)
        array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(array, name))
        return name

    def random(self, *shape: int, fan_in: int) -> str:
        """Add weights that keep the variance of what passes through them (He et al. 2015)."""
        values = self._random.standard_normal(shape) * np.sqrt(2.0 / fan_in)
        return self.constant(values.astype(np.float32))

    def dense(self, x: str, inputs: int, outputs: int, *, calm: int = 1) -> str:
        """Give x @ w + b over the last axis; `calm` divides the variance of the answer."""
        product = self.op("MatMul", x, self.random(inputs, outputs, fan_in=inputs * calm))
        return self.op("Add", product, self.random(outputs, fan_in=outputs * 100))

    def relu(self, x: str) -> str:
        return self.op("Relu", x)

    def finish(self, probabilities: str) -> bytes:
        """Give the file; the answer [batch, classes] is called `probabilities`."""
        self._nodes.append(helper.make_node("Identity", [probabilities], ["probabilities"]))
        output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [BATCH, None])
        graph = helper.make_graph(self._nodes, self._name, self._inputs, [output], self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        onnx.checker.check_model(model)
        return model.SerializeToString()

    # ---- causal convolution ----

    def to_layout(self, x: str) -> str:
        """Bring [batch, steps, channels] into the order in which this layout convolves."""
        if self._layout == "conv1d":
            return self.op("Transpose", x, perm=[0, 2, 1])
        order, axis = ([0, 2, 1], 2) if self._layout == "conv2d" else ([2, 0, 1], 0)
        return self.op("Unsqueeze", self.op("Transpose", x, perm=order), self.constant([axis]))

    def from_layout(self, x: str) -> str:
        """Bring a convolved tensor back to [batch, steps, channels]."""
        if self._layout == "conv1d":
            return self.op("Transpose", x, perm=[0, 2, 1])
        order, axis = ([0, 2, 1], 2) if self._layout == "conv2d" else ([1, 2, 0], 0)
        return self.op("Transpose", self.op("Squeeze", x, self.constant([axis])), perm=order)

    def conv(self, x: str, inputs: int, outputs: int, *, dilation: int = 1, taps: int = 3) -> str:
        """Convolve over time, seeing the past only; in this layout's order."""
        kernel = self._random.standard_normal((outputs, inputs, taps)) * np.sqrt(2.0 / (inputs * taps))
        reach = dilation * (taps - 1)
        shape: dict[str, Any]
        if self._layout == "conv1d":
            shape = {"kernel_shape": [taps], "dilations": [dilation], "pads": [reach, 0]}
        else:
            kernel = kernel[:, :, None, :]
            shape = {"kernel_shape": [1, taps], "dilations": [1, dilation], "pads": [0, reach, 0, 0]}
        weights, bias = self.constant(kernel), self.constant(self._random.normal(0, 0.1, outputs))
        return self.op("Conv", x, weights, bias, **shape)

    # ---- recurrence and attention, on [batch, steps, channels] ----

    def recurrent(self, kind: str, x: str, inputs: int, units: int) -> str:
        """Give the last hidden state [batch, units] of an LSTM or a GRU."""
        gates = {"GRU": 3, "LSTM": 4}[kind]
        first = self.op("Transpose", x, perm=[1, 0, 2])
        extra = {"linear_before_reset": 1} if kind == "GRU" else {}
        w = self.random(1, gates * units, inputs, fan_in=2 * inputs)
        r = self.random(1, gates * units, units, fan_in=2 * units)
        b = self.random(1, 2 * gates * units, fan_in=200)
        name = self.op(kind, first, w, r, b, outputs=2, hidden_size=units, **extra)
        return self.op("Squeeze", f"{name}_1", self.constant([0]))

    def attention_pool(self, x: str, channels: int) -> str:
        """Give one learned query's weighted mean over the steps [batch, channels]."""
        scores = self.op("MatMul", x, self.random(channels, 1, fan_in=channels))
        shares = self.op("Softmax", scores, axis=1)
        return self.op("ReduceSum", self.op("Mul", x, shares), self.constant([1]), keepdims=0)
