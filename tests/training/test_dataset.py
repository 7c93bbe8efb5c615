from pathlib import Path

import numpy as np
import pytest

from core.errors import DataError
from core.market import Timeframe
from feeds.lake import BarArrays, Lake
from inference.features.spec import SPECS
from training.dataset import build, fingerprint, joined
from training.labels import BarrierTerms

SPEC = SPECS["entry_5m"]
TERMS = BarrierTerms(Timeframe.M5)


@pytest.fixture(scope="module")
def bars(null_lake: Path) -> BarArrays:
    return Lake(null_lake).read("guard", "G0/USD", Timeframe.M5)


def test_rows_begin_after_warm_up_and_end_a_horizon_before_the_data(bars):
    (rows,) = build([bars], SPEC, TERMS)
    warm_up = max(block.warm_up * block.timeframe.ns for block in SPEC.blocks)
    assert rows.outcomes.ts[0] == bars.ts_open[0] + warm_up
    assert rows.outcomes.ts[-1] == bars.ts_close[-1] - TERMS.horizon_ns
    assert np.isfinite(rows.x).all()


def test_features_of_a_row_do_not_change_when_the_future_does(bars):
    (whole,) = build([bars], SPEC, TERMS)
    now = int(whole.outcomes.ts[len(whole) // 2])
    (cut,) = build([bars.between(0, now + TERMS.horizon_ns)], SPEC, TERMS)
    assert cut.outcomes.ts[-1] == now
    assert (whole.x[: len(cut)] == cut.x).all()
    assert (whole.momentum[: len(cut)] == cut.momentum).all()
    assert (whole.kind[: len(cut)] == cut.kind).all()


def test_momentum_is_the_move_of_one_horizon_in_atrs(bars):
    (rows,) = build([bars], SPEC, TERMS)
    at = np.searchsorted(bars.ts_close, rows.outcomes.ts)
    moved = bars.close[at] - bars.close[at - TERMS.horizon_bars]
    assert (np.sign(rows.momentum) == np.sign(moved)).all()
    assert 0.5 < np.std(rows.momentum) < 5.0


def test_instruments_are_numbered_in_the_order_given(bars):
    rows = joined(list(build([bars, bars], SPEC, TERMS)))
    half = len(rows) // 2
    assert set(rows.outcomes.instrument[:half]) == {0}
    assert set(rows.outcomes.instrument[half:]) == {1}
    assert (rows.x[:half] == rows.x[half:]).all()


def test_history_too_short_for_warm_up_is_refused(bars):
    short = bars.between(0, int(bars.ts_open[0]) + 10 * 24 * 12 * Timeframe.M5.ns)
    with pytest.raises(DataError, match="expected rows after warm-up"):
        joined(list(build([short], SPEC, TERMS)))


def test_the_instrument_that_lacks_a_timeframe_is_named(bars):
    """One of twenty was listed this morning: which?"""
    begun = bars.between(0, int(bars.ts_open[0]) + 6 * Timeframe.M5.ns)
    with pytest.raises(DataError, match=r"^G0/USD: features: expected 1h bars, found none$"):
        list(build([begun], SPEC, TERMS))


def test_fingerprint_names_bars_not_files(bars):
    changed = bars.close.copy()
    changed[7] += 0.01
    names = ("open", "high", "low", "close", "volume", "vwap", "trades")
    columns = {name: getattr(bars, name) for name in names} | {"close": changed}
    other = BarArrays(bars.instrument, bars.timeframe, bars.ts_open, **columns)
    assert fingerprint([bars]) == fingerprint([bars.between(0, 2**62)])
    assert fingerprint([bars]) != fingerprint([other])
    assert fingerprint([bars]) != fingerprint([bars, bars])
