import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.ranks import row_quantile

NAN = np.nan


def test_linear_between_the_ranks_of_what_is_known():
    table = np.array([[4.0, NAN, 1.0, 2.0], [NAN, 3.0, NAN, NAN], [NAN] * 4])
    # Ranks of 1, 2, 4: 0.8 x 2 = 1.6, so 2 + 0.6 x 2.
    assert row_quantile(table, 0.8).tolist() == pytest.approx([3.2, 3.0, NAN], nan_ok=True)
    assert row_quantile(table, 0.8, fewest=2).tolist() == pytest.approx([3.2, NAN, NAN], nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.one_of(st.just(NAN), st.floats(1e-6, 1e6)), min_size=7, max_size=7),
        min_size=1,
        max_size=5,
    ),
    st.floats(0, 1),
)
def test_to_the_last_bit_what_numpy_gives(rows, share):
    table = np.array(rows)
    known = np.isfinite(table).any(axis=1)
    found = row_quantile(table, share)
    assert np.isnan(found[~known]).all()
    if known.any():
        assert found[known].tolist() == np.nanquantile(table[known], share, axis=1).tolist()
