"""One training run of a regime model, which says whether the coming hours will be volatile.

Must not know the command line or how progress is shown. Called by training.cli and by tests. The order is
that of training.recipe: what "high" means comes from training rows, rounds and calibration from the
validation span, and the test span is looked at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.clock import DAY, HOUR
from core.errors import DataError
from feeds.lake import BarArrays
from inference import calibrate as calibrated
from inference.artifact import INPUT
from inference.card import BinaryMetrics, Calibration, Card, Kind, LabelTerms
from inference.features.spec import FLAT, FeatureSpec
from training import bootstrap, calibrate, columns, export, trees
from training.dataset import folds
from training.evaluate import area, log_loss, mean
from training.provenance import Recipe, Result, card, read, split
from training.recipe import Say
from training.splits import cut, default_test_start
from training.volatility import realised

NORMAL, HIGH = 0, 1
PERCENTILE = 0.8
"""Of the training rows: a fifth of them is "high"."""
RIVAL = "logistic regression on the past volatility of three spans and its mean by hour"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Decisions with the volatility [n] that followed in bps an hour, and the rival's view [n, 4]."""

    x: npt.NDArray[np.float32]
    instrument: npt.NDArray[np.int32]
    ts: npt.NDArray[np.int64]
    ts_end: npt.NDArray[np.int64]
    ahead: Floats
    behind: Floats

    def __len__(self) -> int:
        return len(self.ts)

    def only(self, mask: npt.NDArray[np.bool_]) -> "Rows":
        """Give the rows where `mask` holds."""
        return Rows(*(getattr(self, field.name)[mask] for field in fields(self)))


class Settled(NamedTuple):
    """What the validation span decided."""

    rounds: int
    calibration: Calibration


