"""Quantiles of each row of a table, of the numbers that are known in it.

Must not know what the numbers are. Called by training.volume and training.targets.regimes. numpy's own
nanquantile calls Python once a row, which is most of the time that a volume label takes.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def row_quantile(values: Floats, share: float, fewest: int = 1) -> Floats:
    """Give each row's quantile [rows] of `values` [rows, K], linear between ranks; NaN below `fewest` known.

    The same doubles as numpy.nanquantile gives.
    """
    ordered = np.sort(values, axis=1)  # NaN last
    known = np.isfinite(values).sum(axis=1)
    enough = known >= max(fewest, 1)
    rank = share * (known - 1.0)
    below = np.where(enough, np.floor(rank), 0).astype(np.int64)
    above = np.where(enough, np.minimum(below + 1, known - 1), 0)
    rows = np.arange(len(values))
    low, high, part = ordered[rows, below], ordered[rows, above], rank - below
    # From the nearer end, as numpy does, so that the last digit is the same.
    found = np.where(part >= 0.5, high - (high - low) * (1.0 - part), low + (high - low) * part)
    return np.where(enough, found, np.nan)
