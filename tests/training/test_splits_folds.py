from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import DAY, HOUR
from core.errors import UsageError
from core.text import iso, parse_iso
from training.folds import Cutting, month_from, months_before, windows
from training.splits import cut


def days(*texts: str) -> list[int]:
    return [parse_iso(text) for text in texts]


START, END = days("2023-03-09", "2025-05-01")


def shown(folds) -> list[tuple[str, str, str]]:
    return [tuple(iso(ts)[:10] for ts in (f.train_start, f.test_start, f.test_end)) for f in folds]


def test_a_rolling_walk_forward_steps_by_its_test_span():
    folds = windows(Cutting(train_months=12, test_months=6), START, END)
    assert shown(folds) == [
        ("2023-04-01", "2024-04-01", "2024-10-01"),
        ("2023-10-01", "2024-10-01", "2025-04-01"),
        ("2024-04-01", "2025-04-01", "2025-05-01"),
    ]
    assert [fold.number for fold in folds] == [1, 2, 3]
    # The last fifth of 366 days, in whole days: day 292 after the first.
    assert folds[0].validation_start == folds[0].train_start + 292 * DAY


def test_an_anchored_one_trains_from_the_first_month_on():
    folds = windows(Cutting(train_months=12, test_months=6, anchored=True), START, END)
    assert [start for start, _, _ in shown(folds)] == ["2023-04-01"] * 3


def test_final_fold_is_the_newest_test_span_alone():
    whole = windows(Cutting(train_months=12, test_months=3), START, END)
    assert windows(Cutting("final_fold", train_months=12, test_months=3), START, END) == whole[-1:]


def test_dates_are_taken_as_they_are_told():
    train, tune, test = days("2023-10-30", "2024-04-01", "2024-07-01")
    cutting = Cutting("dates", train_start=train, tune_start=tune, test_start=test)
    (fold,) = windows(cutting, START, END)
    assert (fold.train_start, fold.validation_start, fold.test_start, fold.test_end) == (
        train,
        tune,
        test,
        END,
    )


@pytest.mark.parametrize(
    "cutting, said",
    [
        (Cutting(train_months=26), "expected more than 26 whole months"),
        (Cutting(train_months=0), "expected at least one month"),
        (Cutting("dates", train_start=START, tune_start=START, test_start=END), "expected days in the order"),
        (Cutting("sideways"), "expected one of walk_forward, final_fold, dates"),
    ],
)
def test_refuses_what_leaves_no_fold(cutting, said):
    with pytest.raises(UsageError, match=said):
        windows(cutting, START, END)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 3_000),
    st.integers(400, 2_000),
    st.integers(1, 18),
    st.integers(1, 6),
    st.booleans(),
)
def test_test_spans_follow_each_other_without_a_gap_and_none_is_trained_on(start, length, train, test, anch):
    begin, end = start * DAY, (start + length) * DAY
    cutting = Cutting(train_months=train, test_months=test, anchored=anch)
    try:
        folds = windows(cutting, begin, end)
    except UsageError:
        assert months_before(end, train) <= month_from(begin)
        return
    for one, after in pairwise(folds):
        assert one.test_end == after.test_start
    for fold in folds:
        assert begin <= fold.train_start < fold.validation_start < fold.test_start < fold.test_end <= end
    assert folds[-1].test_end > end - 31 * DAY


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(1, 48), st.integers(0, 48), st.integers(0, 9), st.integers(26, 40))
def test_a_bounded_cut_uses_no_row_outside_it(instruments, held_hours, embargo_hours, first, last):
    ts = np.tile(np.arange(40 * 24, dtype=np.int64) * HOUR, instruments)
    ts_end = ts + held_hours * HOUR
    spans = cut(
        ts,
        ts_end,
        test_start=25 * DAY,
        embargo=embargo_hours * HOUR,
        train_start=first * DAY,
        validation_start=20 * DAY,
        test_end=last * DAY,
    )
    assert ts[spans.train].min() == ts[spans.early].min() == first * DAY
    assert ts_end[spans.train].max() <= 25 * DAY - embargo_hours * HOUR
    assert ts_end[spans.early].max() <= 20 * DAY - embargo_hours * HOUR
    assert ts[spans.validation].min() == 20 * DAY
    assert (ts[spans.test].min(), ts[spans.test].max()) == (25 * DAY, last * DAY - HOUR)
    known = np.sum((ts >= first * DAY) & (ts < 25 * DAY))
    assert spans.purged + spans.train.sum() == known
