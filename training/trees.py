"""Gradient-boosted trees: class probabilities from one row of features.

Must not know files, time or money. Called by training.recipe and training.regime. LightGBM is imported
when used, so that the command line answers without it.
"""

import re
from typing import Any

import numpy as np
import numpy.typing as npt

ROUNDS = 60
PARAMETERS: dict[str, float] = {
    # Chosen for size and shrinkage before the first run; the rounds come from the validation span.
    "num_leaves": 15,
    "learning_rate": 0.05,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "lambda_l2": 50.0,
    "max_bin": 63,
}
_SMALLEST_LEAF = 1 / 400
"""Share of the rows that a leaf must hold: overlapping labels repeat themselves."""
_SIZES = re.compile(r"^tree_sizes=.*\n", re.MULTILINE)
"""Byte lengths of the trees' texts, which no longer fit; LightGBM reads on without them."""
_THRESHOLDS = re.compile(r"^threshold=(.*)$", re.MULTILINE)


def fit(
    x: npt.NDArray[np.float32],
    kind: npt.NDArray[np.int8],
    seed: int,
    rounds: int = ROUNDS,
    *,
    classes: int = 3,
    weight: npt.NDArray[np.float64] | None = None,
) -> Any:
    """Fit on rows x [n, columns] with classes 0 up to `classes`; same rows and seed give the same trees.

    `weight` [n] is how much each row counts, all alike without it.
    """
    import lightgbm  # noqa: PLC0415

    settings = {
        **PARAMETERS,
        "objective": "multiclass",
        "num_class": classes,
        "min_data_in_leaf": max(20, int(len(x) * _SMALLEST_LEAF)),
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,  # sums in another order would give other trees
        "verbosity": -1,
    }
    booster = lightgbm.train(settings, lightgbm.Dataset(x, kind, weight=weight), num_boost_round=rounds)
    # ONNX keeps thresholds as float32. Rounded down, they send every float32 value the same way as
    # the double did; rounded to nearest, as the converter would, a few rows change sides.
    text = _SIZES.sub("", booster.model_to_string())
    return lightgbm.Booster(model_str=_THRESHOLDS.sub(_rounded_down, text))


def best_rounds(booster: Any, x: npt.NDArray[np.float32], kind: npt.NDArray[np.int8]) -> int:
    """Give how many rounds predict rows unseen by the booster best, by log-loss; at least one."""
    raw = np.zeros((len(kind), booster.num_model_per_iteration()))
    losses = []
    for done in range(booster.current_iteration()):
        raw += booster.predict(x, raw_score=True, start_iteration=done, num_iteration=1, num_threads=1)
        losses.append(np.mean(np.log(np.exp(raw).sum(axis=1)) - raw[np.arange(len(kind)), kind]))
    return int(np.argmin(losses)) + 1


def shortened(booster: Any, rounds: int) -> Any:
    """Give the first `rounds` of the trees as a booster of their own."""
    import lightgbm  # noqa: PLC0415

    text = booster.model_to_string(num_iteration=rounds)
    return lightgbm.Booster(model_str=_SIZES.sub("", text))


def chances(booster: Any, x: npt.NDArray[np.float32], rounds: int | None = None) -> npt.NDArray[np.float64]:
    """Give probabilities [n, classes] of the trees before export, of the first `rounds` or of all."""
    answer: npt.NDArray[np.float64] = booster.predict(x, num_iteration=rounds, num_threads=1)
    return answer


def _rounded_down(line: re.Match[str]) -> str:
    exact = np.array(line.group(1).split(), np.float64)
    near = exact.astype(np.float32)
    lower = np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)
    return "threshold=" + " ".join(repr(float(value)) for value in lower)
