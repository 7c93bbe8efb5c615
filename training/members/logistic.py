"""Multinomial logistic regression on the newest bars' columns.

Must not know files or money. Called by recipes as a baseline beside every network, and by the stackers.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inference.card import RobustScaler
from training.members import graph
from training.members.member import Fitted, Lesson, Say, silent
from training.members.seen import Seen, seen
from training.panel.panel import Floats, Panel


@dataclass(frozen=True)
class LogisticMaker:
    """`penalty` is the weight of half the squared coefficients beside the mean log loss of a row."""

    penalty: float = 1e-2
    max_steps: int = 200
    called: str = "logistic"

    @property
    def name(self) -> str:
        return self.called

    def fit(
        self, lesson: Lesson, validation: Lesson, *, classes: int, seed: int, say: Say = silent
    ) -> Fitted:
        """Fit on rows scaled by their own medians; `validation` is not looked at."""
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

        one_thread = importlib.import_module("threadpoolctl").threadpool_limits  # it has no types

        view = seen(lesson.panel)
        x = view.newest(lesson.panel).astype(np.float64)
        strength = 1.0 / (self.penalty * len(lesson))
        # tol asks for small gradients of the mean loss: more would be digits that the rows do not hold.
        simple = LogisticRegression(C=strength, max_iter=self.max_steps, tol=1e-5)
        with one_thread(1):
            simple.fit(x, lesson.kind, sample_weight=lesson.weight)
        weights, biases = _softmax_form(simple.coef_, simple.intercept_, simple.classes_, classes)
        return Logistic(view, weights, biases, self.penalty)

    def again(self, fitted: Sequence[Fitted]) -> "LogisticMaker":
        return self


@dataclass(frozen=True, eq=False)
class Logistic:
    """Scores are row @ weights [columns, classes] + biases [classes]."""

    seen: Seen
    weights: Floats
    biases: Floats
    penalty: float

    @property
    def scalers(self) -> Mapping[str, RobustScaler]:
        return self.seen.scalers

    @property
    def parameters(self) -> Mapping[str, float]:
        return {"penalty": self.penalty, "columns": float(len(self.weights))}

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        return self.seen.shapes

    def chances(self, panel: Panel) -> Floats:
        """Give softmax of the scores."""
        return softmax(self.seen.newest(panel) @ self.weights + self.biases)

    def to_onnx(self) -> bytes:
        """Give one layer and a softmax."""
        return graph.dense(self.seen, [(self.weights, self.biases)])


def softmax(scores: Floats) -> Floats:
    """Give chances of scores [n, K]."""
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    found: Floats = odds / odds.sum(axis=1, keepdims=True)
    return found


_NEVER = -20.0
"""Bias of a class that no training row had."""


def _softmax_form(weights: Floats, biases: Floats, present: Floats, classes: int) -> tuple[Floats, Floats]:
    """Give coefficients for every class; the library has one row for two classes, none for an absent one."""
    if len(present) == 2:
        weights, biases = np.concatenate([0 * weights, weights]), np.r_[0.0, biases]
    full, free = np.zeros((weights.shape[1], classes)), np.full(classes, _NEVER)
    full[:, present.astype(int)] = weights.T
    free[present.astype(int)] = biases
    return full, free
