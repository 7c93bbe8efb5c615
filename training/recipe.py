"""One training run of an entry model, from the lake to a verified artifact, nothing remembered between runs.

Must not know the command line or how progress is shown. Called by training.cli, by
training.walkforward for each fold, and by tests.
Order matters: rounds, calibration, conformal quantile and threshold are fixed on the validation span with
trees that have not seen it, the model is then fitted on all rows before the test span, and the test
span is looked at once, for the card.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from feeds.lake import BarArrays
from inference import calibrate as calibrated
from inference import conformal
from inference.artifact import INPUT, scaled
from inference.card import Calibration, Card, Kind, LabelTerms, Metrics, RobustScaler
from training import calibrate, columns, export, normalise, trees
from training.dataset import Rows, build, joined
from training.evaluate import Unseen, evaluate
from training.labels import DOWN, HOLD, UP, BarrierTerms
from training.provenance import Recipe, Result, card, read, split
from training.splits import Spans, cut, default_test_start
from training.trades import threshold_for

TRADED_SHARE = 0.05
"""The strongest twentieth of the validation rows sets the threshold: a turnover, not a tuned profit."""
ALPHA = 0.1
"""Of the conformal sets: they miss the truth one time in ten, if the future is like the validation span."""

Say = Callable[[str], None]


class Settled(NamedTuple):
    """What the validation span decided."""

    rounds: int
    calibration: Calibration
    quantile: float
    edge_threshold: float
    momentum_threshold: float


class Trained(NamedTuple):
    """A written model, and the validation rows with p [n, 3] of trees that had not seen them."""

    card: Card
    validation: Rows
    p: npt.NDArray[np.float64]


def train(recipe: Recipe, lake: Path, out: Path, say: Say) -> Card:
    """Run the recipe on a lake and write the artifact to `out`; `say` gets one line per phase.

    DataError for a lake that cannot serve it or lacks a column of it, UsageError for an `out` that
    holds something else, ModelError if the written artifact fails its check.
    """
    export.check_target(out)
    columns.require_no_tape(recipe.spec)
    say("reading bars")
    series = read(recipe, lake)
    say("folding features, walking labels")
    return fit(recipe, series, joined(list(build(series, recipe.spec, recipe.terms))), out, say).card


def fit(recipe: Recipe, series: Sequence[BarArrays], rows: Rows, out: Path, say: Say) -> Trained:
    """Run the recipe on `rows` made of `series`, write the artifact to `out`, as `train` says."""
    spans = _spans(rows, recipe)
    instruments = [bars.instrument for bars in series]
    known = spans.train
    columns.require_variety(rows.x[known], rows.outcomes.instrument[known], recipe.spec.names, instruments)
    thinned = max(1, -(-int(known.sum()) // recipe.max_rows))
    every = np.arange(len(rows)) % thinned == 0
    say("settling rounds, calibration and threshold on the validation span")
    tail = rows.only(spans.validation)
    settled, believed = _settle(rows.only(spans.early & every), tail, recipe)
    say("fitting the trees")
    fitted = rows.only(known & every)
    scaler = normalise.fit(fitted.x) if recipe.scaled else None
    booster = trees.fit(scaled(scaler, fitted.x), fitted.kind, recipe.seed, settled.rounds)
    say("measuring on the test span")
    unseen = rows.only(spans.test)
    raw = trees.chances(booster, scaled(scaler, unseen.x))
    p = calibrated.apply(settled.calibration, raw).astype(np.float64)
    result = Result(
        kind=Kind.ENTRY,
        label=_label(recipe.terms),
        split=split(rows.outcomes.ts, spans, recipe, thinned),
        scalers={INPUT: scaler} if scaler else {},
        calibration=settled.calibration,
        conformal=conformal.measured(p, unseen.kind, alpha=ALPHA, quantile=settled.quantile),
        parameters={**trees.PARAMETERS, "rounds": settled.rounds},
        edge_threshold=settled.edge_threshold,
        metrics=_measure(unseen, p, fitted, settled, recipe.seed),
    )
    say("exporting and checking")
    model = export.to_onnx(booster, len(recipe.spec.names))
    export.check_parity(model, scaled(scaler, unseen.x), raw)
    rows_shown = export.golden({INPUT: unseen.x}, p)
    written = export.write(out, card(recipe, series, result, fitted.x), model, rows_shown)
    return Trained(written, tail, believed)


def spare_columns(recipe: Recipe, lake: Path) -> columns.Spare:
    """Tell which columns of the recipe's training rows say nothing, or nothing new."""
    rows = joined(list(build(read(recipe, lake), recipe.spec, recipe.terms)))
    return columns.spare(rows.x[_spans(rows, recipe).train], recipe.spec.names)


def _spans(rows: Rows, recipe: Recipe) -> Spans:
    return cut(
        rows.outcomes.ts,
        rows.outcomes.ts_end,
        test_start=recipe.test_start or default_test_start(rows.outcomes.ts),
        embargo=recipe.terms.horizon_ns,
        train_start=recipe.train_start,
        validation_start=recipe.validation_start,
        test_end=recipe.test_end,
    )


def _settle(early: Rows, validation: Rows, recipe: Recipe) -> tuple[Settled, npt.NDArray[np.float64]]:
    scaler: RobustScaler | None = normalise.fit(early.x) if recipe.scaled else None
    booster = trees.fit(scaled(scaler, early.x), early.kind, recipe.seed)
    x = scaled(scaler, validation.x)
    rounds = trees.best_rounds(booster, x, validation.kind)
    raw = trees.chances(booster, x, rounds)
    calibration = calibrate.fit(raw, validation.kind, HOLD)
    p = calibrated.apply(calibration, raw).astype(np.float64)
    settled = Settled(
        rounds=rounds,
        calibration=calibration,
        quantile=conformal.fit(p, validation.kind, ALPHA),
        edge_threshold=threshold_for(p[:, UP] - p[:, DOWN], TRADED_SHARE),
        momentum_threshold=threshold_for(validation.momentum, TRADED_SHARE),
    )
    return settled, p


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
