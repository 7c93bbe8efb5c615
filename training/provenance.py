"""Where a model comes from: reading its bars, and the parts of a card that say how it was made.

Must not know models or labels. Called by training.recipe and training.regime.
"""

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import SECOND
from core.market import Timeframe
from core.text import iso
from core.version import VERSION
from feeds.lake import BarArrays
from inference.artifact import INPUT
from inference.card import (
    CLASSES_OF,
    SCHEMA,
    BinaryMetrics,
    Calibration,
    Card,
    Conformal,
    DataUsed,
    FeatureRef,
    Kind,
    LabelTerms,
    Metrics,
    RobustScaler,
    Split,
)
from inference.features.spec import FeatureSpec
from training import export
from training.dataset import fingerprint
from training.labels import BarrierTerms
from training.panel import sources
from training.splits import Spans

LIBRARIES = ("lightgbm", "onnx", "onnxmltools", "onnxruntime", "numpy", "numba")

Times = npt.NDArray[np.int64]


class Recipe(msgspec.Struct, frozen=True):
    """Everything that decides the result. `test_start` in ns, None = three fifths into the rows.

    `vault_start` (ns) is the first instant whose bars are not even read. A fold of a walk-forward sets
    `train_start`, `validation_start` and `test_end`, too; rows outside them are in no span.
    """

    name: str
    spec: FeatureSpec
    venue: str
    source: Timeframe
    terms: BarrierTerms
    version: str = "1"
    instruments: tuple[str, ...] = ()
    test_start: int | None = None
    seed: int = 1
    trials: int = 1
    max_rows: int = 200_000
    waived: tuple[str, ...] = ()
    command: str = ""
    scaled: bool = False
    """Whether tensors are scaled by their training rows before the model sees them."""
    vault_start: int | None = None
    train_start: int | None = None
    validation_start: int | None = None
    test_end: int | None = None


class Result(NamedTuple):
    """What a run found, ready for a card."""

    kind: Kind
    label: LabelTerms
    split: Split
    scalers: dict[str, RobustScaler]
    calibration: Calibration
    conformal: Conformal | None
    parameters: dict[str, float]
    edge_threshold: float
    metrics: Metrics | BinaryMetrics


def read(recipe: Recipe, root: Path) -> list[BarArrays]:
    """Read the recipe's bars; DataError where the lake lacks them or its ingestion report blocks them."""
    used = sources.Source(recipe.venue, recipe.source, recipe.instruments, recipe.vault_start, recipe.waived)
    return sources.read(root, used)


def split(ts: Times, spans: Spans, recipe: Recipe, thinned: int) -> Split:
    """Say how time was cut, of rows decided at `ts`."""
    used = ts[spans.train | spans.test]
    return Split(
        train_start=iso(int(used.min())),
        validation_start=iso(spans.validation_start),
        test_start=iso(spans.test_start),
        test_end=iso(int(used.max())),
        embargo_s=recipe.terms.horizon_ns // SECOND,
        train_rows=int(spans.train.sum()),
        validation_rows=int(spans.validation.sum()),
        test_rows=int(spans.test.sum()),
        purged_rows=spans.purged,
        thinned=thinned,
    )


def card(
    recipe: Recipe, series: Sequence[BarArrays], result: Result, fitted: npt.NDArray[np.float32]
) -> Card:
    """Give the card, without files and hash; `fitted` [n, columns] are the rows that trained the model."""
    return Card(
        schema=SCHEMA,
        kind=result.kind,
        name=recipe.name,
        version=recipe.version,
        model_hash="",
        files={},
        command=recipe.command,
        libraries={name: importlib.metadata.version(name) for name in LIBRARIES} | {"seamark": VERSION},
        features=FeatureRef(recipe.spec.name, recipe.spec.hash, len(recipe.spec.names)),
        inputs={INPUT: (len(recipe.spec.names),)},
        scalers=result.scalers,
        label=result.label,
        classes=CLASSES_OF[result.kind],
        calibration=result.calibration,
        conformal=result.conformal,
        data=_data(recipe, series),
        split=result.split,
        seed=recipe.seed,
        trials=recipe.trials,
        parameters=result.parameters,
        edge_threshold=result.edge_threshold,
        metrics=result.metrics,
        deciles={INPUT: _deciles(fitted)},
    )


def _data(recipe: Recipe, series: Sequence[BarArrays]) -> DataUsed:
    return DataUsed(
        venue=recipe.venue,
        timeframe=recipe.source.value,
        instruments=tuple(bars.instrument for bars in series),
        start=iso(min(int(bars.ts_open[0]) for bars in series)),
        end=iso(max(int(bars.ts_close[-1]) for bars in series)),
        sha256=fingerprint(series),
    )


def _deciles(x: npt.NDArray[np.float32]) -> tuple[tuple[float, ...], ...]:
    edges = np.quantile(x, np.linspace(0.1, 0.9, 9), axis=0).astype(np.float32)
    return tuple(tuple(map(export.shortest, column)) for column in edges.T)
