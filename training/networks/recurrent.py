"""Recurrent networks, LSTM and GRU: a memory that is carried from bar to bar.

Must not know what the columns mean. Built by training.networks.build, used by the hybrid and the tasks.
"""

import torch
from torch import Tensor, nn

from training.networks.hyper import Hyper

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}


class Recurrent(nn.Module):
    """Run windows [n, T, C] through a recurrent layer: [n, T, units], step by step.

    `memory` (steps) biases the gates toward keeping what they have for about that long, spread over the
    units (Tallec and Ollivier 2018, Can recurrent neural networks warp time?, section 2); 1 leaves them
    open.
    """

    def __init__(self, kind: str, inputs: int, units: int, *, layers: int = 1, memory: int = 1) -> None:
        super().__init__()
        self.cell = CELLS[kind](inputs, units, layers, batch_first=True)
        if memory > 1:
            self._remember(kind, units, memory)

    def _remember(self, kind: str, units: int, memory: int) -> None:
        spans = torch.logspace(0.0, 1.0, units, base=float(memory)) + 1e-3
        keep = torch.log(spans)
        with torch.no_grad():
            for name, values in self.cell.named_parameters():
                if not name.startswith("bias"):
                    continue
                values.zero_()
                if name.startswith("bias_ih") and kind == "lstm":
                    values[:units], values[units : 2 * units] = -keep, keep  # input gate, forget gate
                elif name.startswith("bias_ih"):
                    values[units : 2 * units] = keep  # the update gate: near 1 keeps

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x)[0]


class Memory(nn.Module):
    """Summarise windows [n, T, C] as [n, units]: what is remembered at the newest bar."""

    def __init__(self, kind: str, inputs: int, hyper: Hyper) -> None:
        super().__init__()
        self.recurrent = Recurrent(kind, inputs, hyper.units, layers=hyper.layers)
        self.dropout = nn.Dropout(hyper.dropout)
        self.size = hyper.units

    def steps(self, x: Tensor) -> Tensor:
        """Give what is remembered at each step [n, T, units]."""
        return self.recurrent(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.steps(x)[:, -1])


class Lstm(Memory):
    """A Memory of LSTM cells."""

    def __init__(self, inputs: int, steps: int, hyper: Hyper) -> None:
        super().__init__("lstm", inputs, hyper)


class Gru(Memory):
    """A Memory of GRU cells."""

    def __init__(self, inputs: int, steps: int, hyper: Hyper) -> None:
        super().__init__("gru", inputs, hyper)
