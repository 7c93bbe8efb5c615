from decimal import Decimal

import numpy as np
import pytest

from core.clock import DAY, HOUR
from trader.backtest.record import Trip
from trader.evaluation.delay import FEWEST_TRADES, Daily, daily, judge

START = 19_800 * DAY
DAYS = 40


def trip(opened: int, gross: str, *, entry: str = "100", quantity: str = "2") -> Trip:
    return Trip(
        account="a",
        trader="t",
        instrument="A/USD",
        side="buy",
        opened=opened,
        closed=opened + HOUR,
        quantity=Decimal(quantity),
        entry=Decimal(entry),
        exit=Decimal(entry),
        gross=Decimal(gross),
        fees=Decimal(1),
        margin_fees=Decimal(0),
        slippage=Decimal(0),
        turnover=Decimal(400),
        ended_by="time",
    )


def drawn(mean: float, seed: int, *, per_day: float = 4.0, deviation: float = 50.0) -> Daily:
    """Days of trades whose gross results are normal, in bps."""
    rng = np.random.default_rng(seed)
    trades = rng.poisson(per_day, DAYS).astype(float)
    return Daily(trades * mean + np.sqrt(trades) * deviation * rng.standard_normal(DAYS), trades)


def test_trades_count_on_the_day_of_their_opening_in_bps_of_what_they_began_with():
    found = daily(
        [trip(START, "1"), trip(START + DAY - 1, "-0.5"), trip(START + 2 * DAY, "4", entry="50")],
        START,
        START + 3 * DAY,
    )
    assert found.trades.tolist() == [2, 0, 1]
    assert found.bps == pytest.approx([50.0 - 25.0, 0.0, 400.0])
    assert found.mean == pytest.approx(425 / 3)


def test_profit_of_the_next_bar_dies():
    check = judge(drawn(40.0, 1), drawn(0.0, 2))
    assert (check.name, check.passed) == ("delay_one_bar", False)
    assert check.found.startswith("the profit dies: ")
    assert check.figures["late_over_half_high"] < 0 < check.figures["gross_bps_low"]


def test_profit_that_lasts_is_left_alone():
    check = judge(drawn(40.0, 1), drawn(38.0, 2))
    assert check.passed
    assert check.found.startswith("the profit is still there")


def test_what_never_earned_cannot_die():
    check = judge(drawn(-10.0, 1), drawn(-60.0, 2))
    assert check.passed
    assert check.found.startswith("no profit that could die")


def test_nothing_is_said_of_few_trades_or_days():
    few = Daily(np.full(DAYS, 100.0), np.where(np.arange(DAYS) < FEWEST_TRADES - 1, 1.0, 0.0))
    assert judge(few, few).found == "29 trades on 29 days are too few to tell (30 on 10)"
    short = Daily(np.full(9, 4_000.0), np.full(9, 40.0))
    assert "too few to tell" in judge(short, Daily(np.zeros(9), np.full(9, 40.0))).found


def test_a_strategy_that_no_longer_trades_has_lost_its_profit():
    check = judge(drawn(40.0, 1), Daily(np.zeros(DAYS), np.zeros(DAYS)))
    assert not check.passed
    assert check.figures["trades_late"] == 0


def test_noise_is_accused_at_most_two_times_in_a_hundred():
    accused = sum(not judge(drawn(0.0, 2 * k), drawn(0.0, 2 * k + 1), seed=k).passed for k in range(250))
    assert accused <= 5


def test_verdicts_repeat():
    assert judge(drawn(20.0, 1), drawn(5.0, 2), seed=3) == judge(drawn(20.0, 1), drawn(5.0, 2), seed=3)
