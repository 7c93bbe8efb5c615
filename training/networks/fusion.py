"""Fusion of several timeframes: a hybrid branch for each, whose summaries attend to each other.

Must not know what timeframes mean to a market. Built by training.networks.build.
"""

from collections.abc import Mapping

import msgspec
import torch
from torch import Tensor, nn

from training.networks.attention import TokenAttention
from training.networks.hybrid import Hybrid
from training.networks.hyper import Hyper


class Fusion(nn.Module):
    """Summarise windows by name, each [n, T, C], as [n, windows x token].

    A branch's summary becomes a token with a learned mark of its timeframe; all tokens attend to each
    other, so that what a fast branch saw can be weighed by what a slow one knows.
    """

    def __init__(self, windows: Mapping[str, tuple[int, int]], hyper: Hyper) -> None:
        super().__init__()
        self.names = tuple(windows)
        # Several memories of three quarters: whole ones would take the shipped windows beyond 2.5 MFLOP.
        hyper = msgspec.structs.replace(hyper, units=max(1, hyper.units * 3 // 4))
        self.branches = nn.ModuleList(Hybrid(columns, steps, hyper) for steps, columns in windows.values())
        # Its bias is the mark of the timeframe: each branch has a projection of its own.
        self.tokens = nn.ModuleList(nn.Linear(branch.size, hyper.token) for branch in self.branches)
        self.attention = TokenAttention(hyper.token, hyper.heads, hyper.dropout)
        self.size = len(self.names) * hyper.token

    def forward(self, tensors: dict[str, Tensor]) -> Tensor:
        tokens = [
            token(branch(tensors[name]))
            for name, branch, token in zip(self.names, self.branches, self.tokens, strict=True)
        ]
        return self.attention(torch.stack(tokens, dim=1)).flatten(1)
