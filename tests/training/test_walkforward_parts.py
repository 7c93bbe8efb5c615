"""What a fold decides before its test span: the threshold, and that its features are old enough."""

import msgspec
import numpy as np
import pytest

from core.clock import DAY, HOUR
from core.errors import DataError
from core.market import Timeframe
from feeds.lake import aggregate
from inference.features.fold import fold
from inference.features.spec import SPECS
from training.alignment import Alignment, align
from training.guard.market import null_market
from training.thresholds import FEWEST_TRADES, POOLED_SHARE, Tuned, confidence, tune
from training.trades import SCHEDULES, FeeSchedule, Outcomes, threshold_for

FREE = FeeSchedule("free", 0.0)


def outcomes(rows: int, gross_bps) -> Outcomes:
    """Hourly rows of one instrument whose trades last an hour and earn this, whichever the side."""
    ts = np.arange(rows, dtype=np.int64) * HOUR
    earned = np.broadcast_to(np.asarray(gross_bps, np.float64), rows) * 1e-4
    return Outcomes(np.zeros(rows, np.int32), ts, ts + HOUR, earned, earned)


def chances(rows: int, seed: int = 3):
    up = np.random.default_rng(seed).uniform(0.2, 0.8, rows)
    return np.column_stack([1.0 - up - 0.1, np.full(rows, 0.1), up])


def test_confidence_is_the_likelier_side():
    p = np.array([[0.5, 0.2, 0.3], [0.1, 0.3, 0.6], [0.4, 0.2, 0.4]])
    assert confidence(p).tolist() == [-0.5, 0.6, 0.0]


def test_the_threshold_is_where_being_sure_pays():
    p = chances(4_000)
    score = np.abs(confidence(p))
    paid = threshold_for(score, 0.1)
    found = tune(outcomes(4_000, np.where(score >= paid, 40.0, -40.0)), p, FREE, seed=1)
    assert found.best == pytest.approx(paid)
    assert found.trades == 400
    assert found.utility_bps == pytest.approx(38.0)  # 40 less two basis points of spread
    assert found.pays
    # 400 trades weigh 400 / 600 against the confidence of the pooled twentieth.
    pooled = threshold_for(score, POOLED_SHARE)
    assert found.threshold == pytest.approx(paid * 2 / 3 + pooled / 3)


def test_fees_decide_whether_it_pays():
    p = chances(2_000)
    rows = outcomes(2_000, 30.0)
    by_name = {fees.name: tune(rows, p, fees, seed=1) for fees in SCHEDULES}
    assert by_name["gross"].pays
    assert by_name["gross"].utility_bps == pytest.approx(28.0)
    # Taker twice and one margin fee for opening: 30 - 2 - 2 x 40 - 2.5.
    assert by_name["kraken"].utility_bps == pytest.approx(-54.5)
    assert not by_name["kraken"].pays


def test_too_few_trades_leave_the_turnover_that_nobody_tuned():
    p = chances(150)
    found = tune(outcomes(150, 30.0), p, FREE, seed=1)
    assert found == Tuned(found.pooled, threshold_for(confidence(p), POOLED_SHARE))
    assert not found.pays
    assert FEWEST_TRADES > 150


def test_the_lower_bound_decides_not_the_mean():
    """A hundredth of the rows earns more on average, but all on three lucky days."""
    p = chances(40_000)
    score = np.abs(confidence(p))
    sure, wide = threshold_for(score, 0.01), threshold_for(score, 0.1)
    gross = np.where(score >= wide, 20.0, -20.0)
    gross[score >= sure] = -50.0
    gross[np.flatnonzero(score >= sure)[[50, 200, 350]]] = 40_000.0
    found = tune(outcomes(40_000, gross), p, FREE, seed=1)
    luck = gross[score >= sure].mean()
    assert luck > 30.0
    assert found.best < sure
    assert found.low_bps > 0


@pytest.fixture(scope="module")
def folded():
    (minutes,) = null_market(1, 40, seed=5)
    bars = aggregate(minutes, Timeframe.M5)
    spec = SPECS["entry_5m"]
    history = {timeframe: aggregate(bars, timeframe) for timeframe in spec.timeframes}
    return fold(spec, history), {"": history}


def test_every_row_reads_bars_that_had_closed(folded):
    rows, histories = folded
    found = align(rows, histories, "G0/USD")
    assert found.rows == rows.ready.sum() > 5_000
    assert found.sources == found.rows * len(SPECS["entry_5m"].blocks)
    assert found.latest_ns == 0
    assert found + Alignment() == found


def test_a_row_that_reads_the_running_hour_is_found(folded):
    rows, histories = folded
    *_, hours = rows.placed
    assert hours.block.timeframe is Timeframe.H1
    ahead = hours._replace(at=np.where(hours.at >= 0, np.minimum(hours.at + 1, hours.at.max()), -1))
    cheat = rows._replace(placed=(*rows.placed[:-1], ahead))
    with pytest.raises(
        DataError, match=r"G0/USD: expected features of bars closed by .* found block 1h with"
    ):
        align(cheat, histories, "G0/USD")


def test_a_made_day_of_trades_counts_days_from_the_first_row():
    p = chances(3_000)
    shifted = msgspec.structs.replace(SCHEDULES[0], taker_bps=1.0)
    one = tune(outcomes(3_000, 10.0), p, shifted, seed=1)
    late = outcomes(3_000, 10.0)
    moved = Outcomes(
        late.instrument, late.ts + 900 * DAY, late.ts_end + 900 * DAY, late.long_return, late.short_return
    )
    assert tune(moved, p, shifted, seed=1) == one
