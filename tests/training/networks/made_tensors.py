"""Shapes and made-up scaled rows that the tests of the networks share."""

import numpy as np
import torch

from training.networks.build import TABULAR

WINDOWED = {"x": (4,), "15m": (24, 6)}
FUSED = {"x": (4,), "15m": (24, 6), "1h": (16, 6)}
TABLE = {"x": (9,)}
CLIP = 5.0


def shapes_of(name):
    """Small shapes that suit a network: a window with a flat tensor, two windows, or columns alone."""
    return FUSED if name == "fusion" else TABLE if name in TABULAR else WINDOWED


def rows(shapes, count, seed=1):
    random = np.random.default_rng(seed)
    return {
        name: random.standard_normal((count, *shape), dtype=np.float32).clip(-CLIP, CLIP)
        for name, shape in shapes.items()
    }


def torched(tensors):
    return {name: torch.from_numpy(x) for name, x in tensors.items()}
