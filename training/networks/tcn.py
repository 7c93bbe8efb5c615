"""Temporal convolutional network: causal, dilated, residual (Bai, Kolter, Koltun 2018, section 3).

Must not know what the columns mean. Built by training.networks.build, used by the hybrid, the sweep
detector and the tasks.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.networks.causal import CausalLayer, channels_first, steps_first
from training.networks.hyper import Hyper


class Dilated(nn.Module):
    """A stack of residual causal convolutions [n, width, 1, T] -> the same shape, one for each dilation.

    One convolution in a block, where the paper has two: at these windows depth comes from the dilations.
    Normalised by the batch, where the paper normalises weights, because that folds away in the graph.
    """

    def __init__(
        self, width: int, dilations: Sequence[int], *, taps: int = 3, dropout: float = 0.0, norm: bool = True
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            CausalLayer(width, width, taps=taps, dilation=dilation, dropout=dropout, norm=norm)
            for dilation in dilations
        )
        if not norm:
            # Without normalisation every block would add as much again as has come in: what is carried
            # through the stack would double each time, and fast rates would diverge.
            with torch.no_grad():
                for block in self.blocks:
                    block.conv.conv.weight.mul_(len(self.blocks) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = x + block(x)
        return x


class TemporalConv(nn.Module):
    """Run windows [n, T, C] through a stem and a dilated stack: [n, T, width], no step sees a later one."""

    def __init__(
        self,
        inputs: int,
        width: int,
        dilations: Sequence[int],
        *,
        taps: int = 3,
        dropout: float = 0.0,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.stem = CausalLayer(inputs, width, taps=taps, norm=norm)
        self.stack = Dilated(width, dilations, taps=taps, dropout=dropout, norm=norm)
        self.reach = (taps - 1) * (1 + sum(dilations))
        """Steps before its own that a step may see."""

    def forward(self, x: Tensor) -> Tensor:
        return steps_first(self.stack(self.stem(channels_first(x))))

    def newest(self, x: Tensor) -> Tensor:
        """Give the newest step of `forward` [n, 1, width] from the few steps that lead to it.

        Where dilations grow, each layer wants fewer steps of the one below. A batch that normalises
        learns from these steps alone, so it is for blocks that do not.
        """
        found, apart = channels_first(x), 1
        layers = [self.stem, *self.stack.blocks]
        for number, layer in enumerate(layers):
            wanted = math.gcd(*(later.conv.dilation for later in layers[number + 1 :]))  # 0: no later one
            every = wanted // apart or found.shape[-1]
            passed = layer(found, apart, every)
            kept = found[..., (found.shape[-1] - 1) % every :: every]
            found = passed if number == 0 else kept + passed
            apart = wanted
        return steps_first(found)


class Tcn(nn.Module):
    """Summarise windows [n, T, C] as [n, width]: the newest step, which sees `reach` steps before it."""

    def __init__(self, inputs: int, steps: int, hyper: Hyper) -> None:
        super().__init__()
        self.conv = TemporalConv(inputs, hyper.width, hyper.dilations, taps=hyper.taps, dropout=hyper.dropout)
        self.size = hyper.width

    def steps(self, x: Tensor) -> Tensor:
        """Give what each step sees [n, T, width], no step of a later one."""
        return self.conv(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.steps(x)[:, -1]
