import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import MINUTE
from training.targets.weights import uniqueness

BAR = 5 * MINUTE


def counted(instrument, ts, ts_end) -> np.ndarray:
    """The definition, bar by bar and label by label."""
    found = []
    for own, start, end in zip(instrument, ts, ts_end, strict=True):
        bars = range(start // BAR, max(-(-end // BAR), start // BAR + 1))
        shares = []
        for bar in bars:
            others = [
                other == own and s // BAR <= bar < max(-(-e // BAR), s // BAR + 1)
                for other, s, e in zip(instrument, ts, ts_end, strict=True)
            ]
            shares.append(1.0 / sum(others))
        found.append(np.mean(shares))
    return np.array(found)


def test_labels_that_overlap_share_their_bars():
    # A spans bars 0 1 2, B bars 2 3, C stands alone: (1 + 1 + 1/2) / 3, (1/2 + 1) / 2, 1.
    ts = np.array([0, 2, 9]) * BAR
    found = uniqueness(np.zeros(3, np.int32), ts, np.array([3, 4, 10]) * BAR, BAR)
    raw = np.array([2.5 / 3, 0.75, 1.0])
    assert found == pytest.approx(raw / raw.mean())


def test_instruments_do_not_share():
    ts = np.zeros(2, np.int64)
    assert uniqueness(np.array([0, 1], np.int32), ts, ts + 4 * BAR, BAR).tolist() == [1.0, 1.0]


def test_a_horizon_of_sixty_bars_leaves_a_sixtieth_of_each():
    ts = np.arange(1_000) * BAR
    found = uniqueness(np.zeros(1_000, np.int32), ts, ts + 60 * BAR, BAR)
    assert found.mean() == pytest.approx(1.0)
    assert np.ptp(found[100:900]) < 1e-9  # all alike but at the ends
    assert found[0] > found[500] < found[-1]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 4_000), st.integers(1, 900)), min_size=1, max_size=25
    )
)
def test_equals_the_count_of_every_bar(rows):
    instrument = np.array([row[0] for row in rows], np.int32)
    ts = np.array([row[1] for row in rows], np.int64) * MINUTE
    ts_end = ts + np.array([row[2] for row in rows], np.int64) * MINUTE // 7
    raw = counted(instrument.tolist(), ts.tolist(), ts_end.tolist())
    assert uniqueness(instrument, ts, ts_end, BAR) == pytest.approx(raw / raw.mean())


def test_nothing_weighs_nothing():
    nothing = np.empty(0, np.int64)
    assert len(uniqueness(nothing.astype(np.int32), nothing, nothing, BAR)) == 0
