"""Out-of-fold answers of an entry model on a manager's own bars, for its simulated entries.

Must not know the manager. Called by training.manager.recipe where it is given no kept answers: a venue that
the shipped entry models were not trained on has none. The trees are those of training.recipe.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from feeds.lake import BarArrays, aggregate
from inference.card import CLASSES, Kind
from inference.features.fold import Folded
from inference.features.spec import FeatureSpec
from training import splits, trees
from training.dataset import Rows, build, fingerprint, joined
from training.labels import BarrierTerms
from training.members.kept import TEST, Kept, Subject
from training.members.member import Say
from training.members.out_of_fold import cuts_of, folds, thinned

UNANSWERED = -1
VOICE = "boosted"


class EntryTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the entry model, and how it is fitted. `test_start` in ns UTC."""

    spec: FeatureSpec
    terms: BarrierTerms
    venue: str
    test_start: int
    folds: int = 4
    seed: int = 1
    max_rows: int = 60_000


def opinions(series: Sequence[BarArrays], entry: EntryTerms, say: Say) -> Kept:
    """Give answers to decisions that no fit had seen: folds before the test span, one more for it.

    The bars of the specification are made of `series`; rows before the first fold are left out.
    DataError where the bars are too few for the folds.
    """
    decided = [aggregate(bars, entry.spec.decision) for bars in series]
    folded: list[Folded] = []
    rows = joined(list(build(decided, entry.spec, entry.terms, lambda _, found: folded.append(found))))
    ts, ts_end = rows.outcomes.ts, rows.outcomes.ts_end
    cuts = cuts_of(int(ts.min()), entry.test_start, entry.folds)
    p = np.full((len(rows), 3), np.nan)
    fold = np.full(len(rows), UNANSWERED, np.int8)
    asked = list(folds(ts, ts_end, (*cuts, entry.test_start), embargo=entry.terms.horizon_ns))
    for number, spans in enumerate(asked, 1):
        say(f"entry model: fit {number} of {len(asked)}")
        p[spans.test] = _answers(rows, spans, entry)
        fold[spans.test] = number if number < len(asked) else TEST
    answered = fold != UNANSWERED
    return _kept(rows.only(answered), p[answered], fold[answered], decided, folded, entry)


def _answers(rows: Rows, spans: splits.Spans, entry: EntryTerms) -> npt.NDArray[np.float64]:
    early, late = (thinned(mask, entry.max_rows) for mask in (spans.early, spans.validation))
    booster = trees.fit(rows.x[early], rows.kind[early], entry.seed)
    rounds = trees.best_rounds(booster, rows.x[late], rows.kind[late])
    return trees.chances(booster, rows.x[spans.test], rounds)


def _kept(
    rows: Rows,
    p: npt.NDArray[np.float64],
    fold: npt.NDArray[np.int8],
    decided: Sequence[BarArrays],
    folded: Sequence[Folded],
    entry: EntryTerms,
) -> Kept:
    out = rows.outcomes
    around = np.empty((len(rows), 3))
    for number, one in enumerate(folded):
        mine = out.instrument == number
        at = np.searchsorted(one.ts_close, out.ts[mine])
        around[mine] = np.column_stack([one.close[at], one.atr[at], one.volatility[at]])
    subject = Subject(
        name="simulated-entries",
        model=VOICE,
        kind=Kind.ENTRY.value,
        target="barrier",
        spec=entry.spec.name,
        decision=entry.spec.decision.value,
        venue=entry.venue,
        source=entry.spec.decision.value,
        instruments=tuple(bars.instrument for bars in decided),
        classes=CLASSES,
        barrier_atr=entry.terms.barrier_atr,
        horizon_bars=entry.terms.horizon_bars,
        seed=entry.seed,
        data_hash=fingerprint(decided),
        test_start=entry.test_start,
        test_end=int(out.ts.max()),
    )
    return Kept(
        subject=subject,
        instrument=out.instrument,
        ts=out.ts,
        ts_end=out.ts_end,
        fold=fold,
        kind=rows.kind,
        close=around[:, 0],
        atr=around[:, 1],
        volatility=around[:, 2],
        momentum=rows.momentum,
        long_return=out.long_return,
        short_return=out.short_return,
        voices={VOICE: p.astype(np.float32)},
    )
