"""Convolutional network: shapes of a few bars, wherever in the window they stand.

Must not know what the columns mean. Built by training.networks.build.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from training.networks.causal import CausalLayer, channels_first, steps_first
from training.networks.hyper import Hyper

LAYERS = 3


class Cnn(nn.Module):
    """Summarise windows [n, T, C] as [n, 2 x width]: the newest step, and the strongest of each channel."""

    def __init__(self, inputs: int, steps: int, hyper: Hyper) -> None:
        super().__init__()
        sizes = (inputs, *[hyper.width] * LAYERS)
        self.layers = nn.Sequential(
            *(
                CausalLayer(before, after, taps=hyper.taps, dropout=hyper.dropout)
                for before, after in pairwise(sizes)
            )
        )
        self.size = 2 * hyper.width

    def steps(self, x: Tensor) -> Tensor:
        """Give what each step sees [n, T, width], no step of a later one."""
        return steps_first(self.layers(channels_first(x)))

    def forward(self, x: Tensor) -> Tensor:
        seen = self.steps(x)
        return torch.cat((seen[:, -1], seen.amax(dim=1)), dim=1)
