"""The manager as an artifact that the daemon accepts: graph, golden rows and a card with its figures.

Must not know how looks were made or which maker won. Called by training.manager.recipe.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from core.clock import DAY
from core.market import Timeframe
from core.text import iso
from feeds.lake import BarArrays
from inference.card import (
    CLASSES_OF,
    SCHEMA,
    BinaryMetrics,
    Card,
    DataUsed,
    FeatureRef,
    Interval,
    Kind,
    LabelTerms,
    Split,
)
from training import bootstrap, export
from training.evaluate import area, log_loss, mean
from training.manager.heard import Heard, lesson_of
from training.manager.rows import CONTINUE, TARGET_NAME, InTrade, InTradeTerms
from training.members import carded, parity
from training.members.kept import TEST
from training.members.member import Fitted
from training.members.out_of_fold import thinned
from training.members.seen import newest
from training.panel.panel import Ints, Matrix, Panel
from training.splits import Spans

_SAMPLE = 50_000


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What the card says that the figures do not. `leave_at` is the policy's threshold, if there is one."""

    name: str
    version: str
    venue: str
    command: str
    seed: int
    trials: int
    embargo_s: int
    max_rows: int
    terms: InTradeTerms
    leave_at: float | None


def write(
    out: Path,
    looks: InTrade,
    chosen: Heard,
    *,
    rival: Heard | None,
    rows: Ints,
    spans: Spans,
    made: Made,
    series: Sequence[BarArrays],
) -> Card:
    """Write and prove the folder; `rows` are the looks that are judged, `spans` the final fit's.

    ModelError where the graph does not equal the model on unseen rows within the daemon's tolerance; the
    largest difference and the policy's threshold are among the card's parameters.
    """
    test = rows[chosen.fold[rows] == TEST]
    lesson, _ = lesson_of(looks)
    trained = lesson.panel.only(thinned(spans.train, made.max_rows))
    model = chosen.final.to_onnx()
    unseen = looks.panel.only(test)
    apart = parity.check(model, chosen.final, unseen, made.name)
    golden = np.linspace(0, len(test) - 1, min(len(test), export.GOLDEN_ROWS)).astype(np.int64)
    tensors = _read(chosen.final, unseen, golden)
    policy = {} if made.leave_at is None else {"leave_at": made.leave_at}
    card = Card(
        schema=SCHEMA,
        kind=Kind.MANAGER,
        name=made.name,
        version=made.version,
        model_hash="",
        files={},
        command=made.command,
        libraries=carded.libraries(),
        features=FeatureRef(unseen.spec.name, unseen.spec.hash, len(unseen.spec.names)),
        inputs=dict(chosen.final.inputs),
        scalers=dict(chosen.final.scalers),
        label=LabelTerms(unseen.spec.decision.value, 0.0, made.terms.latest, made.terms.rule),
        classes=CLASSES_OF[Kind.MANAGER],
        calibration=chosen.calibration,
        conformal=None,
        data=_data(made.venue, series, looks.panel.data_hash),
        split=_split(lesson.panel, spans, made),
        seed=made.seed,
        trials=made.trials,
        parameters={**chosen.final.parameters, "parity": apart, **policy},
        edge_threshold=0.0,
        metrics=_metrics(looks, chosen, rival, test, made.seed),
        deciles=_deciles(chosen.final, trained),
    )
    return export.write(out, card, model, export.golden(tensors, chosen.chances[test][golden]))


def _read(fitted: Fitted, panel: Panel, rows: Ints) -> dict[str, Matrix]:
    tensors = panel.tensors(rows)
    return {name: tensors[name] for name in fitted.inputs}


def _data(venue: str, series: Sequence[BarArrays], sha256: str) -> DataUsed:
    return DataUsed(
        venue=venue,
        timeframe=Timeframe.M1.value,
        instruments=tuple(bars.instrument for bars in series),
        start=iso(min(int(bars.ts_open[0]) for bars in series)),
        end=iso(max(int(bars.ts_close[-1]) for bars in series)),
        sha256=sha256,
    )


def _split(known: Panel, spans: Spans, made: Made) -> Split:
    used = known.ts[spans.train | spans.test]
    return Split(
        train_start=iso(int(used.min())),
        validation_start=iso(spans.validation_start),
        test_start=iso(spans.test_start),
        test_end=iso(int(used.max())),
        embargo_s=made.embargo_s,
        train_rows=int(spans.train.sum()),
        validation_rows=int(spans.validation.sum()),
        test_rows=int(spans.test.sum()),
        purged_rows=spans.purged,
        thinned=max(1, -(-int(spans.train.sum()) // made.max_rows)),
    )


def _metrics(looks: InTrade, chosen: Heard, rival: Heard | None, test: Ints, seed: int) -> BinaryMetrics:
    """Measure the test span; without a rival the base stands in its place, whose AUC is a half."""
    kinds = looks.panel.followed[TARGET_NAME].kind
    lesson, known = lesson_of(looks)
    share = float(np.mean(lesson.kind[chosen.fold[known] != TEST] == CONTINUE))
    ts, kind, p = looks.panel.ts[test], kinds[test], chosen.chances[test]
    days = ts // DAY - ts.min() // DAY
    weights = bootstrap.day_weights(int(days.max()) + 1, seed)
    loss, base = log_loss(p, kind), log_loss(np.array([[1.0 - share, share]]), kind)
    went_on = kind == CONTINUE
    told = None if rival is None else rival.chances[test]
    return BinaryMetrics(
        share=float(went_on.mean()),
        accuracy=mean((p.argmax(axis=1) == kind).astype(np.float64), days, weights),
        accuracy_base=float(np.mean(kind == int(share > 0.5))),
        log_loss=float(loss.mean()),
        log_loss_base=float(base.mean()),
        log_loss_gain=mean(base - loss, days, weights),
        auc=area(p[:, CONTINUE], went_on, days, weights),
        rival="none" if rival is None else f"{rival.name}: shares by the last minutes' move in its direction",
        log_loss_rival=float(base.mean() if told is None else log_loss(told, kind).mean()),
        auc_rival=Interval(0.5, None, None)
        if told is None
        else area(told[:, CONTINUE], went_on, days, weights),
        bootstrap=bootstrap.NAME,
    )


def _deciles(fitted: Fitted, trained: Panel) -> dict[str, tuple[tuple[float, ...], ...]]:
    rows = np.arange(0, len(trained), max(1, len(trained) // _SAMPLE))
    found = {}
    for name in fitted.inputs:
        edges = np.quantile(newest(trained, name, rows), np.linspace(0.1, 0.9, 9), axis=0).astype(np.float32)
        found[name] = tuple(tuple(map(export.shortest, column)) for column in edges.T)
    return found
