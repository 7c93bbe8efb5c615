"""Fitting plain layers on rows of columns: what a perceptron needs of torch.

Must not know panels' windows or files. Called by training.members.perceptron.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from training.fit import device
from training.fit.loop import Fit, learn
from training.fit.resident import Rows, Taught
from training.fit.terms import FitTerms
from training.members.graph import Layer
from training.members.member import Lesson, Say
from training.members.seen import Seen
from training.networks.network import DIRECTION

ROWS = "rows"
"""The one tensor [n, columns]."""


class Asked(Protocol):
    """What a maker of plain layers says about the fit."""

    @property
    def hidden(self) -> tuple[int, ...]: ...

    @property
    def dropout(self) -> float: ...

    @property
    def terms(self) -> FitTerms: ...

    @property
    def epochs(self) -> int: ...

    @property
    def name(self) -> str: ...


class Plain(nn.Module):
    """Layers with rectifiers and dropout between them."""

    def __init__(self, sizes: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        found = tensors[ROWS]
        for layer in self.layers[:-1]:
            found = self.dropout(torch.relu(layer(found)))
        return {DIRECTION: self.layers[-1](found)}


def fitted_layers(
    asked: Asked, view: Seen, lesson: Lesson, validation: Lesson, *, classes: int, seed: int, say: Say
) -> tuple[tuple[Layer, ...], int]:
    """Fit on the newest columns; give weights [in, out] and biases of each layer, and the best epoch."""
    where = device.found(asked.terms.device)
    with device.repeatable(seed, where):
        columns = sum(map(len, view.kept.values()))
        built = Plain((columns, *asked.hidden, classes), asked.dropout).to(where)
        fit = Fit(asked.name, asked.terms, seed, where, stop_at=asked.epochs)
        judged = None if asked.epochs else _taught(validation, view, where)
        learned = learn(built, _taught(lesson, view, where), judged, fit, say)
    layers = tuple(
        (layer.weight.detach().cpu().double().numpy().T, layer.bias.detach().cpu().double().numpy())
        for layer in built.layers
    )
    return layers, learned.best_epoch


def _taught(lesson: Lesson, view: Seen, where: torch.device) -> Taught:
    x = torch.from_numpy(np.ascontiguousarray(view.newest(lesson.panel))).to(where)
    return Taught(lesson, Rows({ROWS: x}), where)
