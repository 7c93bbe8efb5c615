"""One training run from the lake to a verified artifact, and nothing remembered between runs.

Must not know the command line or how progress is shown. Called by training.cli and by tests.
Order matters: rounds and threshold are fixed on the validation span, the model is then fitted on all rows
before the test span, and the test span is looked at once, for the card.
"""

import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import SECOND
from core.errors import DataError
from core.market import Timeframe
from core.text import iso
from core.version import VERSION
from feeds.ingest_report import blocking
from feeds.lake import BarArrays, Lake, Series
from inference.artifact import INPUT
from inference.card import CLASSES, SCHEMA, Card, DataUsed, FeatureRef, Kind, LabelTerms, Metrics
from inference.card import Split as SplitCard
from inference.features.spec import FeatureSpec
from training import export, trees
from training.dataset import Rows, build, fingerprint, joined
from training.evaluate import Unseen, evaluate
from training.labels import DOWN, UP, BarrierTerms
from training.splits import Spans, cut, default_test_start
from training.trades import threshold_for

TRADED_SHARE = 0.05
"""The strongest twentieth of the validation rows sets the threshold: a turnover, not a tuned profit."""
LIBRARIES = ("lightgbm", "onnx", "onnxmltools", "onnxruntime", "numpy", "numba")

Say = Callable[[str], None]


class Recipe(msgspec.Struct, frozen=True):
    """Everything that decides the result. `test_start` in ns, None = three fifths into the rows."""

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


class Settled(NamedTuple):
    """What the validation span decided: boosting rounds, and the thresholds of both rivals."""

    rounds: int
    edge_threshold: float
    momentum_threshold: float


