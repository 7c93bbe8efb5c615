"""Calibration: scores to probabilities that mean what they say.

Must not know models or features. Applied by inference.predictor and inference.sitting to what comes
out of a graph or a blend; fitted by training on validation rows.
"""

import numpy as np
import numpy.typing as npt

from inference.card import Calibration

SMALLEST = 1e-7
"""A probability of 0 counts as this much: its logarithm must stay finite."""

_INVERSE = (0.05, 20.0)
_STEPS, _HALVINGS, _CLOSE = 50, 20, 1e-9


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


def fit(p: npt.NDArray[np.floating], kind: npt.NDArray[np.integer]) -> Calibration:
    """Find temperature and biases that maximise the likelihood of the classes `kind` [n] (validation rows).

    Newton's method on the inverse temperature and K - 1 biases (the first is 0): the loss is convex in
    them. The inverse temperature is kept within 0.05 and 20, and a step that does not help is halved.
    """
    logs = np.log(np.maximum(p, SMALLEST)).astype(np.float64)
    classes = logs.shape[1]
    truth = np.eye(classes)[kind]
    free = np.zeros(classes)  # inverse temperature, then the biases of all classes but the first
    free[0] = 1.0
    loss, gradient, curve = _likelihood(free, logs, truth)
    for _ in range(_STEPS):
        step = np.linalg.solve(curve + 1e-9 * np.eye(classes), gradient)
        if np.abs(step).max() < _CLOSE:
            break
        for _ in range(_HALVINGS):
            tried = free - step
            tried[0] = np.clip(tried[0], *_INVERSE)
            found = _likelihood(tried, logs, truth)
            if found[0] <= loss:
                free, (loss, gradient, curve) = tried, found
                break
            step /= 2
        else:
            break
    return Calibration(float(1.0 / free[0]), (0.0, *free[1:].tolist()))


def _likelihood(
    free: npt.NDArray[np.float64], logs: npt.NDArray[np.float64], truth: npt.NDArray[np.float64]
) -> tuple[float, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Give mean log-loss, its gradient and its Hessian at the parameters `free` [K]."""
    scores = free[0] * logs
    scores[:, 1:] += free[1:]
    scores -= scores.max(axis=1, keepdims=True)
    total = np.log(np.exp(scores).sum(axis=1, keepdims=True))
    p = np.exp(scores - total)
    loss = float(-(truth * (scores - total)).sum(axis=1).mean())
    # Score k moves by logs[k] with the inverse temperature and by 1 with its own bias.
    moves = np.zeros((*logs.shape, len(free)))
    moves[:, :, 0] = logs
    for k in range(1, len(free)):
        moves[:, k, k] = 1.0
    mean = (p[:, :, None] * moves).sum(axis=1)
    gradient = ((p - truth)[:, :, None] * moves).sum(axis=1).mean(axis=0)
    spread = np.einsum("nk,nki,nkj->ij", p, moves, moves) / len(logs)
    return loss, gradient, spread - mean.T @ mean / len(logs)
