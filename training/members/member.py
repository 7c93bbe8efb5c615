"""What every kind of model is to the training package: a maker that learns from rows, and what it made.

Must not know any kind of model, files or money. Implemented by the modules beside this one and by
training.networks' fit; called by training.members.out_of_fold and the recipes. Since all kinds look the
same from here, baselines stand beside networks on the same rows, under the same splits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from inference.card import RobustScaler
from training.panel.panel import Floats, Kinds, Panel

Say = Callable[[str], None]


def silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """Rows to learn from: what is seen, the class that followed, how much each row counts.

    `beside` are answers of other heads by name: int8 classes (UNKNOWN = not known) or float64 numbers
    (NaN = not known). All rows of `kind` are known.
    """

    panel: Panel
    kind: Kinds
    weight: Floats
    beside: Mapping[str, npt.NDArray[np.int8] | npt.NDArray[np.float64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.kind)

    def only(self, picked: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> "Lesson":
        """Give some rows, by mask or by ascending positions."""
        return Lesson(
            self.panel.only(picked),
            self.kind[picked],
            self.weight[picked],
            {name: values[picked] for name, values in self.beside.items()},
        )


class Fitted(Protocol):
    """A model that has learned. `scalers` go on the card, `to_onnx` takes tensors that are scaled."""

    @property
    def scalers(self) -> Mapping[str, RobustScaler]: ...

    @property
    def parameters(self) -> Mapping[str, float]:
        """Whatever a reader of the card should know: sizes, rates, rounds or epochs."""

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """Shapes of the tensors that it reads, without the batch."""

    def chances(self, panel: Panel) -> Floats:
        """Give probabilities [rows, classes], not calibrated."""

    def to_onnx(self) -> bytes:
        """Give one self-contained graph from scaled tensors to `probabilities`, any size of batch."""


@runtime_checkable
class Headed(Protocol):
    """A fitted model that answers more than one question; its graph has an output for each of `heads`."""

    @property
    def heads(self) -> tuple[str, ...]:
        """What it says beside the probabilities, in the graph's order."""

    def answers(self, panel: Panel) -> Mapping[str, Floats]:
        """Give each head's chances [rows, size] or numbers [rows], as the graph has them."""


class Maker(Protocol):
    """A kind of model with its settings. The same lesson and seed give the same model."""

    @property
    def name(self) -> str: ...

    def fit(
        self, lesson: Lesson, validation: Lesson, *, classes: int, seed: int, say: Say = silent
    ) -> Fitted:
        """Learn from `lesson`; `validation` may only decide when to stop."""

    def again(self, fitted: Sequence[Fitted]) -> "Maker":
        """Give the maker that learns as long as the median of these models did, whatever validation says.

        With it the final model is fitted on all rows before the test span. One that never stops early
        gives itself.
        """
