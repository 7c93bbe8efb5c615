"""One training run of a model that says what the coming hours will be like: volatile, busy.

Must not know the command line, how progress is shown, or what is asked (training.volatility,
training.volume). Called by training.cli and by tests. The order is that of training.recipe: what "high"
means comes from training rows or from each row's own past, rounds and calibration from the validation
span, and the test span is looked at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import DAY, HOUR
from core.errors import DataError
from feeds.lake import BarArrays
from inference import calibrate as calibrated
from inference.artifact import INPUT
from inference.card import BinaryMetrics, Calibration, Card, Kind, LabelTerms
from inference.features.fold import Folded
from inference.features.spec import FLAT, FeatureSpec
from training import bootstrap, calibrate, columns, export, trees
from training.dataset import folds
from training.evaluate import area, log_loss, mean
from training.provenance import Recipe, Result, card, read, split
from training.recipe import Say
from training.splits import cut, default_test_start

NORMAL, HIGH = 0, 1

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


class Around(NamedTuple):
    """What was measured around decisions: over the coming horizon [n], over past spans [n, spans].

    Above 0 where it is known, NaN elsewhere. `ahead` reads the future on purpose and may never reach
    a feature.
    """

    ahead: Floats
    behind: Floats


class Question(NamedTuple):
    """What a regime model is asked.

    `measure` looks around decisions at `ts_close` (ns) with a horizon in ns, `bound` gives from the
    training rows' `ahead` what is above it "high", `rule` is the label's sentence. `unit` names the
    bound on the card. `by_hour`: also measure what the hour of the day alone would know.
    """

    kind: Kind
    measure: Callable[[BarArrays, Times, int], Around]
    bound: Callable[[Floats], float]
    rule: Callable[[Recipe, float], str]
    unit: str
    rival: str
    by_hour: bool = False


@dataclass(frozen=True)
class Rows:
    """Decisions with what followed [n] in the question's unit, and the rival's view [n, spans + 1]."""

    x: npt.NDArray[np.float32]
    instrument: npt.NDArray[np.int32]
    ts: npt.NDArray[np.int64]
    ts_end: npt.NDArray[np.int64]
    ahead: Floats
    behind: Floats

    def __len__(self) -> int:
        return len(self.ts)

    def only(self, mask: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> "Rows":
        """Give the rows where `mask` holds."""
        return Rows(*(getattr(self, field.name)[mask] for field in fields(self)))


class Settled(NamedTuple):
    """What the validation span decided."""

    rounds: int
    calibration: Calibration


def train(question: Question, recipe: Recipe, lake: Path, out: Path, say: Say) -> Card:
    """Run the recipe on a lake and write the artifact to `out`; raises as training.recipe.train does."""
    export.check_target(out)
    columns.require_no_tape(recipe.spec)
    say("reading bars")
    series = read(recipe, lake)
    say("folding features, measuring what followed")
    return fit(
        question, recipe, series, build(question, series, recipe.spec, recipe.terms.horizon_ns), out, say
    )


def fit(
    question: Question, recipe: Recipe, series: Sequence[BarArrays], rows: Rows, out: Path, say: Say
) -> Card:
    """Run the recipe on `rows` made of `series`, write the artifact to `out`, as `train` says."""
    start = recipe.test_start or default_test_start(rows.ts)
    spans = cut(
        rows.ts,
        rows.ts_end,
        test_start=start,
        embargo=recipe.terms.horizon_ns,
        test_end=recipe.test_end,
    )
    instruments = [bars.instrument for bars in series]
    known = rows.only(spans.train)
    columns.require_variety(known.x, known.instrument, recipe.spec.names, instruments)
    thinned = max(1, -(-len(known) // recipe.max_rows))
    every = np.arange(len(rows)) % thinned == 0
    say("settling rounds and calibration on the validation span")
    settled = _settle(question, rows.only(spans.early & every), rows.only(spans.validation), recipe.seed)
    say("fitting the trees")
    fitted, unseen = rows.only(spans.train & every), rows.only(spans.test)
    bound = question.bound(fitted.ahead)
    kind = kinds(fitted, bound)
    booster = trees.fit(fitted.x, kind, recipe.seed, settled.rounds, classes=2)
    say("measuring on the test span")
    raw = trees.chances(booster, unseen.x)
    p = calibrated.apply(settled.calibration, raw).astype(np.float64)
    result = Result(
        kind=question.kind,
        label=_label(question, recipe, bound),
        split=split(rows.ts, spans, recipe, thinned),
        scalers={},
        calibration=settled.calibration,
        conformal=None,
        parameters={**trees.PARAMETERS, "rounds": settled.rounds, f"bound_{question.unit}": bound},
        edge_threshold=0.0,
        metrics=measure(question, fitted, unseen, p, bound=bound),
    )
    say("exporting and checking")
    model = export.to_onnx(booster, len(recipe.spec.names))
    export.check_parity(model, unseen.x, raw)
    return export.write(
        out, card(recipe, series, result, fitted.x), model, export.golden({INPUT: unseen.x}, p)
    )


def build(
    question: Question,
    series: Sequence[BarArrays],
    spec: FeatureSpec,
    horizon_ns: int,
    on_fold: Callable[[BarArrays, Folded], None] | None = None,
) -> Rows:
    """Give the rows of all instruments; DataError if there are none. `on_fold` as training.dataset.build."""
    parts = []
    for number, (bars, folded) in enumerate(zip(series, folds(series, spec), strict=True)):
        if on_fold is not None:
            on_fold(bars, folded)
        around = question.measure(bars, folded.ts_close, horizon_ns)
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


def kinds(rows: Rows, bound: float) -> npt.NDArray[np.int8]:
    """Give the classes of rows under a bound in the question's unit."""
    return np.where(rows.ahead > bound, HIGH, NORMAL).astype(np.int8)


