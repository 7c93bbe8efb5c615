"""A small perceptron on the newest bars' columns: the plainest network there is, as a baseline and a stacker.

Must not know files or money. Called by recipes. It imports torch when it fits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median_low

import numpy as np

from inference.card import RobustScaler
from training.fit.terms import FitTerms
from training.members import graph
from training.members.logistic import softmax
from training.members.member import Fitted, Lesson, Say, silent
from training.members.seen import Seen, seen
from training.panel.panel import Floats, Panel


@dataclass(frozen=True)
class PerceptronMaker:
    """Layers of `hidden` units with rectifiers; `epochs` above 0 are run exactly."""

    hidden: tuple[int, ...] = (32,)
    dropout: float = 0.1
    terms: FitTerms = FitTerms(rate=1e-3)  # noqa: RUF009  # frozen
    called: str = "perceptron"
    epochs: int = 0

    @property
    def name(self) -> str:
        return self.called

    def fit(
        self, lesson: Lesson, validation: Lesson, *, classes: int, seed: int, say: Say = silent
    ) -> Fitted:
        """Fit; ModelError if it diverges."""
        from training.fit.plain import fitted_layers  # noqa: PLC0415

        view = seen(lesson.panel)
        layers, epochs = fitted_layers(self, view, lesson, validation, classes=classes, seed=seed, say=say)
        return Perceptron(view, layers, float(epochs))

    def again(self, fitted: Sequence[Fitted]) -> "PerceptronMaker":
        """Give the maker that runs the median of these models' best epochs."""
        return replace(self, epochs=median_low([int(one.parameters["epochs"]) for one in fitted]))


@dataclass(frozen=True, eq=False)
class Perceptron:
    """Weights [in, out] and biases [out] of each layer."""

    seen: Seen
    layers: tuple[graph.Layer, ...]
    epochs: float

    @property
    def scalers(self) -> Mapping[str, RobustScaler]:
        return self.seen.scalers

    @property
    def parameters(self) -> Mapping[str, float]:
        return {"epochs": self.epochs, "weights": float(sum(w.size + b.size for w, b in self.layers))}

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        return self.seen.shapes

    def chances(self, panel: Panel) -> Floats:
        """Give the softmax of the last layer's scores."""
        found = self.seen.newest(panel).astype(np.float64)
        for number, (weights, biases) in enumerate(self.layers):
            found = found @ weights + biases
            if number + 1 < len(self.layers):
                found = np.maximum(found, 0.0)
        return softmax(found)

    def to_onnx(self) -> bytes:
        """Give the layers behind the picking of their columns."""
        return graph.dense(self.seen, self.layers)
