"""A recurrent layer written as one node of ONNX, so that the exporter need not trace it step by step.

Must not know networks. Called by training.networks.onnx. Traced, a layer costs seconds for every window,
the more the longer it is; the graph that comes out is the same node with its weights reordered in front.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

ORDER = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}
"""Places of torch's gates in ONNX's order: input, output, forget, cell; update, reset, hidden."""
EXTRA: dict[str, dict[str, int]] = {"LSTM": {}, "GRU": {"linear_before_reset": 1}}
OPSET = 14


class Layer(nn.Module):
    """One layer of an nn.LSTM or nn.GRU: [T, n, inputs] -> [T, n, units]. Only an exporter can run it."""

    def __init__(self, cell: nn.Module, number: int) -> None:
        super().__init__()
        self.kind = cell.mode
        self.units = cell.hidden_size
        ordered = _ordered(self.kind)
        with torch.no_grad():
            w, r, *b = (
                ordered(getattr(cell, f"{part}_l{number}"))
                for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            self.register_buffer("w", w.unsqueeze(0).clone())
            self.register_buffer("r", r.unsqueeze(0).clone())
            self.register_buffer("b", torch.cat(b).unsqueeze(0).clone())

    def forward(self, x: Tensor) -> Tensor:
        steps, rows = x.shape[0], x.shape[1]
        found, *_ = torch.onnx.ops.symbolic_multi_out(
            self.kind,
            (x, self.w, self.r, self.b),
            {"hidden_size": self.units} | EXTRA[self.kind],
            dtypes=(torch.float32,),
            shapes=((steps, 1, rows, self.units),),
            version=OPSET,
        )
        return found.squeeze(1)


class Graphed(nn.Module):
    """The layers of an nn.LSTM or nn.GRU with the batch first: [n, T, inputs] -> [n, T, units]."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(Layer(cell, number) for number in range(cell.num_layers)))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.transpose(0, 1)).transpose(0, 1)


def _ordered(kind: str) -> Callable[[Tensor], Tensor]:
    def reorder(weights: Tensor) -> Tensor:
        gates = weights.chunk(len(ORDER[kind]))
        return torch.cat([gates[k] for k in ORDER[kind]])

    return reorder
