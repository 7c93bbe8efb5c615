"""Trees of a plan: the recipes that make them, and their answers to rows that they had not seen.

Must not know networks or other orders. Called by training.plan.job. A model's answers before the
test span come from folds of its own recipe, each fitted on what lay before it; those of the test span
from the model that is written.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from feeds.lake import BarArrays
from inference.artifact import INPUT, load, open_session
from inference.card import Card
from inference.features.fold import Folded
from training import columns, export, recipe, regime, volatility, volume
from training.dataset import build, fingerprint, joined
from training.members import kept
from training.members.kept import Kept, Subject
from training.members.out_of_fold import cuts_of
from training.panel.panel import Floats, Ints, Kinds, Matrix
from training.plan.job import Job, Say, recipe_of
from training.plan.schema import Trees
from training.provenance import Recipe, read
from training.trades import Outcomes

FOLD_ROWS = 60_000
"""Training rows of a fold at most: its answers feed other models, it is not shipped."""


class Pipeline(NamedTuple):
    """One kind of trees on rows that are made once: how a model of them is fitted, and what followed.

    `fit` writes a model to a folder; `kind` gives the classes of some rows as that model's card defines them.
    """

    fit: Callable[[Recipe, Path, Say], Card]
    kind: Callable[[Card, Ints], Kinds]
    x: Matrix
    outcomes: Outcomes
    momentum: Floats
    target: str


def make(job: Job, order: Trees, say: Say) -> None:
    """Write the model to the plan's folder and, with folds, its answers."""
    plan, out = recipe_of(job, order), job.place.out / order.name
    export.check_target(out)
    columns.require_no_tape(plan.spec)
    say("reading bars")
    series = read(plan, job.place.data)
    say("folding features, measuring what followed")
    seen: list[Folded] = []
    made = _entry(plan, series, seen) if order.kind == "entry" else _regime(order, plan, series, seen)
    written = made.fit(plan, out, say)
    if not order.folds:
        return
    assert plan.test_start is not None
    ts = made.outcomes.ts
    cuts = cuts_of(int(ts.min()), plan.test_start, order.folds)
    found = _Answers(made, len(written.classes))
    for number, (start, end) in enumerate(zip(cuts, (*cuts[1:], plan.test_start), strict=True), 1):
        say(f"fold {number} of {order.folds}")
        folder = job.place.work / "folds" / f"{order.name}-{number}"
        fold = msgspec.structs.replace(plan, test_start=start, test_end=end, max_rows=FOLD_ROWS)
        made.fit(fold, folder, _silent)
        found.ask(folder, number, start, end)
    found.ask(out, kept.TEST, plan.test_start, int(ts.max()) + 1)
    say("keeping the answers")
    kept.save(job.place.kept(order.name), found.kept(_subject(plan, series, written, made), seen))


def _entry(plan: Recipe, series: list[BarArrays], seen: list[Folded]) -> Pipeline:
    rows = joined(list(build(series, plan.spec, plan.terms, partial(_remember, seen))))
    return Pipeline(
        fit=lambda fold, out, say: recipe.fit(fold, series, rows, out, say).card,
        kind=lambda _, at: rows.kind[at],
        x=rows.x,
        outcomes=rows.outcomes,
        momentum=rows.momentum,
        target="barrier",
    )


def _regime(order: Trees, plan: Recipe, series: list[BarArrays], seen: list[Folded]) -> Pipeline:
    """Nothing is traded on a regime, so its rows earn nothing."""
    question = volatility.VOLATILITY if order.kind == "regime" else volume.VOLUME
    rows = regime.build(question, series, plan.spec, plan.terms.horizon_ns, partial(_remember, seen))
    nothing = np.zeros(len(rows))
    return Pipeline(
        fit=lambda fold, out, say: regime.fit(question, fold, series, rows, out, say),
        kind=lambda card, at: regime.kinds(rows.only(at), card.parameters[f"bound_{question.unit}"]),
        x=rows.x,
        outcomes=Outcomes(rows.instrument, rows.ts, rows.ts_end, nothing, nothing),
        momentum=nothing,
        target="vol_high" if order.kind == "regime" else "volume_up",
    )


class _Answers:
    """What models say of the rows of their spans, gathered."""

    def __init__(self, made: Pipeline, classes: int) -> None:
        self._made = made
        count = len(made.x)
        self._p: Floats = np.full((count, classes), np.nan)
        self._fold = np.full(count, -1, np.int8)
        self._kind = np.full(count, -1, np.int8)

    def ask(self, folder: Path, number: int, start: int, end: int) -> None:
        """Let the model in `folder` answer the rows decided in [start, end)."""
        model = load(folder)
        ts = self._made.outcomes.ts
        at = np.flatnonzero((ts >= start) & (ts < end))
        self._p[at] = model.run(open_session(model.model), {INPUT: self._made.x[at]})
        self._fold[at] = number
        self._kind[at] = self._made.kind(model.card, at)

    def kept(self, subject: Subject, seen: list[Folded]) -> Kept:
        """Give what was answered, with what risk and the figures have to know of each row."""
        answered, rows = np.flatnonzero(self._fold >= 0), self._made.outcomes
        beside = {name: np.full(len(self._p), np.nan) for name in ("close", "atr", "volatility")}
        for number, folded in enumerate(seen):
            mine = rows.instrument == number
            slot = np.searchsorted(folded.ts_close, rows.ts[mine])
            for name, values in beside.items():
                values[mine] = getattr(folded, name)[slot]
        return Kept(
            subject,
            instrument=rows.instrument[answered],
            ts=rows.ts[answered],
            ts_end=rows.ts_end[answered],
            fold=self._fold[answered],
            kind=self._kind[answered],
            **{name: values[answered] for name, values in beside.items()},
            momentum=self._made.momentum[answered],
            long_return=rows.long_return[answered],
            short_return=rows.short_return[answered],
            voices={subject.model: self._p[answered].astype(np.float32)},
        )


def _subject(plan: Recipe, series: list[BarArrays], written: Card, made: Pipeline) -> Subject:
    assert plan.test_start is not None
    return Subject(
        name=plan.name,
        model="trees",
        kind=written.kind.value,
        target=made.target,
        spec=plan.spec.name,
        decision=plan.spec.decision.value,
        venue=plan.venue,
        source=plan.source.value,
        instruments=tuple(bars.instrument for bars in series),
        classes=written.classes,
        barrier_atr=plan.terms.barrier_atr,
        horizon_bars=plan.terms.horizon_bars,
        seed=plan.seed,
        data_hash=fingerprint(series),
        test_start=plan.test_start,
        test_end=int(made.outcomes.ts.max()),
        trials=plan.trials,
        model_hash=written.model_hash,
        edge_threshold=written.edge_threshold,
    )


def _remember(seen: list[Folded], _: BarArrays, folded: Folded) -> None:
    seen.append(folded)


def _silent(_: str) -> None:
    """Say nothing of a fold's phases."""
