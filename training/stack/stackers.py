"""The stackers: the logistic pool, a small perceptron, boosted trees. All learn classes from columns.

Must not know where the columns come from, files or money. Called by training.stack.meta. Each gives the same
answers for the same rows and seed.
"""

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from core.errors import InternalError
from training import trees
from training.panel.panel import Floats, Kinds, Matrix
from training.stack import pool

Logs = Callable[[Matrix], tuple[Floats, Floats]]

HIDDEN = 16
EPOCHS = 12
CLIP = 5.0
"""Deviations beyond which a perceptron's input counts as this many."""
_TAIL = 5
"""Every so many rows in time order, the last one's share decides how many rounds of trees there are."""


class Stacker(Protocol):
    """One that has learned."""

    def chances(self, x: Matrix) -> Floats:
        """Give probabilities [n, K]."""


@dataclass(frozen=True, eq=False)
class Learner:
    """A way to learn classes 0 up to `classes` from columns x [n, F], rows in time order."""

    name: str
    fit: Callable[[Matrix, Kinds, int, int], Stacker]
    """x, kind, how many classes, seed."""


@dataclass(frozen=True, eq=False)
class Logistic:
    """The pool behind the columns that it is made of."""

    logs: Logs
    pool: pool.Pool

    def chances(self, x: Matrix) -> Floats:
        """Ask the pool."""
        return self.pool.chances(*self.logs(x))


@dataclass(frozen=True, eq=False)
class Perceptron:
    """One hidden layer of ReLUs over standardised columns."""

    center: Floats
    scale: Floats
    net: Any

    def chances(self, x: Matrix) -> Floats:
        """Ask the network."""
        found: Floats = self.net.predict_proba(_standard(x, self.center, self.scale))
        return found


@dataclass(frozen=True, eq=False)
class Boosted:
    """LightGBM's trees, of thresholds that float32 can hold."""

    booster: Any

    def chances(self, x: Matrix) -> Floats:
        """Ask the trees."""
        return trees.chances(self.booster, x)


@dataclass(frozen=True, eq=False)
class Extreme:
    """XGBoost's trees."""

    booster: Any

    def chances(self, x: Matrix) -> Floats:
        """Ask the trees."""
        xgboost = import_module("xgboost")
        found: Floats = self.booster.predict(xgboost.DMatrix(x)).astype(np.float64)
        return found if found.ndim == 2 else np.column_stack([1.0 - found, found])


def learners(logs: Logs) -> tuple[Learner, ...]:
    """Give all that can be had here, simplest first; `logs` gives the pool's view of the columns."""

    def logistic(x: Matrix, kind: Kinds, classes: int, _seed: int) -> Stacker:
        found = pool.fit(*logs(x), kind)
        if found.bias.shape != (classes,):
            raise InternalError(f"expected log chances of {classes} classes; found {found.bias.shape}")
        return Logistic(logs, found)

    every = [Learner("logistic", logistic), Learner("mlp", _perceptron), Learner("lightgbm", _boosted)]
    if importlib.util.find_spec("xgboost") is not None:
        every.append(Learner("xgboost", _extreme))
    return tuple(every)


def _perceptron(x: Matrix, kind: Kinds, classes: int, seed: int) -> Stacker:
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415

    threads = import_module("threadpoolctl")  # comes with scikit-learn, without types
    center, scale = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    scale = np.where(scale > 1e-6, scale, 1.0)
    net = MLPClassifier((HIDDEN,), alpha=1e-2, batch_size=256, max_iter=EPOCHS, random_state=seed)
    with (
        warnings.catch_warnings(),
        threads.threadpool_limits(1),
    ):  # sums in another order would give other weights
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is fixed on purpose
        net.fit(_standard(x, center, scale), kind)
    if len(net.classes_) != classes:
        raise InternalError(f"expected {classes} classes to learn from; found {net.classes_}")
    return Perceptron(center, scale, net)


def _boosted(x: Matrix, kind: Kinds, classes: int, seed: int) -> Stacker:
    cut = len(x) - len(x) // _TAIL
    early = trees.fit(x[:cut], kind[:cut], seed, classes=classes)
    rounds = trees.best_rounds(early, x[cut:], kind[cut:])
    return Boosted(trees.fit(x, kind, seed, rounds, classes=classes))


def _extreme(x: Matrix, kind: Kinds, classes: int, seed: int) -> Stacker:
    xgboost = import_module("xgboost")
    # Two classes as one score: of two scores the converter makes other answers (onnxmltools 1.16).
    several = {"objective": "multi:softprob", "num_class": classes}
    settings = {
        **({"objective": "binary:logistic"} if classes == 2 else several),
        "max_depth": 3,
        "eta": trees.PARAMETERS["learning_rate"],
        "subsample": trees.PARAMETERS["bagging_fraction"],
        "colsample_bytree": trees.PARAMETERS["feature_fraction"],
        "lambda": trees.PARAMETERS["lambda_l2"],
        "tree_method": "hist",
        "max_bin": int(trees.PARAMETERS["max_bin"]),
        "seed": seed,
        "nthread": 1,
    }
    cut = len(x) - len(x) // _TAIL
    told: dict[str, dict[str, list[float]]] = {}
    xgboost.train(
        settings,
        xgboost.DMatrix(x[:cut], kind[:cut]),
        trees.ROUNDS,
        evals=[(xgboost.DMatrix(x[cut:], kind[cut:]), "tail")],
        evals_result=told,
        verbose_eval=False,
    )
    (losses,) = told["tail"].values()
    rounds = int(np.argmin(losses)) + 1
    return Extreme(xgboost.train(settings, xgboost.DMatrix(x, kind), rounds))


def _standard(x: Matrix, center: Floats, scale: Floats) -> Matrix:
    return np.clip((x - center) / scale, -CLIP, CLIP).astype(np.float32)
