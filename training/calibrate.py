"""Fitting a calibration on validation rows; inference.calibrate applies it.

Must not know models or features. Called by training.recipe, training.regime and training.ensemble.
"""

import numpy as np
import numpy.typing as npt

from inference.calibrate import SMALLEST
from inference.card import Calibration

Floats = npt.NDArray[np.float64]

MAX_TEMPERATURE = 10.0
"""Forecasts that validation does not bear out at all are flattened this much, never turned round."""
MIN_TEMPERATURE = 0.2
_FLATTEST, _STEEPEST = 1.0 / MAX_TEMPERATURE, 1.0 / MIN_TEMPERATURE
_STEPS = 50
_SETTLED = 1e-10


def fit(p: Floats, kind: npt.NDArray[np.int8], free: int) -> Calibration:
    """Fit temperature and the bias of class `free` to probabilities p [n, K] by log-loss.

    Newton's method on (1 / temperature, bias), in which the loss is convex. The other classes have no bias
    of their own: for a model of down, hold and up, `free` is hold, since which way the market went
    in a few weeks of validation is nothing to carry into the next ones.
    """
    logs = np.log(np.maximum(p, SMALLEST))
    rows = np.arange(len(kind))
    slope, bias = 1.0, 0.0
    for _ in range(_STEPS):
        scores = slope * logs
        scores[:, free] += bias
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        q = odds / odds.sum(axis=1, keepdims=True)
        mean = (q * logs).sum(axis=1)
        gradient = np.array([np.mean(mean - logs[rows, kind]), np.mean(q[:, free] - (kind == free))])
        own, cross = q[:, free], q[:, free] * (logs[:, free] - mean)
        curvature = np.array(
            [
                [np.mean((q * logs**2).sum(axis=1) - mean**2), np.mean(cross)],
                [np.mean(cross), np.mean(own * (1.0 - own))],
            ]
        )
        if (slope <= _FLATTEST and gradient[0] > 0) or (slope >= _STEEPEST and gradient[0] < 0):
            # The slope stays at its bound: a bias that made room for a step not taken would run away.
            step = np.array([0.0, gradient[1] / (curvature[1, 1] + 1e-9)])
        else:
            step = np.linalg.solve(curvature + 1e-9 * np.eye(2), gradient)
        step *= min(1.0, 1.0 / float(np.abs(step).max() + _SETTLED))
        slope = float(np.clip(slope - step[0], _FLATTEST, _STEEPEST))
        bias -= float(step[1])
        if float(np.abs(step).max()) < _SETTLED:
            break
    return Calibration(1.0 / slope, tuple(bias if k == free else 0.0 for k in range(p.shape[1])))
