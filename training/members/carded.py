"""From a fitted model and its figures to an artifact: graph, golden rows and the card.

Must not know how anything was fitted or chosen. Called by training.members.recipe.
"""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from core.clock import SECOND
from core.text import iso
from core.version import VERSION
from inference.card import (
    CLASSES_OF,
    SCHEMA,
    BinaryMetrics,
    Calibration,
    Card,
    Conformal,
    DataUsed,
    FeatureRef,
    Head,
    Kind,
    LabelTerms,
    Metrics,
    Split,
)
from training import export
from training.members import parity
from training.members.member import Fitted, Headed
from training.members.order import Order
from training.members.seen import newest
from training.panel.panel import Floats, Ints, Panel
from training.provenance import LIBRARIES
from training.splits import Spans

NETWORKS = ("torch", "onnxscript")
_SAMPLE = 200_000


@dataclass(frozen=True, eq=False)
class Result:
    """What a run found. `p` [rows, classes] are the final model's calibrated chances."""

    final: Fitted
    calibration: Calibration
    conformal: Conformal | None
    metrics: Metrics | BinaryMetrics
    edge_threshold: float
    bounds: tuple[float, ...]
    p: Floats
    thinned: int


def write(out: Path, order: Order, panel: Panel, spans: Spans, result: Result) -> Card:
    """Export, compare graph and model on test rows, and write the folder, checked as the daemon will."""
    test = np.flatnonzero(spans.test)
    graph = result.final.to_onnx()
    parity.check(graph, result.final, panel.only(test), order.name)
    tensors = panel.tensors(picked := test[_spread(len(test))])
    shown = {name: tensors[name] for name in result.final.inputs}
    bare, beside = card(order, panel, spans, result), _beside(result.final, panel.only(picked))
    if beside:
        bare = msgspec.structs.replace(bare, heads=_heads(order, beside))
    return export.write(out, bare, graph, export.golden(shown, result.p[picked], beside))


def _beside(final: Fitted, panel: Panel) -> dict[str, Floats]:
    """Give what further heads say of rows, [rows, size] by name; the written folder is proved on them."""
    if not isinstance(final, Headed):
        return {}
    said = final.answers(panel)
    return {name: said[name].reshape(len(panel), -1) for name in final.heads}


def _heads(order: Order, beside: Mapping[str, Floats]) -> tuple[Head, ...]:
    """Say what each head was asked, by its target."""
    found = []
    for name, said in beside.items():
        target = order.heads[name]
        classes = f": {', '.join(target.classes)}" if target.classes else ""
        unit = "chances" if target.classes else "as in docs/labels.md"
        says = f"{target.name} as docs/labels.md has it{classes}"
        found.append(Head(name, says, unit, said.shape[1]))
    return tuple(found)


def card(order: Order, panel: Panel, spans: Spans, result: Result) -> Card:
    """Give the card, without files and hash."""
    used = panel.ts[spans.train | spans.test]
    inputs = dict(result.final.inputs)
    bounds = {f"bound_{number}": bound for number, bound in enumerate(result.bounds)}
    return Card(
        schema=SCHEMA,
        kind=order.kind,
        name=order.name,
        version=order.version,
        model_hash="",
        files={},
        command=order.command,
        libraries=libraries(),
        features=FeatureRef(panel.spec.name, panel.spec.hash, len(panel.spec.names)),
        inputs=inputs,
        scalers=dict(result.final.scalers),
        label=_label(order),
        classes=CLASSES_OF[order.kind],
        calibration=result.calibration,
        conformal=result.conformal,
        data=DataUsed(
            venue=order.venue,
            timeframe=order.source.value,
            instruments=panel.instruments,
            start=iso(int(used.min())),
            end=iso(int(used.max())),
            sha256=panel.data_hash,
        ),
        split=Split(
            train_start=iso(int(used.min())),
            validation_start=iso(spans.validation_start),
            test_start=iso(spans.test_start),
            test_end=iso(int(used.max())),
            embargo_s=order.horizon_ns // SECOND,
            train_rows=int(spans.train.sum()),
            validation_rows=int(spans.validation.sum()),
            test_rows=int(spans.test.sum()),
            purged_rows=spans.purged,
            thinned=result.thinned,
        ),
        seed=order.seed,
        trials=order.trials,
        parameters={**result.final.parameters, **bounds, "folds": float(order.folds)},
        edge_threshold=result.edge_threshold,
        metrics=result.metrics,
        deciles={name: _deciles(panel, name, np.flatnonzero(spans.train)) for name in inputs},
    )


def libraries() -> dict[str, str]:
    """Give the versions that a model may depend on."""
    found = {"seamark": VERSION}
    for name in (*LIBRARIES, *NETWORKS, "scikit-learn"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _label(order: Order) -> LabelTerms:
    terms = order.terms
    if order.kind is Kind.ENTRY:
        return LabelTerms(terms.decision.value, terms.barrier_atr, terms.horizon_bars, order.rule)
    rule = (
        order.rule or f"{order.target.name}: {' or '.join(order.target.classes)}, as docs/labels.md has it."
    )
    bars = max(1, order.target.horizon_ns // terms.decision.ns)
    return LabelTerms(terms.decision.value, 0.0, bars, rule)


def _spread(count: int) -> Ints:
    """Give positions evenly over the rows: those that export.golden would pick."""
    return np.linspace(0, count - 1, export.GOLDEN_ROWS).astype(np.int64)


def _deciles(panel: Panel, tensor: str, rows: Ints) -> tuple[tuple[float, ...], ...]:
    x = newest(panel, tensor, rows[:: max(1, len(rows) // _SAMPLE)])
    edges = np.quantile(x, np.linspace(0.1, 0.9, 9), axis=0).astype(np.float32)
    return tuple(tuple(map(export.shortest, column)) for column in edges.T)