def train(recipe: Recipe, lake: Path, out: Path, say: Say) -> Card:
    """Run the recipe on a lake and write the artifact to `out`; raises as training.recipe.train does."""
    export.check_target(out)
    columns.require_no_tape(recipe.spec)
    say("reading bars")
    series = read(recipe, lake)
    say("folding features, measuring volatility")
    rows = build(series, recipe.spec, recipe.terms.horizon_ns)
    start = recipe.test_start or default_test_start(rows.ts)
    spans = cut(rows.ts, rows.ts_end, test_start=start, embargo=recipe.terms.horizon_ns)
    instruments = [bars.instrument for bars in series]
    known = rows.only(spans.train)
    columns.require_variety(known.x, known.instrument, recipe.spec.names, instruments)
    thinned = max(1, -(-len(known) // recipe.max_rows))
    every = np.arange(len(rows)) % thinned == 0
    say("settling rounds and calibration on the validation span")
    settled = _settle(rows.only(spans.early & every), rows.only(spans.validation), recipe.seed)
    say("fitting the trees")
    fitted, unseen = rows.only(spans.train & every), rows.only(spans.test)
    bound = float(np.quantile(fitted.ahead, PERCENTILE))
    kind = _kind(fitted, bound)
    booster = trees.fit(fitted.x, kind, recipe.seed, settled.rounds, classes=2)
    say("measuring on the test span")
    raw = trees.chances(booster, unseen.x)
    p = calibrated.apply(settled.calibration, raw).astype(np.float64)
    result = Result(
        kind=Kind.REGIME,
        label=_label(recipe, bound),
        split=split(rows.ts, spans, recipe, thinned),
        scalers={},
        calibration=settled.calibration,
        conformal=None,
        parameters={**trees.PARAMETERS, "rounds": settled.rounds, "bound_bps": bound},
        edge_threshold=0.0,
        metrics=measure(unseen, p, _rival(fitted, unseen, kind), bound=bound, share=float(kind.mean())),
    )
    say("exporting and checking")
    model = export.to_onnx(booster, len(recipe.spec.names))
    export.check_parity(model, unseen.x, raw)
    return export.write(
        out, card(recipe, series, result, fitted.x), model, export.golden({INPUT: unseen.x}, p)
    )


def build(series: Sequence[BarArrays], spec: FeatureSpec, horizon_ns: int) -> Rows:
    """Give the rows of all instruments; DataError if there are none."""
    parts = []
    for number, (bars, folded) in enumerate(zip(series, folds(series, spec), strict=True)):
        around = realised(bars, folded.ts_close, horizon_ns)
        whole = np.isfinite(around.ahead) & np.isfinite(around.behind).all(axis=1)
        kept = np.flatnonzero(folded.ready & whole)
        ts = folded.ts_close[kept]
        view = np.column_stack([np.log(around.behind[kept]), ts // HOUR % 24])
        owner = np.full(len(kept), number, np.int32)
        x = folded.tensors(kept)[FLAT]
        parts.append(Rows(x, owner, ts, ts + horizon_ns, around.ahead[kept], view))
    if not any(map(len, parts)):
        raise DataError("expected rows after warm-up with a whole horizon of bars behind them; found none")
    return Rows(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Rows)))


def measure(unseen: Rows, p: Floats, rival: Floats, *, bound: float, share: float) -> BinaryMetrics:
    """Measure the test span: model `p` [n, 2], rival [n, 2]; `share` of high rows in training."""
    kind = _kind(unseen, bound)
    high = kind == HIGH
    days = unseen.ts // DAY - unseen.ts.min() // DAY
    weights = bootstrap.day_weights(int(days.max()) + 1, seed=1)
    loss = log_loss(p, kind)
    base = log_loss(np.array([[1.0 - share, share]]), kind)
    return BinaryMetrics(
        share=float(high.mean()),
        accuracy=mean((p.argmax(axis=1) == kind).astype(np.float64), days, weights),
        accuracy_base=float(np.mean(kind == NORMAL)),
        log_loss=float(loss.mean()),
        log_loss_base=float(base.mean()),
        log_loss_gain=mean(base - loss, days, weights),
        auc=area(p[:, HIGH], high, days, weights),
        rival=RIVAL,
        log_loss_rival=float(log_loss(rival, kind).mean()),
        auc_rival=area(rival[:, HIGH], high, days, weights),
        bootstrap=bootstrap.NAME,
    )


def _settle(early: Rows, validation: Rows, seed: int) -> Settled:
    bound = float(np.quantile(early.ahead, PERCENTILE))
    booster = trees.fit(early.x, _kind(early, bound), seed, classes=2)
    seen = _kind(validation, bound)
    rounds = trees.best_rounds(booster, validation.x, seen)
    return Settled(rounds, calibrate.fit(trees.chances(booster, validation.x, rounds), seen, HIGH))


def _rival(fitted: Rows, unseen: Rows, kind: npt.NDArray[np.int8]) -> Floats:
    """Fit the simple forecast on training rows and give its chances [n, 2] of the test rows."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    hours = fitted.behind[:, -1].astype(np.int64)
    count = np.maximum(np.bincount(hours, minlength=24), 1)
    by_hour = np.bincount(hours, np.log(fitted.ahead), 24) / count

    def seen(rows: Rows) -> Floats:
        return np.column_stack([rows.behind[:, :-1], by_hour[rows.behind[:, -1].astype(np.int64)]])

    # The default's penalty is too small to matter at this many rows.
    simple = LogisticRegression(max_iter=500).fit(seen(fitted), kind)
    chances: Floats = simple.predict_proba(seen(unseen))
    return chances


def _kind(rows: Rows, bound: float) -> npt.NDArray[np.int8]:
    return np.where(rows.ahead > bound, HIGH, NORMAL).astype(np.int8)


def _label(recipe: Recipe, bound: float) -> LabelTerms:
    terms = recipe.terms
    rule = (
        f"high: over the coming {terms.horizon_bars} bars of {terms.decision.value} the deviation of "
        f"{recipe.source.value} log returns is above {bound:.1f} bps an hour, which a fifth of the training "
        "rows exceed."
    )
    return LabelTerms(terms.decision.value, 0.0, terms.horizon_bars, rule)
