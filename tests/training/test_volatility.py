import numpy as np
import pytest

from core.clock import HOUR
from core.market import Timeframe
from feeds.lake import aggregate
from training.guard.market import Shape, null_market
from training.volatility import realised


@pytest.fixture(scope="module")
def bars():
    (made,) = null_market(1, 20, seed=3)
    return aggregate(made, Timeframe.M5)


def test_ahead_of_one_decision_is_behind_the_one_a_horizon_later(bars):
    ts = bars.ts_close[4_000:4_500]
    found = realised(bars, ts, 6 * HOUR)
    assert np.array_equal(found.ahead[:-72], found.behind[72:, 0])


def test_figures_are_deviations_in_bps_an_hour(bars):
    at = 4_000
    found = realised(bars, bars.ts_close[at : at + 1], 6 * HOUR)
    inside = np.log(bars.close / bars.open)[at + 1 : at + 1 + 72]
    assert found.ahead[0] == pytest.approx(1e4 * np.sqrt(12 * np.mean(inside**2)))
    inside = np.log(bars.close / bars.open)[at + 1 - 4 * 72 : at + 1]
    assert found.behind[0, 1] == pytest.approx(1e4 * np.sqrt(12 * np.mean(inside**2)))


def test_the_past_does_not_change_when_the_future_does(bars):
    now = int(bars.ts_close[3_000])
    whole = realised(bars, bars.ts_close[2_500:3_001], 6 * HOUR)
    part = realised(bars.between(0, now), bars.ts_close[2_500:3_001], 6 * HOUR)
    assert np.array_equal(whole.behind, part.behind)
    assert np.isnan(part.ahead[-1])


def test_unknown_where_the_horizon_is_not_covered_or_nothing_moved(bars):
    found = realised(bars, bars.ts_close, 6 * HOUR)
    assert np.isnan(found.ahead[-72:]).all()
    assert np.isfinite(found.ahead[:-72]).all()
    assert np.isnan(found.behind[:60]).all()
    (quiet,) = null_market(1, 10, seed=3, shape=Shape(quiet_share=1.0))
    assert np.isnan(realised(quiet, quiet.ts_close, HOUR).ahead).all()
    hole = np.r_[0:3_000, 3_010:5_000]
    gone = type(bars)(
        bars.instrument,
        bars.timeframe,
        *(getattr(bars, name)[hole] for name in ("ts_open", "open", "high", "low", "close", "volume")),
        vwap=bars.vwap[hole],
        trades=bars.trades[hole],
    )
    ahead = realised(gone, gone.ts_close, 6 * HOUR).ahead
    assert np.isnan(ahead[2_928:2_999]).all()
    assert np.isfinite(ahead[:2_928]).all()
