"""Hybrid of one timeframe: convolutions, a recurrent layer and a dilated stack side by side, then attention.

Must not know what the columns mean. Built by training.networks.build, a branch of the fusion.
"""

import torch
from torch import Tensor, nn

from training.networks.attention import AttentionPool
from training.networks.causal import CausalLayer, channels_first, steps_first
from training.networks.hyper import Hyper
from training.networks.recurrent import Recurrent
from training.networks.tcn import Dilated


class Hybrid(nn.Module):
    """Summarise windows [n, T, C] as [n, 2 x width + units].

    A causal convolution gives short shapes; over it run the dilated stack and the recurrent layer. The
    summary is the stack's newest step, its mean over time by a learned query, and the memory.
    """

    def __init__(self, inputs: int, steps: int, hyper: Hyper) -> None:
        super().__init__()
        self.stem = CausalLayer(inputs, hyper.width, taps=hyper.taps)
        self.stack = Dilated(hyper.width, hyper.dilations, taps=hyper.taps, dropout=hyper.dropout)
        self.recurrent = Recurrent(hyper.recurrent, hyper.width, hyper.units, layers=hyper.layers)
        self.pool = AttentionPool(hyper.width)
        self.dropout = nn.Dropout(hyper.dropout)
        self.size = 2 * hyper.width + hyper.units

    def steps(self, x: Tensor) -> Tensor:
        """Give what each step sees before the pooling [n, T, width + units], no step of a later one."""
        shapes = self.stem(channels_first(x))
        return torch.cat((steps_first(self.stack(shapes)), self.recurrent(steps_first(shapes))), dim=2)

    def forward(self, x: Tensor) -> Tensor:
        shapes = self.stem(channels_first(x))
        deep = steps_first(self.stack(shapes))
        memory = self.recurrent(steps_first(shapes))[:, -1]
        return self.dropout(torch.cat((deep[:, -1], self.pool(deep), memory), dim=1))