def train(recipe: Recipe, lake: Path, out: Path, say: Say) -> Card:
    """Run the recipe on a lake and write the artifact to `out`; `say` gets one line per phase.

    DataError for a lake that cannot serve it, UsageError for an `out` that holds something else,
    ModelError if the written artifact fails its check.
    """
    export.check_target(out)
    say("reading bars")
    series = _read(recipe, lake)
    say("folding features, walking labels")
    rows = joined(list(build(series, recipe.spec, recipe.terms)))
    spans = cut(
        rows.outcomes.ts,
        rows.outcomes.ts_end,
        test_start=recipe.test_start or default_test_start(rows.outcomes.ts),
        embargo=recipe.terms.horizon_ns,
    )
    thinned = max(1, -(-int(spans.train.sum()) // recipe.max_rows))
    every = np.arange(len(rows)) % thinned == 0
    say("settling rounds and threshold on the validation span")
    settled = _settle(rows.only(spans.early & every), rows.only(spans.validation), recipe.seed)
    say("fitting the trees")
    fitted = rows.only(spans.train & every)
    booster = trees.fit(fitted.x, fitted.kind, recipe.seed, settled.rounds)
    say("measuring on the test span")
    unseen = rows.only(spans.test)
    p = trees.chances(booster, unseen.x)
    metrics = _measure(unseen, p, fitted, settled, recipe.seed)
    say("exporting and checking")
    model = export.to_onnx(booster, len(recipe.spec.names))
    export.check_parity(model, unseen.x, p)
    card = Card(
        schema=SCHEMA,
        kind=Kind.ENTRY,
        name=recipe.name,
        version=recipe.version,
        model_hash="",
        files={},
        command=recipe.command,
        libraries={name: importlib.metadata.version(name) for name in LIBRARIES} | {"seamark": VERSION},
        features=FeatureRef(recipe.spec.name, recipe.spec.hash, len(recipe.spec.names)),
        inputs={INPUT: (len(recipe.spec.names),)},
        scalers={},
        label=_label(recipe.terms),
        classes=CLASSES,
        calibration=None,
        conformal=None,
        data=_data(recipe, series),
        split=_split(rows, spans, recipe, thinned),
        seed=recipe.seed,
        trials=recipe.trials,
        parameters={**trees.PARAMETERS, "rounds": settled.rounds},
        edge_threshold=settled.edge_threshold,
        metrics=metrics,
        deciles={INPUT: _deciles(fitted.x)},
    )
    return export.write(out, card, model, export.golden({INPUT: unseen.x}, p))


def _read(recipe: Recipe, root: Path) -> list[BarArrays]:
    lake = Lake(root)
    offered = [one.instrument for one in lake.series() if one[::2] == (recipe.venue, recipe.source)]
    wanted = recipe.instruments or tuple(offered)
    absent = sorted(set(wanted) - set(offered))
    if absent or not wanted:
        raise DataError(
            f"lake: expected {recipe.venue} {recipe.source.value} bars of {', '.join(absent) or 'anything'} "
            f"in {root}; found {', '.join(offered) or 'nothing'}"
        )
    series = [Series(recipe.venue, instrument, recipe.source) for instrument in wanted]
    if blocked := blocking(root, series, recipe.waived):
        found = "; ".join(map(str, blocked))
        raise DataError(
            f"lake: expected series within the limits of the ingestion report; found {found}. "
            f"Mend the data, or waive by name: --waive {blocked[0].name}"
        )
    return [lake.read(*one) for one in series]


def _data(recipe: Recipe, series: Sequence[BarArrays]) -> DataUsed:
    return DataUsed(
        venue=recipe.venue,
        timeframe=recipe.source.value,
        instruments=tuple(bars.instrument for bars in series),
        start=iso(min(int(bars.ts_open[0]) for bars in series)),
        end=iso(max(int(bars.ts_close[-1]) for bars in series)),
        sha256=fingerprint(series),
    )


def _settle(early: Rows, validation: Rows, seed: int) -> Settled:
    booster = trees.fit(early.x, early.kind, seed)
    rounds = trees.best_rounds(booster, validation.x, validation.kind)
    edge = _edge(trees.chances(booster, validation.x, rounds))
    return Settled(
        rounds=rounds,
        edge_threshold=threshold_for(edge, TRADED_SHARE),
        momentum_threshold=threshold_for(validation.momentum, TRADED_SHARE),
    )


def _measure(unseen: Rows, p: npt.NDArray[np.float64], fitted: Rows, settled: Settled, seed: int) -> Metrics:
    return evaluate(
        Unseen(
            outcomes=unseen.outcomes,
            kind=unseen.kind,
            both=unseen.both,
            p=p,
            momentum=unseen.momentum,
            shares=np.bincount(fitted.kind, minlength=3) / len(fitted),
            edge_threshold=settled.edge_threshold,
            momentum_threshold=settled.momentum_threshold,
            traded_share=TRADED_SHARE,
            seed=seed,
        )
    )


def _label(terms: BarrierTerms) -> LabelTerms:
    return LabelTerms(terms.decision.value, terms.barrier_atr, terms.horizon_bars)


def _edge(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    edge: npt.NDArray[np.float64] = p[:, UP] - p[:, DOWN]
    return edge


def _split(rows: Rows, spans: Spans, recipe: Recipe, thinned: int) -> SplitCard:
    ts = rows.outcomes.ts
    return SplitCard(
        train_start=iso(int(ts.min())),
        validation_start=iso(spans.validation_start),
        test_start=iso(spans.test_start),
        test_end=iso(int(ts.max())),
        embargo_s=recipe.terms.horizon_ns // SECOND,
        train_rows=int(spans.train.sum()),
        validation_rows=int(spans.validation.sum()),
        test_rows=int(spans.test.sum()),
        purged_rows=spans.purged,
        thinned=thinned,
    )


def _deciles(x: npt.NDArray[np.float32]) -> tuple[tuple[float, ...], ...]:
    edges = np.quantile(x, np.linspace(0.1, 0.9, 9), axis=0).astype(np.float32)
    return tuple(tuple(map(export.shortest, column)) for column in edges.T)