def measure(question: Question, fitted: Rows, unseen: Rows, p: Floats, *, bound: float) -> BinaryMetrics:
    """Measure the test span: model `p` [n, 2] beside the rival and the shares of the training rows."""
    known, kind = kinds(fitted, bound), kinds(unseen, bound)
    share, rival = float(known.mean()), _rival(fitted, unseen, known)
    hours = _by_hour(fitted, known.astype(np.float64))[_hour(unseen)]
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
        rival=question.rival,
        log_loss_rival=float(log_loss(rival, kind).mean()),
        auc_rival=area(rival[:, HIGH], high, days, weights),
        bootstrap=bootstrap.NAME,
        log_loss_hour=(
            float(log_loss(np.column_stack([1.0 - hours, hours]), kind).mean())
            if question.by_hour
            else msgspec.UNSET
        ),
    )


def _settle(question: Question, early: Rows, validation: Rows, seed: int) -> Settled:
    bound = question.bound(early.ahead)
    booster = trees.fit(early.x, kinds(early, bound), seed, classes=2)
    seen = kinds(validation, bound)
    rounds = trees.best_rounds(booster, validation.x, seen)
    return Settled(rounds, calibrate.fit(trees.chances(booster, validation.x, rounds), seen, HIGH))


def _rival(fitted: Rows, unseen: Rows, kind: npt.NDArray[np.int8]) -> Floats:
    """Fit the simple forecast on training rows and give its chances [n, 2] of the test rows."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    by_hour = _by_hour(fitted, np.log(fitted.ahead))

    def seen(rows: Rows) -> Floats:
        return np.column_stack([rows.behind[:, :-1], by_hour[_hour(rows)]])

    # The default's penalty is too small to matter at this many rows.
    simple = LogisticRegression(max_iter=500).fit(seen(fitted), kind)
    chances: Floats = simple.predict_proba(seen(unseen))
    return chances


def _hour(rows: Rows) -> npt.NDArray[np.int64]:
    return rows.behind[:, -1].astype(np.int64)


def _by_hour(rows: Rows, values: Floats) -> Floats:
    """Give the mean of `values` [n] by the hour of the decision, UTC [24]."""
    hours = _hour(rows)
    count = np.maximum(np.bincount(hours, minlength=24), 1)
    return np.bincount(hours, values, 24) / count


def _label(question: Question, recipe: Recipe, bound: float) -> LabelTerms:
    terms = recipe.terms
    return LabelTerms(terms.decision.value, 0.0, terms.horizon_bars, question.rule(recipe, bound))
