"""Gradient-boosted trees on the newest bars' columns: LightGBM, or XGBoost where it is installed.

Must not know files or money. Called by recipes, as a model of its own and as the baseline to beat.
"""

import importlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any, Literal

import numpy as np

from core.errors import UsageError
from inference.artifact import INPUT
from inference.card import RobustScaler
from training import export, trees
from training.members import graph
from training.members.member import Fitted, Lesson, Say, silent
from training.members.seen import Seen, seen
from training.panel.panel import Floats, Panel

ENGINES = ("lightgbm", "xgboost")


@dataclass(frozen=True)
class BoostedMaker:
    """At most `rounds` of boosting; with `exact` just so many, else as many as suit the validation rows."""

    rounds: int = trees.ROUNDS
    engine: Literal["lightgbm", "xgboost"] = "lightgbm"
    exact: bool = False
    called: str = ""

    @property
    def name(self) -> str:
        return self.called or self.engine

    def fit(
        self, lesson: Lesson, validation: Lesson, *, classes: int, seed: int, say: Say = silent
    ) -> Fitted:
        """Fit the trees on unscaled rows; UsageError for an engine that is not installed."""
        view = seen(lesson.panel, scale=False)
        x = view.newest(lesson.panel)
        if self.engine == "xgboost":
            return self._xgboost(view, x, lesson, validation, classes=classes, seed=seed)
        if self.engine != "lightgbm":
            raise UsageError(f"boosted: expected one of {', '.join(ENGINES)}; found {self.engine!r}")
        booster = trees.fit(x, lesson.kind, seed, self.rounds, classes=classes, weight=lesson.weight)
        if not self.exact:
            rounds = trees.best_rounds(booster, view.newest(validation.panel), validation.kind)
            booster = trees.shortened(booster, rounds)
        return Trees(view, booster, booster.current_iteration())

    def again(self, fitted: Sequence[Fitted]) -> "BoostedMaker":
        """Give the maker of as many rounds as the median of these models has."""
        rounds = median_low([int(one.parameters["rounds"]) for one in fitted])
        return BoostedMaker(rounds, self.engine, exact=True, called=self.called)

    def _xgboost(
        self, view: Seen, x: Any, lesson: Lesson, validation: Lesson, *, classes: int, seed: int
    ) -> Fitted:
        try:
            xgboost = importlib.import_module("xgboost")
        except ImportError as absent:
            raise UsageError("boosted: expected xgboost to be installed; found that it is not") from absent
        settings = {
            "objective": "multi:softprob",
            "num_class": classes,
            "max_depth": 4,
            "eta": trees.PARAMETERS["learning_rate"],
            "subsample": trees.PARAMETERS["bagging_fraction"],
            "colsample_bytree": trees.PARAMETERS["feature_fraction"],
            "lambda": trees.PARAMETERS["lambda_l2"],
            "max_bin": int(trees.PARAMETERS["max_bin"]),
            "tree_method": "hist",
            "seed": seed,
            "nthread": 1,
        }
        booster = xgboost.train(
            settings, xgboost.DMatrix(x, lesson.kind, weight=lesson.weight), num_boost_round=self.rounds
        )
        rounds = self.rounds
        if not self.exact:
            shown = xgboost.DMatrix(view.newest(validation.panel))
            losses = []
            for done in range(1, self.rounds + 1):
                p = booster.predict(shown, iteration_range=(0, done))
                losses.append(-np.log(p[np.arange(len(p)), validation.kind] + 1e-12).mean())
            rounds = int(np.argmin(losses)) + 1
        return ExtremeTrees(view, booster[:rounds], rounds)


@dataclass(frozen=True, eq=False)
class Trees:
    """LightGBM's."""

    seen: Seen
    booster: Any
    rounds: int

    @property
    def scalers(self) -> Mapping[str, RobustScaler]:
        return {}

    @property
    def parameters(self) -> Mapping[str, float]:
        return {**trees.PARAMETERS, "rounds": float(self.rounds)}

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        return self.seen.shapes

    def chances(self, panel: Panel) -> Floats:
        """Ask the trees."""
        return trees.chances(self.booster, self.seen.newest(panel))

    def to_onnx(self) -> bytes:
        """Give the trees behind the picking of their columns."""
        columns = sum(map(len, self.seen.kept.values()))
        return graph.behind(self.seen, export.to_onnx(self.booster, columns), INPUT)


@dataclass(frozen=True, eq=False)
class ExtremeTrees:
    """XGBoost's."""

    seen: Seen
    booster: Any
    rounds: int

    @property
    def scalers(self) -> Mapping[str, RobustScaler]:
        return {}

    @property
    def parameters(self) -> Mapping[str, float]:
        return {"rounds": float(self.rounds)}

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        return self.seen.shapes

    def chances(self, panel: Panel) -> Floats:
        """Ask the trees."""
        xgboost = importlib.import_module("xgboost")

        found: Floats = self.booster.predict(xgboost.DMatrix(self.seen.newest(panel))).astype(np.float64)
        return found

    def to_onnx(self) -> bytes:
        """Give the trees behind the picking of their columns."""
        from onnxmltools import convert_xgboost  # noqa: PLC0415
        from onnxmltools.convert.common.data_types import FloatTensorType  # noqa: PLC0415

        columns = sum(map(len, self.seen.kept.values()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the converter remarks on the label's shape, which goes anyway
            found = convert_xgboost(
                self.booster,
                initial_types=[(INPUT, FloatTensorType([None, columns]))],
                target_opset=export.OPSET,
            )
        return graph.behind(self.seen, export.slim(found), INPUT)
