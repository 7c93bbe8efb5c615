from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from core.clock import DAY, HOUR
from core.errors import DataError, UsageError
from tests.training.members import made
from training.members.logistic import LogisticMaker
from training.members.out_of_fold import cuts_of, folds, last_end, out_of_fold, thinned
from training.panel.panel import UNKNOWN

EMBARGO = made.HORIZON * made.BAR
END = made.START + 32 * DAY
CUTS = cuts_of(made.START, END, 3)


class Remembering:
    """A maker that answers with the share of the newest class, and keeps the lessons that it was given."""

    name = "remembering"

    def __init__(self) -> None:
        self.lessons = []

    def fit(self, lesson, validation, *, classes, seed, say=None):
        self.lessons.append((lesson, validation))
        return self

    def chances(self, panel):
        return np.full((len(panel), 3), len(self.lessons) / 10)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    embargo_hours=st.integers(1, 60),
    longest_hours=st.integers(1, 60),
    count=st.integers(1, 4),
)
def test_no_training_row_ends_after_its_cut_less_the_embargo(seed, embargo_hours, longest_hours, count):
    rng = np.random.default_rng(seed)
    ts = np.sort(rng.integers(0, 100 * DAY, 800))
    ts_end = ts + rng.integers(1, longest_hours + 1, 800) * HOUR
    embargo = embargo_hours * HOUR
    cuts = cuts_of(int(ts.min()), 100 * DAY, count)
    before = np.zeros(800, np.bool_)
    for cut, spans in zip(cuts, folds(ts, ts_end, cuts, embargo=embargo), strict=True):
        assert (ts_end[spans.train] <= cut - embargo).all()
        assert (ts_end[spans.early] <= spans.validation_start - embargo).all()
        assert (ts[spans.validation] >= spans.validation_start).all()
        assert (ts[spans.test] >= cut).all()
        assert not (spans.test & (spans.train | before)).any()
        before |= spans.test
    assert before.sum() == (ts >= cuts[0]).sum()


def test_each_fold_learns_only_from_what_lies_behind_its_cut():
    maker, lesson = Remembering(), made.lesson(made.panel())
    found = out_of_fold(maker, lesson, CUTS, embargo=EMBARGO, classes=3, seed=1)
    for cut, (taught, judged) in zip(CUTS, maker.lessons, strict=True):
        assert max(last_end(taught).max(), last_end(judged).max()) <= cut - EMBARGO
        assert last_end(taught).max() <= judged.panel.ts.min() - EMBARGO
    sizes = [len(taught) for taught, _ in maker.lessons]
    assert sizes == sorted(sizes)  # the past only grows
    assert set(found.fold.tolist()) == {UNKNOWN, 1, 2, 3}
    assert np.isnan(found.p[found.fold == UNKNOWN]).all()
    assert (lesson.panel.ts[found.fold == UNKNOWN] < CUTS[0]).all()
    for number in (1, 2, 3):
        np.testing.assert_array_equal(found.p[found.fold == number], number / 10)
    assert len(found.fitted) == 3


def test_what_happens_after_a_cut_changes_no_answer_before_the_next():
    """Other features and other classes from the second cut on: the first fold's answers are the same."""
    panel = made.panel(1_500)
    lesson = made.lesson(panel)
    later = panel.ts >= CUTS[1]
    block = panel.blocks["15m"]
    matrix = block.matrix.copy()
    matrix[block.at[later]] += 3.0
    other = replace(panel, blocks={"15m": block._replace(matrix=matrix)})
    kinds = np.where(later, 2 - lesson.kind, lesson.kind).astype(np.int8)
    cuts = cuts_of(made.START, made.START + 16 * DAY, 2)
    both = [
        out_of_fold(LogisticMaker(), one, cuts, embargo=EMBARGO, classes=3, seed=1)
        for one in (lesson, replace(lesson, panel=other, kind=kinds))
    ]
    early = (both[0].fold > 0) & ~later & (panel.ts < CUTS[1] - made.WINDOW * made.BAR)
    assert early.sum() > 100
    np.testing.assert_array_equal(both[0].p[early], both[1].p[early])


def test_bounds_between_classes_come_from_the_rows_that_teach():
    seen = []

    def relabel(lesson, teaching):
        seen.append(teaching)
        return replace(lesson, kind=np.full(len(lesson), len(seen) % 3, np.int8))

    lesson = made.lesson(made.panel())
    found = out_of_fold(Remembering(), lesson, CUTS, embargo=EMBARGO, classes=3, seed=1, relabel=relabel)
    for cut, mask in zip(CUTS, seen, strict=True):
        assert (last_end(lesson)[mask] <= cut - EMBARGO).all()
    assert [set(found.kind[found.fold == number].tolist()) for number in (1, 2, 3)] == [{1}, {2}, {0}]


def test_more_rows_than_allowed_are_thinned_and_answers_are_not():
    maker, lesson = Remembering(), made.lesson(made.panel())
    found = out_of_fold(maker, lesson, CUTS, embargo=EMBARGO, classes=3, seed=1, max_rows=500)
    assert all(len(taught) <= 500 and len(judged) <= 500 for taught, judged in maker.lessons)
    assert (found.fold > 0).sum() == (lesson.panel.ts >= CUTS[0]).sum()
    np.testing.assert_array_equal(thinned(np.array([1, 0, 1, 1, 1, 1], np.bool_), 2), [0, 3])
    np.testing.assert_array_equal(thinned(np.array([1, 0, 1], np.bool_), None), [0, 2])


def test_an_embargo_shorter_than_the_longest_label_is_refused():
    with pytest.raises(UsageError, match=r"embargo: expected at least the longest label of .* days; found"):
        out_of_fold(
            Remembering(), made.lesson(made.panel(500)), CUTS[:1], embargo=EMBARGO - 1, classes=3, seed=1
        )


def test_folds_that_cannot_be_are_refused():
    lesson = made.lesson(made.panel(500))
    with pytest.raises(UsageError, match="folds: expected 1 or more; found 0"):
        cuts_of(0, DAY, 0)
    with pytest.raises(UsageError, match="folds: expected instants in ascending order"):
        out_of_fold(Remembering(), lesson, (CUTS[1], CUTS[0]), embargo=EMBARGO, classes=3, seed=1)
    with pytest.raises(DataError, match="expected rows in the validation span"):
        out_of_fold(Remembering(), lesson, (END + DAY,), embargo=EMBARGO, classes=3, seed=1)


def test_cuts_are_midnights_that_part_the_span_evenly():
    assert [(cut - made.START) / DAY for cut in cuts_of(made.START, made.START + 100 * DAY, 3)] == [
        40,
        60,
        80,
    ]
