"""FT-Transformer: every column a token, tokens attend to each other (Gorishniy et al. 2021, section 3.3).

Must not know what the columns mean. Built by training.networks.build. It has no memory of bars: of a
window it sees the newest.
"""

import torch
from torch import Tensor, nn

from training.networks.attention import TokenAttention


class Gated(nn.Module):
    """The feed-forward half of a block, [n, tokens, size]: a rectified half gates the other (ReGLU)."""

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        hidden = size * 4 // 3
        self.norm = nn.LayerNorm(size)
        self.gate = nn.Linear(size, hidden)
        self.value = nn.Linear(size, hidden)
        self.out = nn.Linear(hidden, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.norm(x)
        return x + self.out(self.dropout(torch.relu(self.gate(seen)) * self.value(seen)))


class FtTransformer(nn.Module):
    """Summarise columns [n, columns] as [n, size], the token that stands for the answer.

    Each column's value scales a vector of its own and is moved by another; the answer's token is learned.
    """

    def __init__(self, columns: int, *, size: int, heads: int, blocks: int, dropout: float) -> None:
        super().__init__()
        bound = size**-0.5
        self.scale = nn.Parameter(torch.empty(columns, size).uniform_(-bound, bound))
        self.shift = nn.Parameter(torch.empty(columns, size).uniform_(-bound, bound))
        self.answer = nn.Parameter(torch.empty(1, 1, size).uniform_(-bound, bound))
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(TokenAttention(size, heads, dropout), Gated(size, dropout))
                for _ in range(blocks)
            )
        )
        self.norm = nn.LayerNorm(size)
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        columns = x.unsqueeze(2) * self.scale + self.shift
        tokens = torch.cat((self.answer.expand(x.shape[0], -1, -1), columns), dim=1)
        return torch.relu(self.norm(self.blocks(tokens)[:, 0]))
