"""Trees of a plan: the recipes that make them, and their answers to rows that they had not seen.

Must not know networks or other orders. Called by training.plan.job. An entry model's answers before the
test span come from folds of its own recipe, each fitted on what lay before it; those of the test span
from the model that is written.
"""

from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from feeds.lake import BarArrays
from inference.artifact import INPUT, load, open_session
from inference.card import CLASSES
from inference.features.fold import Folded
from training import columns, export, recipe, regime, volatility, volume
from training.dataset import Rows, build, fingerprint, joined
from training.members import kept
from training.members.kept import Kept, Subject
from training.members.out_of_fold import cuts_of
from training.panel.panel import Floats
from training.plan.job import Job, Say, recipe_of
from training.plan.schema import Trees
from training.provenance import Recipe, read

FOLD_ROWS = 60_000
"""Training rows of a fold at most: its answers feed other models, it is not shipped."""


def make(job: Job, order: Trees, say: Say) -> None:
    """Write the model to the plan's folder and, of an entry model with folds, its answers."""
    plan, out = recipe_of(job, order), job.place.out / order.name
    if order.kind != "entry":
        question = volatility.VOLATILITY if order.kind == "regime" else volume.VOLUME
        regime.train(question, plan, job.place.data, out, say)
        return
    export.check_target(out)
    columns.require_no_tape(plan.spec)
    say("reading bars")
    series = read(plan, job.place.data)
    say("folding features, walking labels")
    seen: list[Folded] = []
    rows = joined(list(build(series, plan.spec, plan.terms, partial(_remember, seen))))
    written = recipe.fit(plan, series, rows, out, say).card
    if not order.folds:
        return
    assert plan.test_start is not None
    cuts = cuts_of(int(rows.outcomes.ts.min()), plan.test_start, order.folds)
    found = _Answers(rows)
    for number, (start, end) in enumerate(zip(cuts, (*cuts[1:], plan.test_start), strict=True), 1):
        say(f"fold {number} of {order.folds}")
        folder = job.place.work / "folds" / f"{order.name}-{number}"
        fold = msgspec.structs.replace(plan, test_start=start, test_end=end, max_rows=FOLD_ROWS)
        recipe.fit(fold, series, rows, folder, _silent)
        found.ask(folder, number, start, end)
    found.ask(out, kept.TEST, plan.test_start, int(rows.outcomes.ts.max()) + 1)
    say("keeping the answers")
    subject = _subject(plan, series, written.model_hash, written.edge_threshold, rows)
    kept.save(job.place.kept(order.name), found.kept(subject, seen))


class _Answers:
    """What models say of the rows of their spans, gathered."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._p: Floats = np.full((len(rows), 3), np.nan)
        self._fold = np.full(len(rows), -1, np.int8)

    def ask(self, folder: Path, number: int, start: int, end: int) -> None:
        """Let the model in `folder` answer the rows decided in [start, end)."""
        model = load(folder)
        ts = self._rows.outcomes.ts
        at = np.flatnonzero((ts >= start) & (ts < end))
        self._p[at] = model.run(open_session(model.model), {INPUT: self._rows.x[at]})
        self._fold[at] = number

    def kept(self, subject: Subject, seen: list[Folded]) -> Kept:
        """Give what was answered, with what risk and the figures have to know of each row."""
        answered = self._fold >= 0
        rows, out = self._rows.only(answered), self._rows.outcomes
        beside = {name: np.full(len(self._rows), np.nan) for name in ("close", "atr", "volatility")}
        for number, folded in enumerate(seen):
            mine = out.instrument == number
            slot = np.searchsorted(folded.ts_close, out.ts[mine])
            for name, values in beside.items():
                values[mine] = getattr(folded, name)[slot]
        known = rows.outcomes
        return Kept(
            subject,
            instrument=known.instrument,
            ts=known.ts,
            ts_end=known.ts_end,
            fold=self._fold[answered],
            kind=rows.kind,
            **{name: values[answered] for name, values in beside.items()},
            momentum=rows.momentum,
            long_return=known.long_return,
            short_return=known.short_return,
            voices={subject.model: self._p[answered].astype(np.float32)},
        )


def _subject(plan: Recipe, series: list[BarArrays], model_hash: str, threshold: float, rows: Rows) -> Subject:
    assert plan.test_start is not None
    return Subject(
        name=plan.name,
        model="trees",
        kind="entry",
        target="barrier",
        spec=plan.spec.name,
        decision=plan.spec.decision.value,
        venue=plan.venue,
        source=plan.source.value,
        instruments=tuple(bars.instrument for bars in series),
        classes=CLASSES,
        barrier_atr=plan.terms.barrier_atr,
        horizon_bars=plan.terms.horizon_bars,
        seed=plan.seed,
        data_hash=fingerprint(series),
        test_start=plan.test_start,
        test_end=int(rows.outcomes.ts.max()),
        trials=plan.trials,
        model_hash=model_hash,
        edge_threshold=threshold,
    )


def _remember(seen: list[Folded], _: BarArrays, folded: Folded) -> None:
    seen.append(folded)


def _silent(_: str) -> None:
    """Say nothing of a fold's phases."""
