"""Rows on the device that learns: matrices once, windows cut out of them batch by batch.

Must not know networks or labels' meaning. Called by training.fit.loop and training.members.network. Nothing
is made per sample: a batch is one gather for each tensor, whatever its rows.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from inference.artifact import scaled
from training.members.member import Lesson
from training.members.seen import Seen, newest
from training.panel.panel import Panel, Windows


class Batched(Protocol):
    """Rows that can be asked for by number."""

    def __len__(self) -> int: ...

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """Give the tensors of some rows (int64, on the device)."""


class Rows:
    """Plain tensors [n, ...] that lie on a device already."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = dict(tensors)

    def __len__(self) -> int:
        return len(next(iter(self._tensors.values())))

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """Give some rows."""
        return {name: values.index_select(0, rows) for name, values in self._tensors.items()}


class Resident:
    """The tensors of a panel's rows on `device`, scaled as the artifact will scale them."""

    def __init__(self, panel: Panel, seen: Seen, device: torch.device) -> None:
        self._count = len(panel)
        self._windows: dict[str, tuple[Tensor, Tensor, tuple[int, int]]] = {}
        self._plain: dict[str, Tensor] = {}
        for name in seen.shapes:
            scaler = seen.scalers.get(name)
            if name in panel.blocks:
                matrix, first = _reach(panel.blocks[name])
                slots = torch.from_numpy(np.ascontiguousarray(scaled(scaler, matrix))).to(device)
                # Overlapping windows as rows of one flat view: a window is a single stretch of memory.
                length, width = panel.blocks[name].window, matrix.shape[1]
                views = slots.flatten().unfold(0, length * width, width)
                self._windows[name] = views, torch.from_numpy(first).to(device), (length, width)
            else:
                rows = scaled(scaler, newest(panel, name, np.arange(len(panel))))
                self._plain[name] = torch.from_numpy(np.ascontiguousarray(rows)).to(device)

    def __len__(self) -> int:
        return self._count

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """Give the tensors [n, window, C] and [n, C] of some rows (int64, on the device)."""
        found = {name: values.index_select(0, rows) for name, values in self._plain.items()}
        for name, (views, first, shape) in self._windows.items():
            found[name] = views.index_select(0, first.index_select(0, rows)).unflatten(1, shape)
        return found


class Taught:
    """A lesson on a device: its rows, classes, weights, and the answers of other heads."""

    def __init__(self, lesson: Lesson, rows: Batched, device: torch.device) -> None:
        self.rows = rows
        self.kind = torch.from_numpy(lesson.kind.astype(np.int64)).to(device)
        self.weight = torch.from_numpy(lesson.weight.astype(np.float32)).to(device)
        self.beside: Mapping[str, Tensor] = {
            name: torch.from_numpy(values.astype(np.float32 if values.dtype.kind == "f" else np.int64)).to(
                device
            )
            for name, values in lesson.beside.items()
        }

    def __len__(self) -> int:
        return len(self.rows)


def _reach(block: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Give the slots that the rows' windows reach, and where in them each window begins."""
    if not len(block.at):
        return np.zeros((block.window, block.matrix.shape[1]), np.float32), block.at
    first = block.at - block.window + 1
    start, stop = int(first.min()), int(block.at.max()) + 1
    return np.asarray(block.matrix[start:stop]), first - start
