"""Detector of liquidity sweeps and pullbacks: a small dilated stack and a recurrent layer.

Must not know how a sweep is labelled (training.targets). Built by training.networks.build.
"""

import torch
from torch import Tensor, nn

from training.networks.hyper import Hyper
from training.networks.recurrent import Recurrent
from training.networks.tcn import TemporalConv

DEEP = 3
"""Blocks at most: a sweep and the return from it take a few bars."""


class Sweep(nn.Module):
    """Summarise windows [n, T, C] as [n, 2 x width + units].

    A sweep is one bar that reaches beyond a level and comes back: the strongest step of each channel
    keeps it wherever it was, the newest step and the memory say how long ago and what came after.
    """

    def __init__(self, inputs: int, steps: int, hyper: Hyper) -> None:
        super().__init__()
        self.conv = TemporalConv(
            inputs, hyper.width, hyper.dilations[:DEEP], taps=hyper.taps, dropout=hyper.dropout
        )
        self.recurrent = Recurrent(hyper.recurrent, hyper.width, hyper.units, layers=hyper.layers)
        self.size = 2 * hyper.width + hyper.units

    def steps(self, x: Tensor) -> Tensor:
        """Give what each step sees before the pooling [n, T, width + units], no step of a later one."""
        deep = self.conv(x)
        return torch.cat((deep, self.recurrent(deep)), dim=2)

    def forward(self, x: Tensor) -> Tensor:
        deep = self.conv(x)
        return torch.cat((deep[:, -1], deep.amax(dim=1), self.recurrent(deep)[:, -1]), dim=1)
