"""Sharpe ratios of daily returns, and the same trades at random."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import DAY, HOUR
from core.market import Timeframe
from feeds.lake import BarArrays
from trader.backtest.record import Trip
from trader.evaluation import metrics
from training.bootstrap import day_weights
from training.measure import sharpe

START = 19_700 * DAY


def bars_of(closes: np.ndarray, instrument: str = "BTC/USDT") -> BarArrays:
    n = len(closes)
    ones = np.ones(n)
    ts = START + np.arange(n) * HOUR
    return BarArrays(
        instrument, Timeframe.H1, ts, closes, closes, closes, closes, ones, closes, np.ones(n, np.int32)
    )


def trip_of(opened: int, hours: int, *, fees: str = "0") -> Trip:
    zero = Decimal(0)
    return Trip(
        account="a",
        trader="t",
        instrument="BTC/USDT",
        side="buy",
        opened=opened,
        closed=opened + hours * HOUR,
        quantity=Decimal(10),
        entry=Decimal(100),
        exit=Decimal(100),
        gross=zero,
        fees=Decimal(fees),
        margin_fees=zero,
        slippage=zero,
        turnover=Decimal(2000),
        ended_by="time",
    )


@given(st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=60))
def test_it_is_the_ratio_of_the_reports(returns):
    daily = np.array(returns)
    found = float(sharpe.ratio(sharpe.sums(daily).sum(axis=0, keepdims=True))[0])
    expected = metrics.sharpe(daily)
    if expected is None or np.ptp(daily) < 1e-6:
        return
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_what_never_moves_has_none():
    found = sharpe.sharpe(np.zeros(30), day_weights(30, 1))
    assert (found.value, found.low, found.high) == (None, None, None)


def test_the_interval_narrows_with_years_and_a_difference_from_itself_is_nothing():
    rng = np.random.default_rng(1)
    short, long = rng.normal(0.001, 0.02, 365), rng.normal(0.001, 0.02, 4 * 365)
    one, other = (sharpe.sharpe(x, day_weights(len(x), 1)) for x in (short, long))
    assert one.low < one.value < one.high
    # a year leaves an error of about 1, four years of about a half
    assert 3.0 < one.high - one.low < 5.0
    assert other.high - other.low < 0.7 * (one.high - one.low)
    same = sharpe.sharpe_apart(short, short, day_weights(365, 1))
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


def test_equity_is_carried_over_days_without_a_row():
    rows = [(START + 5 * HOUR, 101.0), (START + 2 * DAY, 103.0), (START + 4 * DAY + 1, 99.0)]
    found = sharpe.daily(rows, 100.0, START, START + 4 * DAY)
    assert found.tolist() == [100.0, 101.0, 103.0, 103.0, 99.0]


def test_holding_is_the_mean_of_what_each_pair_became():
    up, down = np.linspace(100, 120, 49), np.linspace(50, 45, 49)
    found = sharpe.held([bars_of(up), bars_of(down)], START, START + 2 * DAY)
    assert len(found) == 2
    last = 1.0 + (up[47] / up[23] + down[47] / down[23]) / 2.0 - 1.0
    assert np.prod(1.0 + found) == pytest.approx(last)  # the first close known is that of the first day


def test_random_trades_lose_what_they_cost():
    rng = np.random.default_rng(1)
    bars = bars_of(100.0 * np.exp(np.cumsum(rng.normal(0, 0.004, 60 * 24))))
    trips = [trip_of(START + k * 6 * HOUR, 4, fees="8") for k in range(200)]
    told = {"cash": 100_000.0, "start": START, "end": START + 60 * DAY, "seed": 1}
    costly = sharpe.chance(trips, [bars], **told)
    free = sharpe.chance([trip_of(t.opened, 4) for t in trips], [bars], **told)
    assert free.low < 0.0 < free.high
    assert costly.high < 0.0
    assert costly == sharpe.chance(trips, [bars], **told)
    assert sharpe.chance([], [bars], **told).value is None
