"""Robust scaling fitted on training rows: medians and quartiles, which no single crash can move.

Must not know what a column means. Called by training.recipe; inference.artifact applies the result.
"""

import numpy as np
import numpy.typing as npt

from inference.card import RobustScaler

CLIP = 8.0
"""In scaled units, eight deviations of a normal column: beyond it more of the same says no more."""
_QUARTILES_APART = 1.349
"""Distance of the quartiles of a standard normal: it makes `scale` a deviation."""
_LEAST = 1e-9
"""Columns are ratios: what varies less than this is rounding."""


def fit(tensor: npt.NDArray[np.float32], clip: float = CLIP) -> RobustScaler:
    """Fit on the training rows of one tensor [n, ..., columns].

    Where the quartiles meet (a flag), the deviation stands in for them, and 1 for a constant column.
    """
    rows = tensor.reshape(-1, tensor.shape[-1]).astype(np.float64)
    first, center, third = np.quantile(rows, (0.25, 0.5, 0.75), axis=0)
    scale = (third - first) / _QUARTILES_APART
    deviation = rows.std(axis=0)
    scale = np.where(scale > _LEAST, scale, np.where(deviation > _LEAST, deviation, 1.0))
    return RobustScaler(_as_float32(center), _as_float32(scale), clip)


def _as_float32(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """Give float32 values with their shortest text, as on the card."""
    return tuple(float(str(value)) for value in values.astype(np.float32))
