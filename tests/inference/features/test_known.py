"""Outside series are joined backward from when they could be known, live as in the fold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import SECOND
from core.errors import DataError
from inference.features.fold import fold
from inference.features.frame import FeatureFrame
from inference.features.known import KEPT, Known, KnownSeries, as_of
from inference.features.spec import Block, FeatureSpec, Outside
from tests.inference.features.whole import M5, PAIR, histories

SPEC = FeatureSpec("test", M5, (Block(M5, ("volume_z",)),), known=(Outside("funding", ("rate",), 60.0),))


def series(*pairs: tuple[float, float]) -> KnownSeries:
    """Give a series of (seconds, value)."""
    return KnownSeries(
        np.array([round(at * SECOND) for at, _ in pairs], np.int64), np.array([[value] for _, value in pairs])
    )


def test_value_counts_from_when_it_could_be_had_until_it_is_too_old():
    joined = as_of(
        series((10, 1.5), (20, 2.5)), np.array([9, 10, 19, 20, 80, 81]) * SECOND, max_age_s=60.0, columns=1
    )
    assert joined.tolist() == [[0, 0], [1.5, 1], [1.5, 1], [2.5, 1], [2.5, 1], [0, 0]]


def test_value_that_is_not_a_number_is_not_known():
    joined = as_of(series((10, np.nan)), np.array([15]) * SECOND, max_age_s=60.0, columns=1)
    assert joined.tolist() == [[0, 0]]


@given(
    steps=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    asked=st.lists(st.integers(0, 500), min_size=1, max_size=12),
)
@settings(deadline=None)
def test_join_equals_a_search_through_a_list(steps, asked):
    times = np.cumsum(steps).tolist()
    pairs = [(at, float(number)) for number, at in enumerate(times)]
    joined = as_of(series(*pairs), np.array(asked) * SECOND, max_age_s=50.0, columns=1)
    for ts, row in zip(asked, joined.tolist(), strict=True):
        seen = [value for at, value in pairs if at <= ts and ts - at <= 50]
        assert row == ([seen[-1], 1.0] if seen else [0.0, 0.0])


def test_series_out_of_order_or_of_another_width_is_refused():
    with pytest.raises(DataError, match="expected rising times"):
        as_of(series((10, 1.0), (10, 2.0)), np.array([0]), max_age_s=1.0, columns=1)
    with pytest.raises(DataError, match="expected 2 columns"):
        as_of(series((10, 1.0)), np.array([0]), max_age_s=1.0, columns=2)


def test_live_values_equal_the_join_also_when_newer_ones_have_come():
    pairs = [(10.0 * k, float(k)) for k in range(30)]
    known = Known(1, 2)
    for at, value in pairs:
        known.learn(1, round(at * SECOND), (value,))
    known.learn(1, 5, (99.0,))  # an old one comes late
    for ts in range(250, 400, 7):
        expected = as_of(series(*pairs), np.array([ts * SECOND]), max_age_s=60.0, columns=1)[0]
        found = known.at(np.array([0, 1]), ts * SECOND, 60.0)
        assert found[1].tolist() == expected.tolist()
        assert found[0].tolist() == [0.0, 0.0]
    assert known.known_at.shape == (2, KEPT)


def test_series_that_nobody_has_holds_up_no_decision():
    history = histories(PAIR, 200)
    folded = fold(SPEC, history)
    assert folded.ready[20:].all()
    assert not folded.x[:, 1:3].any()


def test_what_a_frame_was_told_is_in_its_inputs_and_in_its_saved_state():
    bars = histories(PAIR, 200)[M5].bars()
    frame = FeatureFrame([SPEC], (PAIR,))
    frame.on_bars(bars)
    now = bars[-1].ts_close
    frame.on_known("funding", PAIR, now - 3 * SECOND, [0.25])
    frame.on_known("funding", PAIR, now + SECOND, [0.75])
    frame.on_known("funding", "NEW/USDT", now, [0.5])
    frame.on_known("mood", PAIR, now, [0.5])
    assert frame.inputs(SPEC, (PAIR,), now).tensors["x"][0, 1:3].tolist() == [0.25, 1.0]
    other = FeatureFrame([SPEC], (PAIR,))
    other.restore(frame.save())
    assert other.inputs(SPEC, (PAIR,), now).tensors["x"][0, 1:3].tolist() == [0.25, 1.0]
