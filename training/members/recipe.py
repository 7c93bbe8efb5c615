"""One recipe for every model: answers out of fold, calibration and threshold on them, the test span once.

Must not know the command line, kinds of networks or how rows were made. Called by training.plan and
training.measure, with baselines beside the model on the same rows.

Order matters. The folds before the test span answer rows that they have not seen; on those answers
calibration, conformal quantile and threshold are fixed, and the folds' own validation tails say how long to
learn. Then the model is fitted on all rows before the test, and the test span is looked at once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.clock import DAY
from core.errors import DataError, UsageError
from core.text import iso
from inference import calibrate as calibrated
from inference import conformal
from inference.card import CLASSES, BinaryMetrics, Calibration, Card, Kind, Metrics
from training import calibrate, export, splits
from training.members import carded, figures
from training.members.kept import TEST, Kept, Subject, save
from training.members.member import Fitted, Lesson, Maker, Say
from training.members.order import Order
from training.members.out_of_fold import cuts_of, out_of_fold, thinned
from training.panel.panel import UNKNOWN, Flags, Floats, Ints, Kinds, Panel
from training.targets.target import kinds
from training.targets.weights import uniqueness

__all__ = ["ALPHA", "Crafted", "Order", "craft"]

BARRIER = "barrier"
"""The target whose labels the weights of a panel are about."""
APART = 3
"""Strides of answers are powers of it, so that they nest."""
ALPHA = 0.1
"""Of the conformal sets."""


@dataclass(frozen=True, eq=False)
class Crafted:
    """What came out: the answers of all voices, and the card where an artifact was written."""

    kept: Kept
    card: Card | None


class Spoken(NamedTuple):
    """One maker's calibrated answers p [rows, classes], NaN where it did not speak, and its final model.

    `fold` and `kind` [rows] are those of training.members.out_of_fold, TEST in the test span.
    """

    p: Floats
    fold: Kinds
    kind: Kinds
    calibration: Calibration
    final: Fitted


def craft(order: Order, panel: Panel, out: Path | None, work: Path, say: Say) -> Crafted:
    """Carry the order out on the panel: answers to work/NAME.npz and, with `out`, a verified artifact.

    DataError where a span has no rows, UsageError for an `out` that holds something else, ModelError
    if the written artifact fails its check or a network diverges. UsageError, too, for an entry model that
    is to be written and was not asked which barrier comes first: its card and the daemon take it for that.
    """
    if out is not None:
        if order.kind is Kind.ENTRY and order.target.name != BARRIER:
            raise UsageError(
                f"{order.name}: expected an entry model of target {BARRIER} where an artifact is written; "
                f"found {order.target.name}"
            )
        export.check_target(out)
    rows = asked(order, panel)
    spans = splits.cut(
        rows.ts,
        ends(order, rows),
        test_start=order.test_start,
        embargo=order.horizon_ns,
        test_end=order.test_end,
    )
    say(
        f"{order.name}: {int(spans.train.sum()):,} rows before {iso(order.test_start)[:10]}, "
        f"{int(spans.test.sum()):,} from then on"
    )
    lesson = labelled(order, rows, spans.train)
    voices = {
        maker.name: _speak(order, maker, lesson, spans, say) for maker in (order.maker, *order.baselines)
    }
    own = voices[order.maker.name]
    judged = figures.Judged(
        panel=rows,
        kind=own.kind,
        past=np.flatnonzero(own.fold > TEST),
        test=np.flatnonzero(spans.test),
        taught=lesson.kind[spans.train],
        seed=order.seed,
    )
    sided = order.target.classes == CLASSES
    chosen = figures.threshold(order.kind, judged, own.p) if sided else figures.Chosen()
    card = None
    if out is not None:
        say(f"{order.name}: measuring, exporting and checking")
        result = _result(order, lesson, spans, judged, chosen, voices)
        card = carded.write(out, order, rows, spans, result)
    kept = _kept(order, judged, voices, chosen.edge, "" if card is None else card.model_hash)
    save(work / f"{order.name}.npz", kept)
    return Crafted(kept, card)


def asked(order: Order, panel: Panel) -> Panel:
    """Give the rows whose answer is known and that no vault covers, thinned before the test span."""
    wanted = [order.target.name, *(target.name for target in order.heads.values())]
    if absent := [name for name in wanted if name not in panel.followed]:
        raise UsageError(
            f"{order.name}: expected a panel that answers {', '.join(wanted)}; "
            f"found none of {', '.join(absent)}"
        )
    known = _known(order, panel)
    if order.vault_start is not None:
        known &= ends(order, panel) <= order.vault_start
    before = known & (panel.ts < order.test_start)
    if not before.any():
        raise DataError(f"{order.name}: expected rows before {iso(order.test_start)}; found none")
    stride = 1
    while int(before.sum()) > stride * order.max_answers:
        stride *= APART
    # A day's bars are a multiple of three, so a stride alone would show the same few hours of every day.
    place = panel.ts // panel.spec.decision.ns + panel.ts // DAY
    whole = place % stride == 0
    return panel.only(known & (whole | (panel.ts >= order.test_start)))


def ends(order: Order, panel: Panel) -> Ints:
    """Give when the last of a row's answers was known: target, heads, and what it would have earned."""
    names = (order.target.name, *(target.name for target in order.heads.values()))
    parts = [panel.paid.ts_end, *(panel.followed[name].ts_end for name in names)]
    latest: Ints = np.maximum.reduce(parts)
    return latest


