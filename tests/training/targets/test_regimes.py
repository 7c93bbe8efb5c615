import math

import numpy as np
import pytest

from core.clock import DAY, HOUR
from core.errors import DataError, UsageError
from core.market import Timeframe
from feeds.lake import BarArrays, aggregate
from tests.training.targets.paths import told
from training.guard.market import null_market
from training.panel.panel import UNKNOWN
from training.targets.regimes import (
    Expansion,
    Volatility,
    VolumeUp,
    make_label_volatility,
    make_label_volume,
    quantiles,
)
from training.targets.target import kinds
from training.volatility import realised
from training.volume import traded

H1 = Timeframe.H1


@pytest.fixture(scope="module")
def hours() -> BarArrays:
    (made,) = null_market(1, 60, seed=9)
    return aggregate(made, H1)


def ranged(*widths: float) -> list:
    """Hourly bars of these ranges, all closing at 100."""
    return [(100.0, 100.0 + width / 2, 100.0 - width / 2, 100.0) for width in widths]


@pytest.mark.parametrize("width, kind", [(3.02, 1), (2.98, 0)])
def test_a_range_expands_that_is_wider_than_the_median_of_those_before(width, kind):
    asked = Expansion("expansion", HOUR, times=1.5, past=24)
    # Median of twelve ranges of 1 and twelve of 3: 2.
    rows = ranged(*[1.0, 3.0] * 12, width)
    assert told(asked, rows, at=24, timeframe=H1) == (kind, pytest.approx(width / 2.0), 1)
    assert asked.classes == ("usual", "expanding")


def test_a_range_needs_twenty_spans_before_it():
    asked = Expansion("expansion", HOUR, times=1.5, past=24)
    assert told(asked, ranged(*[2.0] * 20, 4.0), at=20, timeframe=H1)[0] == 1
    assert told(asked, ranged(*[2.0] * 20, 4.0), at=19, timeframe=H1)[0] == UNKNOWN
    assert told(asked, ranged(2.0), at=0, timeframe=Timeframe.M5)[0] == UNKNOWN  # bars end within the span
    assert (
        told(asked, ranged(*[0.0] * 24, 1.0), at=24, timeframe=H1)[0] == UNKNOWN
    )  # nothing to hold it against


def test_a_span_of_several_bars_has_one_range():
    asked = Expansion("expansion", 2 * HOUR, times=1.5, past=24)
    rows = [*ranged(*[2.0] * 48), (100.0, 103.0, 100.0, 103.0), (103.0, 103.0, 99.0, 99.0)]
    assert told(asked, rows, at=48, timeframe=H1) == (1, pytest.approx(2.0), 2)


def test_volatility_falls_into_classes_by_quantiles_of_the_rows_given(hours):
    ts = hours.ts_close[200:1_000]
    asked = Volatility("volatility", 6 * HOUR, ("low", "normal", "high"), (0.2, 0.8))
    found = asked.followed(hours, ts, np.ones(len(ts)))
    assert (found.kind == UNKNOWN).all()
    assert np.array_equal(found.value, realised(hours, ts, 6 * HOUR).ahead)
    assert (found.ts_end == ts + 6 * HOUR).all()
    train = found.value[:400]
    low, high = asked.bounds(train)
    assert np.mean(train < low) == pytest.approx(0.2, abs=0.01)
    assert np.mean(train > high) == pytest.approx(0.2, abs=0.01)
    assert kinds(found, (low, high)).tolist() == [
        (0 if v <= low else 1 if v <= high else 2) for v in found.value
    ]


def test_quantiles_are_of_what_is_known():
    assert quantiles(np.array([4.0, np.nan, 1.0, 2.0, 3.0, 5.0]), (0.8, 0.2)) == pytest.approx((1.8, 4.2))
    with pytest.raises(DataError, match="expected training rows whose future is known; found none"):
        quantiles(np.array([np.nan]), (0.8,))


def test_volume_is_up_above_the_usual(hours):
    ts = hours.ts_close[900:1_000]
    asked = VolumeUp("volume_up", HOUR)
    found = asked.followed(hours, ts, np.ones(len(ts)))
    expected = traded(hours, ts, HOUR).ahead
    assert np.array_equal(found.value, expected)
    assert found.kind.tolist() == (expected > 1.0).astype(int).tolist()
    assert 0 < found.kind.mean() < 0.5
    early = asked.followed(hours, hours.ts_close[:5], np.ones(5))
    assert (early.kind == UNKNOWN).all()
    assert math.isnan(early.value[0])


def test_the_door_for_volatility_takes_its_percentiles_from_training_rows_alone(hours):
    ts = hours.ts_close[200:1_200]
    train = np.arange(len(ts)) < 600
    found = make_label_volatility(hours, ts, train=train, horizon_ns=6 * HOUR)
    assert np.bincount(found[train]) / 600 == pytest.approx([0.2, 0.6, 0.2], abs=0.005)
    # Other rows' future may be anything: the classes of the training rows stand.
    calm = {
        name: getattr(hours, name).copy()
        for name in BarArrays.__slots__
        if name not in ("instrument", "timeframe")
    }
    later = hours.ts_open >= ts[599] + 6 * HOUR
    for name in ("open", "high", "low", "close"):
        calm[name][later] = 100.001 if name == "close" else 100.0
    other = make_label_volatility(BarArrays("C/USD", H1, **calm), ts, train=train, horizon_ns=6 * HOUR)
    assert other[train].tolist() == found[train].tolist()
    assert (other[~train][10:-10] == 0).all()
    two = make_label_volatility(hours, ts, train=train, horizon_ns=6 * HOUR, percentiles=(0.8,))
    assert (two == (found == 2)).all()
    with pytest.raises(UsageError, match="percentiles: expected shares between 0 and 1"):
        make_label_volatility(hours, ts, train=train, percentiles=(80.0,))


def test_the_door_for_volume_holds_it_against_the_past_or_against_training_rows(hours):
    ts = hours.ts_close[800:1_400]
    plain = make_label_volume(hours, ts)
    assert plain.tolist() == (traded(hours, ts, HOUR).ahead > 1.0).astype(int).tolist()
    train = np.arange(len(ts)) < 300
    fitted = make_label_volume(hours, ts, train=train)
    assert fitted[train].mean() == pytest.approx(0.2, abs=0.005)
    assert make_label_volume(hours, hours.ts_close[-1:]).tolist() == [UNKNOWN]
    assert (ts[-1] - ts[0]) > 20 * DAY
