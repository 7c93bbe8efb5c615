import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import DAY, HOUR
from core.errors import DataError
from training.splits import cut, default_test_start


def rows(instruments: int, days: int, held_hours: int):
    ts = np.tile(np.arange(0, days * 24, dtype=np.int64) * HOUR, instruments)
    return ts, ts + held_hours * HOUR


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(30, 60), st.integers(1, 48), st.integers(0, 48))
def test_no_label_reaches_a_later_span(instruments, days, held_hours, embargo_hours):
    ts, ts_end = rows(instruments, days, held_hours)
    embargo = embargo_hours * HOUR
    test_start = default_test_start(ts)
    spans = cut(ts, ts_end, test_start=test_start, embargo=embargo)
    assert test_start % DAY == 0
    assert ts_end[spans.train].max() + embargo <= ts[spans.test].min()
    assert ts_end[spans.early].max() + embargo <= ts[spans.validation].min()
    assert not (spans.early & spans.validation).any()
    assert (spans.train | ~spans.early).all()
    assert spans.purged + spans.train.sum() + spans.test.sum() == len(ts)


def test_all_instruments_are_cut_at_the_same_instants():
    ts, ts_end = rows(4, 40, 6)
    spans = cut(ts, ts_end, test_start=25 * DAY, embargo=6 * HOUR)
    for mask in (spans.train, spans.validation, spans.test):
        each = mask.reshape(4, -1)
        assert (each == each[0]).all()


@pytest.mark.parametrize("test_start, span", [(0, "before the test span"), (40 * DAY, "the test span")])
def test_refuses_an_empty_span(test_start, span):
    ts, ts_end = rows(1, 40, 6)
    with pytest.raises(DataError, match=span):
        cut(ts, ts_end, test_start=test_start, embargo=0)