def labelled(order: Order, panel: Panel, teaching: Flags) -> Lesson:
    """Give the rows with their classes; bounds between classes come from the `teaching` rows alone."""
    beside = {}
    for head, target in order.heads.items():
        told = panel.followed[target.name]
        beside[head] = (
            kinds(told, _bounds(order, panel, target.name, teaching)) if target.classes else told.value
        )
    followed = panel.followed[order.target.name]
    kind = kinds(followed, _bounds(order, panel, order.target.name, teaching))
    return Lesson(panel, kind, weights(order, panel), beside)


def weights(order: Order, panel: Panel) -> Floats:
    """Give how much each row counts: the uniqueness of its answer; the panel's own is that of barriers."""
    if order.target.name == BARRIER:
        return panel.weight
    told = panel.followed[order.target.name]
    return uniqueness(panel.instrument, panel.ts, told.ts_end, panel.spec.decision.ns)


def _bounds(order: Order, panel: Panel, name: str, teaching: Flags) -> tuple[float, ...]:
    target = next(one for one in (order.target, *order.heads.values()) if one.name == name)
    values = panel.followed[name].value[teaching]
    return target.bounds(values[np.isfinite(values)])


def _known(order: Order, panel: Panel) -> Flags:
    every = np.ones(len(panel), np.bool_)
    followed = panel.followed[order.target.name]
    known: Flags = kinds(followed, _bounds(order, panel, order.target.name, every)) != UNKNOWN
    # What a trade would have made must be known too: thresholds and the card's trades rest on it.
    return known & np.isfinite(panel.paid.long_return)


