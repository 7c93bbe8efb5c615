"""What a model sees of a panel's rows: which columns, and how they are scaled, fitted on training rows alone.

Must not know models. Called by every maker. A tensor keeps its shape on the card; a column that says
nothing, or nothing new, is left out inside the graph.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from inference.artifact import scaled
from inference.card import RobustScaler
from inference.features.spec import FLAT
from training import normalise
from training.panel.build import kept_columns
from training.panel.panel import Ints, Matrix, Panel

_SAMPLE = 50_000


@dataclass(frozen=True)
class Seen:
    """Columns that are kept of each tensor, the tensors' scalers and their shapes without the batch.

    Without `scalers` columns come as they are.
    """

    kept: Mapping[str, tuple[int, ...]]
    scalers: Mapping[str, RobustScaler]
    shapes: Mapping[str, tuple[int, ...]]

    def newest(self, panel: Panel) -> Matrix:
        """Give the kept columns of the newest bars [n, K], scaled."""
        every = np.arange(len(panel))
        parts = [
            scaled(self.scalers.get(name), newest(panel, name, every))[:, columns]
            for name, columns in self.kept.items()
        ]
        return np.concatenate(parts, axis=1)

    def tensors(self, panel: Panel, rows: Ints) -> dict[str, Matrix]:
        """Give the scaled tensors of some rows, as the graph is fed."""
        whole = panel.tensors(rows)
        return {name: scaled(self.scalers.get(name), whole[name]) for name in self.shapes}


def seen(panel: Panel, *, scale: bool = True) -> Seen:
    """Choose columns and scale on training rows."""
    kept = kept_columns(panel)
    rows = np.arange(0, len(panel), max(1, len(panel) // _SAMPLE))
    scalers = {name: normalise.fit(newest(panel, name, rows)) for name in kept} if scale else {}
    return Seen(kept, scalers, {name: panel.shapes[name] for name in kept})


def newest(panel: Panel, tensor: str, rows: Ints) -> Matrix:
    """Give one tensor's columns [n, C] at the newest bar, unscaled."""
    if tensor in panel.blocks:
        return panel.blocks[tensor].newest(rows)
    if tensor == FLAT:
        assert panel.flat is not None
        return panel.flat[rows]
    return panel.beside[tensor][rows]
