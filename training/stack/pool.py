"""The logistic stacker: a logarithmic opinion pool with weights that cannot be negative.

Must not know what is pooled. Called by training.stack.stackers. Scores are sums of log probabilities, so a
source's weight is what an increase of its log-odds adds (Genest and Zidek, Statistical Science 1986,
section 3); a negative weight would be a bet that a source is wrong, which a stacker finds by chance first.
"""

from typing import NamedTuple

import numpy as np

from training.panel.panel import Floats, Kinds

RIDGE = 1e-3
"""Pulls weights of single sources to 0, that is to the blend, and the blend's own to 1."""


class Pool(NamedTuple):
    """softmax(sum of `weights` [S] x logs + extra @ `slopes` [E, K] + `bias` [K])."""

    weights: Floats
    slopes: Floats
    bias: Floats
    center: Floats
    scale: Floats

    def chances(self, logs: Floats, extra: Floats) -> Floats:
        """Give probabilities [n, K] of log chances [n, S, K] and further columns [n, E]."""
        scores = np.einsum("nsk,s->nk", logs, self.weights) + self.bias
        scores += ((extra - self.center) / self.scale) @ self.slopes
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        found: Floats = odds / odds.sum(axis=1, keepdims=True)
        return found


def fit(logs: Floats, extra: Floats, kind: Kinds) -> Pool:
    """Fit by log-loss; the first source starts with weight 1 and the others with 0."""
    from scipy.optimize import minimize  # noqa: PLC0415

    count, sources, classes = logs.shape
    center, scale = extra.mean(axis=0), np.maximum(extra.std(axis=0), 1e-6)
    scaled = (extra - center) / scale
    truth = np.eye(classes)[kind]
    wanted = np.append(1.0, np.zeros(sources - 1))
    free = (scaled.shape[1] + 1) * (classes - 1)

    def unpacked(at: Floats) -> tuple[Floats, Floats, Floats]:
        # Scores matter by their differences: the first class has no bias and no slopes of its own.
        rest = np.zeros((scaled.shape[1] + 1, classes))
        rest[:, 1:] = at[sources:].reshape(-1, classes - 1)
        return at[:sources], rest[:-1], rest[-1]

    def loss(at: Floats) -> tuple[float, Floats]:
        weights, slopes, bias = unpacked(at)
        scores = np.einsum("nsk,s->nk", logs, weights) + scaled @ slopes + bias
        scores -= scores.max(axis=1, keepdims=True)
        total = np.log(np.exp(scores).sum(axis=1, keepdims=True))
        p = np.exp(scores - total)
        wrong = (p - truth) / count
        pull = np.concatenate([weights - wanted, at[sources:]])
        value = float(((total - scores) * truth).sum() / count + 0.5 * RIDGE * (pull**2).sum())
        rest = np.concatenate([scaled.T @ wrong, wrong.sum(axis=0, keepdims=True)])[:, 1:]
        slope = np.concatenate([np.einsum("nsk,nk->s", logs, wrong), rest.ravel()])
        return value, slope + RIDGE * pull

    bounds = [(0.0, None)] * sources + [(None, None)] * free
    found = minimize(loss, np.append(wanted, np.zeros(free)), jac=True, method="L-BFGS-B", bounds=bounds)
    weights, slopes, bias = unpacked(found.x)
    return Pool(weights, slopes, bias, center, scale)
