"""Answers to rows that a model has not seen, over the whole span before the test: fits that only look back.

Must not know any kind of model, files or money. Called by training.members.recipe and training.manager.
Each fold is fitted on rows whose answers were known an embargo before its cut, and answers the rows from
its cut to the next one, so what a later stage learns from is as unseen as the future will be.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.clock import DAY
from core.errors import UsageError
from training import splits
from training.members.member import Fitted, Lesson, Maker, Say, silent
from training.panel.panel import UNKNOWN, Flags, Floats, Ints, Kinds

FIRST = 0.4
"""Share of the span that only teaches: the first fold needs something to learn from."""

Relabel = Callable[[Lesson, Flags], Lesson]
"""Gives the lesson with classes whose bounds come from the rows of the mask alone."""


class OutOfFold(NamedTuple):
    """Chances p [rows, classes], not calibrated, NaN where nobody answered.

    `fold` [rows] counts from 1, UNKNOWN (-1) where nobody answered; `kind` is the class as that fold's
    training rows define it; `fitted` are the folds' models.
    """

    p: Floats
    fold: npt.NDArray[np.int8]
    kind: Kinds
    fitted: tuple[Fitted, ...]


def out_of_fold(
    maker: Maker,
    lesson: Lesson,
    cuts: Sequence[int],
    *,
    embargo: int,
    classes: int,
    seed: int,
    ts_end: Ints | None = None,
    relabel: Relabel | None = None,
    max_rows: int | None = None,
    say: Say = silent,
) -> OutOfFold:
    """Fit the maker once per cut and answer what follows it; all times in ns.

    `ts_end` is when each row's answers were known, by default the latest that its panel names. The last
    fifth of a fold's training span decides when its fit stops. More than `max_rows` training rows are
    thinned by a stride. UsageError for an embargo shorter than the longest label.
    """
    ends = last_end(lesson) if ts_end is None else ts_end
    require_embargo(lesson.panel.ts, ends, embargo)
    p = np.full((len(lesson), classes), np.nan)
    fold = np.full(len(lesson), UNKNOWN, np.int8)
    kind = lesson.kind.copy()
    fitted = []
    for number, spans in enumerate(folds(lesson.panel.ts, ends, cuts, embargo=embargo), 1):
        say(f"{maker.name}: fold {number} of {len(cuts)}")
        told = lesson if relabel is None else relabel(lesson, spans.early)
        model = maker.fit(
            told.only(thinned(spans.early, max_rows)),
            told.only(thinned(spans.validation, max_rows)),
            classes=classes,
            seed=seed,
            say=say,
        )
        p[spans.test] = model.chances(told.panel.only(spans.test))
        fold[spans.test] = number
        kind[spans.test] = told.kind[spans.test]
        fitted.append(model)
    return OutOfFold(p, fold, kind, tuple(fitted))


def folds(ts: Ints, ts_end: Ints, cuts: Sequence[int], *, embargo: int) -> Iterator[splits.Spans]:
    """Give each fold's spans: an expanding past, purged by label ends, and the rows up to the next cut."""
    if list(cuts) != sorted(set(cuts)) or not cuts:
        raise UsageError(f"folds: expected instants in ascending order; found {list(cuts)}")
    for cut, following in zip(cuts, [*cuts[1:], None], strict=True):
        yield splits.cut(ts, ts_end, test_start=cut, embargo=embargo, test_end=following)


def cuts_of(start: int, test_start: int, folds: int) -> tuple[int, ...]:
    """Give the folds' cuts, midnights UTC: equal spans from FIRST of the way to the test span."""
    if folds < 1:
        raise UsageError(f"folds: expected 1 or more; found {folds}")
    first = start + int((test_start - start) * FIRST)
    cuts = [first + (test_start - first) * number // folds for number in range(folds)]
    return tuple(cut - cut % DAY for cut in cuts)


def last_end(lesson: Lesson) -> Ints:
    """Give when the last answer that a row's panel holds was known: safe to purge by for any target."""
    panel = lesson.panel
    ends = [panel.paid.ts_end, *(one.ts_end for one in panel.followed.values())]
    latest: Ints = np.maximum.reduce(ends)
    return latest


def require_embargo(ts: Ints, ts_end: Ints, embargo: int) -> None:
    """Raise UsageError for an embargo that is shorter than the longest label."""
    longest = int((ts_end - ts).max()) if len(ts) else 0
    if embargo < longest:
        raise UsageError(
            f"embargo: expected at least the longest label of {longest / DAY:g} days; "
            f"found {embargo / DAY:g} days"
        )


def thinned(mask: Flags, max_rows: int | None) -> Ints:
    """Give the positions of the mask's rows, at most `max_rows` of them, spread evenly.

    No whole stride: every third row of four hours would be the same two hours of each day.
    """
    rows = np.flatnonzero(mask)
    if max_rows is None or len(rows) <= max_rows:
        return rows
    return rows[np.arange(max_rows) * len(rows) // max_rows]
