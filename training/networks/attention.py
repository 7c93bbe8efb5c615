"""Attention: over time with learned queries, and between tokens with each other.

Must not know what steps or tokens stand for. Called by the networks beside this one.
"""

import torch
from torch import Tensor, nn

from training.networks.causal import CausalLayer, channels_first, steps_first
from training.networks.hyper import Hyper


class AttentionPool(nn.Module):
    """Give for steps [n, T, size] each learned query's weighted mean over time, [n, queries x size]."""

    def __init__(self, size: int, queries: int = 1) -> None:
        super().__init__()
        # No bias: the same number at every step, the softmax would not see it and it would not learn.
        self.score = nn.Linear(size, queries, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        shares = torch.softmax(self.score(x), dim=1)
        return (shares.transpose(1, 2) @ x).flatten(1)


class TokenAttention(nn.Module):
    """Let tokens [n, tokens, size] attend to each other; each keeps itself and adds what it found.

    Scaled dot products (Vaswani et al. 2017, section 3.2) on normalised tokens.
    """

    def __init__(self, size: int, heads: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(size)
        self.query = nn.Linear(size, size)
        # A bias on the keys moves all of one query's scores alike, which the softmax takes out again.
        self.key = nn.Linear(size, size, bias=False)
        self.value = nn.Linear(size, size)
        self.out = nn.Linear(size, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        tokens, size = x.shape[1], x.shape[2]
        seen = self.norm(x)

        def split(part: Tensor) -> Tensor:
            return part.reshape(-1, tokens, self.heads, size // self.heads).transpose(1, 2)

        query, key, value = split(self.query(seen)), split(self.key(seen)), split(self.value(seen))
        scores = query @ key.transpose(2, 3) * (size // self.heads) ** -0.5
        mixed = (torch.softmax(scores, dim=3) @ value).transpose(1, 2).reshape(-1, tokens, size)
        return x + self.dropout(self.out(mixed))


class Attention(nn.Module):
    """Summarise windows [n, T, C] as [n, queries x width]: looked at through learned queries.

    A short convolution sees each bar with its neighbours; a learned place is added, since a weighted
    mean alone would not know old from new.
    """

    def __init__(self, inputs: int, steps: int, hyper: Hyper) -> None:
        super().__init__()
        self.stem = CausalLayer(inputs, hyper.width, taps=hyper.taps)
        self.place = nn.Parameter(torch.randn(steps, hyper.width) * 0.1)
        self.pool = AttentionPool(hyper.width, hyper.queries)
        self.dropout = nn.Dropout(hyper.dropout)
        self.size = hyper.queries * hyper.width

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.pool(steps_first(self.stem(channels_first(x))) + self.place))
