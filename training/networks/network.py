"""A whole network: tensors by name in, answers by head out.

Must not know scaling, labels or fitting. Built by training.networks.build; fitted by training.fit,
exported by training.networks.onnx.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

DIRECTION = "direction"
HEADS: Mapping[str, int] = {"magnitude": 1, "volatility": 3, "volume": 2}
"""Answers beside the direction and how many numbers each has; one number is a size, more are classes."""


class Chosen(nn.Module):
    """Keep some columns of the last axis, so that a network may ignore what the tensor still has."""

    def __init__(self, columns: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("columns", torch.tensor(list(columns), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        return torch.index_select(x, x.dim() - 1, self.columns)


class Apart(nn.Module):
    """Summarise each window [n, T, C] by a branch of its own and put the summaries side by side."""

    def __init__(self, branches: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.names = tuple(branches)
        self.branches = nn.ModuleList(branches.values())
        self.size = sum(branch.size for branch in branches.values())

    def forward(self, tensors: dict[str, Tensor]) -> Tensor:
        return torch.cat(
            [branch(tensors[name]) for name, branch in zip(self.names, self.branches, strict=True)], dim=1
        )


class Columns(nn.Module):
    """Hand the newest bar of every window and all flat tensors to a network of columns [n, K]."""

    def __init__(self, windows: Sequence[str], flats: Sequence[str], body: nn.Module) -> None:
        super().__init__()
        self.windows, self.flats = tuple(windows), tuple(flats)
        self.body = body
        self.size = body.size

    def forward(self, tensors: dict[str, Tensor]) -> Tensor:
        parts = [tensors[name][:, -1] for name in self.windows] + [tensors[name] for name in self.flats]
        return self.body(torch.cat(parts, dim=1))


class Network(nn.Module):
    """Answer rows of scaled tensors.

    `shapes` are those of the tensors without the batch, `kept` the columns that are used, `body` gives a
    summary [n, size] of them, to which the `joined` flat tensors are put as they are. Weights come from
    torch's generator: seed it before building.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        body: nn.Module,
        *,
        classes: int,
        heads: Sequence[str],
        hidden: int,
        dropout: float,
        kept: Mapping[str, Sequence[int]],
        joined: Sequence[str],
    ) -> None:
        super().__init__()
        self.shapes = dict(shapes)
        self.names = tuple(shapes)
        self.joined = tuple(joined)
        self.choices = nn.ModuleList(
            Chosen(kept[name]) if name in kept else nn.Identity() for name in self.names
        )
        self.body = body
        beside = sum(len(kept[name]) if name in kept else shapes[name][-1] for name in self.joined)
        self.hidden = nn.Sequential(nn.Linear(body.size + beside, hidden), nn.ReLU(), nn.Dropout(dropout))
        sizes = {DIRECTION: classes} | {name: HEADS[name] for name in heads}
        self.heads = tuple(sizes)
        self.answers = nn.ModuleList(nn.Linear(hidden, size) for size in sizes.values())

    def forward(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Give logits by head: `direction` [n, classes], `magnitude` [n], the others [n, classes].

        Tensors are float32, [n, T, C] or [n, C], by name as `shapes` has them.
        """
        chosen = {name: choice(tensors[name]) for name, choice in zip(self.names, self.choices, strict=True)}
        summary = torch.cat((self.body(chosen), *(chosen[name] for name in self.joined)), dim=1)
        hidden = self.hidden(summary)
        found = {name: answer(hidden) for name, answer in zip(self.heads, self.answers, strict=True)}
        return {name: x.squeeze(1) if HEADS.get(name) == 1 else x for name, x in found.items()}
