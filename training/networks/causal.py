"""Convolution over time that sees the past only: the brick of every network with a memory of bars.

Must not know what is convolved. Called by the modules beside this one and by training.tasks. Time is
the last of four axes, [n, channels, 1, steps]: the layout in which ONNX Runtime convolves fastest.
"""

from torch import Tensor, nn
from torch.nn import functional


class CausalConv(nn.Module):
    """Convolve [n, inputs, 1, T] to [n, outputs, 1, T]; a step sees itself and `reach` steps before it.

    Where few steps are wanted: `x` may hold each `apart`-th step alone, and each `every`-th of those is
    given; both count back from the newest. `apart` divides the dilation.
    """

    def __init__(self, inputs: int, outputs: int, *, taps: int = 3, dilation: int = 1) -> None:
        super().__init__()
        self.reach, self.dilation = (taps - 1) * dilation, dilation
        self.conv = nn.Conv2d(inputs, outputs, (1, taps), dilation=(1, dilation))
        # For what a rectifier follows; PyTorch's own default shrinks what passes through a deep stack.
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor, apart: int = 1, every: int = 1) -> Tensor:
        if apart == every == 1:
            return self.conv(functional.pad(x, (self.reach, 0)))
        padded = functional.pad(x, (self.reach // apart, 0))[..., (x.shape[-1] - 1) % every :]
        dilation = (1, self.dilation // apart)
        return functional.conv2d(padded, self.conv.weight, self.conv.bias, (1, every), dilation=dilation)


class CausalLayer(nn.Module):
    """Convolve, normalise by the batch, rectify, drop out; shapes as CausalConv.

    Normalisation follows the convolution at once, so that in the exported graph it is part of the
    weights and costs nothing. It is the batch's, never the window's: over the window it would tell an
    early step of later ones.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        taps: int = 3,
        dilation: int = 1,
        dropout: float = 0.0,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.conv = CausalConv(inputs, outputs, taps=taps, dilation=dilation)
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, apart: int = 1, every: int = 1) -> Tensor:
        return self.dropout(functional.relu(self.norm(self.conv(x, apart, every))))


def channels_first(x: Tensor) -> Tensor:
    """Bring windows [n, T, C] into the layout of convolution [n, C, 1, T]."""
    return x.transpose(1, 2).unsqueeze(2)


def steps_first(x: Tensor) -> Tensor:
    """Bring what was convolved [n, C, 1, T] back to [n, T, C]."""
    return x.squeeze(2).transpose(1, 2)
