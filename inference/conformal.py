"""Split-conformal sets: which classes cannot be ruled out at a stated level of error.

Must not know models or trading. Applied by inference.sitting; quantile and coverage are measured by
training. With one quantile for all rows the sets cover the truth 1 - alpha of the time if validation
rows and new rows are exchangeable, which markets are not: the coverage on the card is the honest figure.
A weak model's probabilities lie near the base rates. Then a 90 % set can drop one class of three on some
30 % of the rows and never two: it abstains three times of four, and with `single_class` nearly always.
"""

import math

import numpy as np
import numpy.typing as npt

from inference.card import Conformal

Floats = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]
Kinds = npt.NDArray[np.integer]

_DOWN, _HOLD, _UP = 0, 1, 2


def fit(p: Floats, kind: Kinds, alpha: float) -> float:
    """Give the quantile of 1 - p(truth) at level ceil((n + 1)(1 - alpha)) / n, 1 where n is too small."""
    scores = np.sort(1.0 - p[np.arange(len(kind)), kind])
    rank = math.ceil((len(scores) + 1) * (1.0 - alpha))
    return float(scores[rank - 1]) if rank <= len(scores) else 1.0


def sets(p: Floats, quantile: float) -> Flags:
    """Give which classes [n, K] cannot be ruled out: 1 - p <= quantile."""
    inside: Flags = 1.0 - p <= quantile
    return inside


def undecided(inside: Flags, *, single_class: bool = False) -> Flags:
    """Tell which sets [n, 3] hold both sides or neither; with `single_class` also a side and hold."""
    names_one: Flags = inside[:, _DOWN] ^ inside[:, _UP]
    if single_class:
        names_one &= ~inside[:, _HOLD]
    return ~names_one


def measured(p: Floats, kind: Kinds, *, alpha: float, quantile: float) -> Conformal:
    """Give the card's entry: coverage and share abstained on rows that the quantile was not taken from."""
    inside = sets(p, quantile)
    return Conformal(
        alpha=alpha,
        quantile=quantile,
        coverage=float(inside[np.arange(len(kind)), kind].mean()),
        abstained=float(undecided(inside).mean())
        if p.shape[1] == 3
        else float((inside.sum(axis=1) != 1).mean()),
    )