def _speak(order: Order, maker: Maker, lesson: Lesson, spans: splits.Spans, say: Say) -> Spoken:
    classes, panel = len(order.target.classes), lesson.panel
    # Only rows that were settled by the test span: what is chosen on their answers knows nothing of it.
    before = np.flatnonzero(spans.train)
    past = lesson.only(before)
    folded = out_of_fold(
        maker,
        past,
        cuts_of(int(past.panel.ts.min()), order.test_start, order.folds),
        embargo=order.horizon_ns,
        classes=classes,
        seed=order.seed,
        ts_end=ends(order, past.panel),
        relabel=lambda rows, teaching: labelled(order, rows.panel, teaching),
        max_rows=order.max_rows,
        say=say,
    )
    say(f"{order.name}: {maker.name} on all rows before the test span")
    final = maker.again(folded.fitted).fit(
        lesson.only(thinned(spans.train, order.max_rows)),
        lesson.only(thinned(spans.validation, order.max_rows)),
        classes=classes,
        seed=order.seed,
        say=say,
    )
    fold, kind, raw = (
        np.full(len(panel), UNKNOWN, np.int8),
        lesson.kind.copy(),
        np.full((len(panel), classes), np.nan),
    )
    fold[before], kind[before], raw[before] = folded.fold, folded.kind, folded.p
    fold[spans.test], raw[spans.test] = TEST, final.chances(panel.only(spans.test))
    out = fold > TEST
    calibration = calibrate.fit(raw[out], kind[out], _free(order.target.classes))
    p = np.full_like(raw, np.nan)
    spoke = fold != UNKNOWN
    p[spoke] = calibrated.apply(calibration, raw[spoke])
    return Spoken(p, fold, kind, calibration, final)


def _free(classes: tuple[str, ...]) -> int:
    """Give the class whose bias calibration may move: the one of no event, or the middle."""
    return next((number for number, name in enumerate(classes) if name in ("hold", "none")), 1)


def _result(
    order: Order,
    lesson: Lesson,
    spans: splits.Spans,
    judged: figures.Judged,
    chosen: figures.Chosen,
    voices: dict[str, Spoken],
) -> carded.Result:
    own = voices[order.maker.name]
    quantile = conformal.fit(own.p[judged.past], own.kind[judged.past], ALPHA)
    return carded.Result(
        final=own.final,
        calibration=own.calibration,
        conformal=conformal.measured(
            own.p[judged.test], own.kind[judged.test], alpha=ALPHA, quantile=quantile
        ),
        metrics=_metrics(order, judged, chosen, voices),
        edge_threshold=chosen.edge,
        bounds=_bounds(order, lesson.panel, order.target.name, spans.train),
        p=own.p,
        thinned=max(1, -(-int(spans.train.sum()) // order.max_rows)),
    )


def _metrics(
    order: Order, judged: figures.Judged, chosen: figures.Chosen, voices: dict[str, Spoken]
) -> Metrics | BinaryMetrics:
    p = voices[order.maker.name].p
    if order.kind is Kind.ENTRY:
        return figures.entry(judged, p, chosen)
    rival = order.baselines[0].name
    return figures.binary(judged, p, rival, voices[rival].p)


def _kept(
    order: Order, judged: figures.Judged, voices: dict[str, Spoken], edge_threshold: float, model_hash: str
) -> Kept:
    own, panel = voices[order.maker.name], judged.panel
    at = np.flatnonzero(own.fold != UNKNOWN)
    rows = panel.only(at)
    subject = Subject(
        name=order.name,
        model=order.maker.name,
        kind=order.kind.value,
        target=order.target.name,
        spec=panel.spec.name,
        decision=panel.spec.decision.value,
        venue=order.venue,
        source=order.source.value,
        instruments=panel.instruments,
        classes=order.target.classes,
        barrier_atr=order.terms.barrier_atr,
        horizon_bars=order.terms.horizon_bars,
        seed=order.seed,
        data_hash=panel.data_hash,
        test_start=order.test_start,
        test_end=int(panel.ts[judged.test].max()),
        trials=order.trials,
        model_hash=model_hash,
        edge_threshold=edge_threshold,
    )
    return Kept(
        subject,
        instrument=rows.instrument,
        ts=rows.ts,
        # Not the heads' ends: they are not kept, and what trades made is reckoned by this.
        ts_end=np.maximum(rows.paid.ts_end, rows.followed[order.target.name].ts_end),
        fold=own.fold[at],
        kind=own.kind[at],
        close=rows.close,
        atr=rows.atr,
        volatility=rows.volatility,
        momentum=rows.momentum,
        long_return=rows.paid.long_return,
        short_return=rows.paid.short_return,
        voices={name: one.p[at].astype(np.float32) for name, one in voices.items()},
    )
