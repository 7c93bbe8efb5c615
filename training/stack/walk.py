"""A stacker's answers of rows that it has not seen: expanding fits before the test span, one for it.

Must not know stackers' kinds, ensembles or files. Called by training.stack.meta. A fit sees rows whose label
had ended an embargo before the span that it answers; all instruments are cut at the same instants.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from core.clock import DAY
from core.errors import DataError
from core.text import iso
from training.members.kept import TEST
from training.panel.panel import Flags, Floats, Ints, Kinds, Matrix
from training.stack.stackers import Learner, Stacker

NOBODY = -1
"""The fold of rows before the first cut, of which no fit had seen only earlier ones, and of those whose label
had not ended an embargo before the test span."""


class Times(NamedTuple):
    """When rows were decided and their labels known, ns [n]; the embargo is one label's longest time."""

    ts: Ints
    ts_end: Ints
    test_start: int
    embargo: int

    def known_by(self, cut: int) -> Flags:
        """Tell which rows a fit for rows from `cut` on may see."""
        return np.asarray(self.ts_end <= cut - self.embargo)


class Lesson(NamedTuple):
    """Columns [n, F] and what followed [n], of so many classes."""

    x: Matrix
    kind: Kinds
    classes: int


class Walked(NamedTuple):
    """Answers p [n, K], NaN where `fold` [n] is NOBODY; `final` answered the rows of the fold TEST."""

    p: Floats
    final: Stacker


def folds(times: Times, count: int) -> Kinds:
    """Give each row's fold: NOBODY in the first of count + 1 equal spans before the test span, then 1, 2, ...

    Rows before the test span that are not known by then are NOBODY's, too.
    DataError where a span would be empty, or nothing is known before it.
    """
    before = times.ts[times.ts < times.test_start]
    if not len(before):
        raise DataError(f"expected out-of-fold answers before {iso(times.test_start)}; found none")
    start = int(before.min())
    edges = np.linspace(start, times.test_start, count + 2)[1:-1].astype(np.int64)
    edges -= edges % DAY
    found = np.searchsorted(edges, times.ts, side="right").astype(np.int8)
    found = np.where(found == 0, NOBODY, found).astype(np.int8)
    # Calibration, threshold and choice rest on these rows, so no label may end in the test span.
    found[~times.known_by(times.test_start)] = NOBODY
    found[times.ts >= times.test_start] = TEST
    for fold, cut in cuts(times, found):
        if not (times.known_by(cut).any() and (found == fold).any()):
            raise DataError(f"expected rows on both sides of {iso(cut)}; found none on one of them")
    return found


def cuts(times: Times, fold: Kinds) -> Iterator[tuple[int, int]]:
    """Give the folds that are answered, each with the first instant of its span; the test span last."""
    for number in range(1, int(fold.max()) + 1):
        mine = times.ts[fold == number]
        yield number, int(mine.min()) if len(mine) else times.test_start
    yield TEST, times.test_start


def walk(learner: Learner, lesson: Lesson, times: Times, fold: Kinds, *, seed: int, max_rows: int) -> Walked:
    """Fit for each fold on what was known before it and answer its rows; rows are sorted by time to learn."""
    x, kind, classes = lesson
    p = np.full((len(x), classes), np.nan)
    final: Stacker | None = None
    for number, cut in cuts(times, fold):
        known = np.flatnonzero(times.known_by(cut))
        known = _spread(known[np.argsort(times.ts[known], kind="stable")], max_rows)
        final = learner.fit(x[known], kind[known], classes, seed)
        mine = fold == number
        if mine.any():
            p[mine] = final.chances(x[mine])
    assert final is not None
    return Walked(p, final)


def _spread(rows: Ints, most: int) -> Ints:
    """Draw at most so many rows evenly: a whole stride would meet the same hours and pairs each day."""
    count = min(len(rows), most)
    return rows[np.arange(count) * len(rows) // max(count, 1)]
