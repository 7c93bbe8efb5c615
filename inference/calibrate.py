"""Calibration: scores to probabilities that mean what they say.

Must not know models or features. Applied by inference.artifact and inference.sitting to what comes
out of a graph or a blend; fitted by training on validation rows.
"""

import numpy as np
import numpy.typing as npt

from inference.card import Calibration

SMALLEST = 1e-7
"""A probability of 0 counts as this much: its logarithm must stay finite."""


def apply(calibration: Calibration | None, p: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Give softmax(log p / temperature + bias) for p [n, K]; without a calibration p as it is.

    A row that is not finite stays so: it is for the sanity gates to say that.
    """
    if calibration is None:
        return p.astype(np.float32, copy=False)
    scores = np.log(np.maximum(p, SMALLEST)) / calibration.temperature + np.array(calibration.bias)
    scores -= scores.max(axis=1, keepdims=True)
    odds = np.exp(scores)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
