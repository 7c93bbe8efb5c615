"""The simplest forecast: that what was goes on, as often as it did on training rows.

Must not know features' meaning or files. Called by recipes as a baseline beside every model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import UsageError
from inference.card import RobustScaler
from training.members.member import Fitted, Lesson, Say, silent
from training.panel.panel import Floats, Ints, Panel

BINS = 6
"""An even number: the middle bound is the median, so a momentum's sign is one of the things told apart."""
_PRIOR = 20.0
"""Rows' worth of the overall shares that each state starts with."""


@dataclass(frozen=True)
class PersistenceMaker:
    """Class shares by where a past measure stands among the training rows' sixths.

    `past`: `momentum` (the past return over one horizon in ATRs: what side the last move had) for targets
    of direction, `volatility` for those of volatility, or a column of the newest bar by its name.
    """

    past: str = "momentum"
    called: str = "persistence"

    @property
    def name(self) -> str:
        return self.called

    def fit(
        self, lesson: Lesson, validation: Lesson, *, classes: int, seed: int, say: Say = silent
    ) -> Fitted:
        """Count; `validation` is not looked at."""
        values = measured(lesson.panel, self.past)
        bounds = np.quantile(values, np.arange(1, BINS) / BINS)
        shares = np.bincount(lesson.kind, lesson.weight, classes)
        table = np.tile(_PRIOR * shares / shares.sum(), (BINS, 1))
        np.add.at(table, (np.searchsorted(bounds, values), lesson.kind), lesson.weight)
        return Persisting(self.past, bounds, table / table.sum(axis=1, keepdims=True))

    def again(self, fitted: Sequence[Fitted]) -> "PersistenceMaker":
        return self


@dataclass(frozen=True, eq=False)
class Persisting:
    """Shares [BINS, classes] by state."""

    past: str
    bounds: Floats
    shares: Floats

    @property
    def scalers(self) -> Mapping[str, RobustScaler]:
        return {}

    @property
    def parameters(self) -> Mapping[str, float]:
        return {"bins": float(BINS)}

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        return {}

    def chances(self, panel: Panel) -> Floats:
        """Look the shares up."""
        states: Ints = np.searchsorted(self.bounds, measured(panel, self.past))
        return self.shares[states]

    def to_onnx(self) -> bytes:
        """Raise UsageError: it reads what no tensor holds."""
        raise UsageError("persistence: expected a model that can be exported; found a baseline")


def measured(panel: Panel, past: str) -> Floats:
    """Give the past measure of each row; UsageError for one that the panel does not have."""
    if past in ("momentum", "volatility"):
        values: Floats = getattr(panel, past)
        return values
    names = panel.newest_names
    if past not in names:
        raise UsageError(f"persistence: expected momentum, volatility or a column; found {past!r}")
    return panel.newest()[:, names.index(past)].astype(np.float64)
