"""Windows are gathered right, and fast enough that no learner waits for them."""

import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.panel.panel import Windows


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), st.data())
def test_a_window_is_the_slots_up_to_its_newest_oldest_first(window, columns, data):
    slots = data.draw(st.integers(window, 30))
    at = np.array(data.draw(st.lists(st.integers(window - 1, slots - 1), max_size=12)), np.int64)
    matrix = np.arange(slots * columns, dtype=np.float32).reshape(slots, columns)
    found = Windows(matrix, at, window, ("c",) * columns).tensor(np.arange(len(at)))
    assert found.shape == (len(at), window, columns)
    assert found.flags.c_contiguous
    for row, newest in enumerate(at.tolist()):
        assert found[row].tolist() == matrix[newest - window + 1 : newest + 1].tolist()


def test_windows_are_gathered_at_200_000_rows_a_second():
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((300_000, 16)).astype(np.float32)
    at = rng.integers(47, len(matrix), 100_000)
    block = Windows(matrix, at, 48, ("c",) * 16)
    best = np.inf
    for first in range(0, 40_000, 4_096):
        began = time.process_time()
        block.tensor(np.arange(first, first + 4_096))
        best = min(best, time.process_time() - began)
    assert 4_096 / best > 200_000
