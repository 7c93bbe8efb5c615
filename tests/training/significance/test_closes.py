from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import DAY, HOUR
from core.errors import DataError
from core.market import Timeframe
from core.text import parse_iso
from training.random_strategies import costing, noise, random_twin
from training.significance.closes import Closes, Trades, daily, hold, read_closes

MARKET = Path(__file__).parents[3] / "configs" / "market"


def grid(prices, step=12 * HOUR):
    prices = np.array(prices, float)
    return Closes(tuple("AB"[: prices.shape[1]]), 0, step, prices)


def trade(entry, leave, side=1.0, weight=0.5, cost=0.0, instrument=0):
    columns = ([instrument], [entry], [leave], [side], [weight], [cost])
    return Trades(*(np.array(one) for one in columns))


def test_a_position_earns_on_each_day_what_its_quantity_earned():
    closes = grid([[100], [110], [120], [90], [99], [99], [99]])
    earned, paid = daily(trade(1, 4, cost=0.008), closes)
    # Half of equity at 110: a day's points are divided by 110, not by where the day began.
    assert earned.tolist() == pytest.approx([0.5 * 10 / 110, 0.5 * -21 / 110, 0.0])
    assert paid.tolist() == pytest.approx([0.002, 0.002, 0.0])
    short, _ = daily(trade(1, 4, side=-1.0), closes)
    assert short.tolist() == pytest.approx((-earned).tolist())


def test_a_trade_that_ends_at_midnight_belongs_to_the_day_before():
    closes = grid([[100], [100], [110], [120], [130]])
    earned, paid = daily(trade(0, 2, cost=0.01), closes)
    assert earned.tolist() == pytest.approx([0.05, 0.0])
    assert paid.tolist() == pytest.approx([0.005, 0.0])
    earned, paid = daily(trade(2, 3, cost=0.01), closes)
    assert earned.tolist() == pytest.approx([0.0, 0.5 * 10 / 110])
    assert paid.tolist() == pytest.approx([0.0, 0.005])


@given(st.integers(0, 10_000))
def test_days_add_up_to_the_trades(seed):
    rng = np.random.default_rng(seed)
    closes = grid(100 * np.exp(np.cumsum(rng.normal(0, 0.02, (41, 2)), axis=0)), step=6 * HOUR)
    trades = costing(noise(closes, rng), 0.004)
    earned, paid = daily(trades, closes)
    enter, leave = (closes.price[at, trades.instrument] for at in (trades.entry, trades.exit))
    assert earned.sum() == pytest.approx(np.sum(trades.weight * trades.side * (leave / enter - 1)), abs=1e-12)
    assert paid.sum() == pytest.approx(np.sum(trades.weight) * 0.008)


def test_holding_is_equal_cash_at_the_start():
    closes = grid([[100, 10], [0, 0], [150, 10], [0, 0], [75, 20]])
    assert hold(closes).tolist() == pytest.approx([0.25, (0.75 + 2.0) / 2.5 - 1])


def test_closes_of_the_shipped_market():
    closes = read_closes(MARKET, venue="binance", timeframe=Timeframe.H1)
    assert (closes.days, len(closes.price), len(closes.instruments)) == (200, 4801, 6)
    start = parse_iso("2024-03-01")
    some = read_closes(
        MARKET,
        venue="binance",
        timeframe=Timeframe.H1,
        instruments=("ETH/USDT",),
        start=start,
        end=start + 5 * DAY,
    )
    whole = closes.price[(start - closes.start) // HOUR :, closes.instruments.index("ETH/USDT")]
    assert some.price[1:, 0].tolist() == whole[1 : 5 * 24 + 1].tolist()


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"venue": "nowhere"}, "expected bars of nowhere"),
        ({"instruments": ("ABC/USDT",)}, "bars of ABC/USDT"),
        ({"timeframe": Timeframe.M1}, "in 1m"),
        ({"start": 0, "end": DAY}, "in the span"),
    ],
)
def test_what_the_lake_lacks_is_named(changes, said):
    with pytest.raises(DataError, match=said):
        read_closes(MARKET, **({"venue": "binance", "timeframe": Timeframe.H1} | changes))


@given(st.integers(0, 10_000))
def test_a_twin_is_the_same_trades_at_other_moments(seed):
    rng = np.random.default_rng(seed)
    closes = grid(100 + rng.random((81, 2)), step=6 * HOUR)
    trades = costing(noise(closes, rng), 0.002)
    draws = 7
    twin = random_twin(trades, trades.instrument, closes, rng, draws)
    for instrument in (0, 1):
        mine, its = trades.instrument == instrument, twin.instrument == instrument
        count = int(mine.sum())
        if not count:
            continue
        held = np.sort((twin.exit - twin.entry)[its].reshape(draws, count), axis=1)
        assert (held == np.sort((trades.exit - trades.entry)[mine])).all()
        assert np.sum(twin.side[its]) == draws * np.sum(trades.side[mine])
        entry, leave = (one[its].reshape(draws, count) for one in (twin.entry, twin.exit))
        assert (entry[:, 1:] >= leave[:, :-1]).all()
        assert (leave < len(closes.price)).all()
    assert np.sum(twin.weight * twin.cost) == pytest.approx(np.sum(trades.weight * trades.cost))


def test_a_twin_refuses_trades_that_overlap_in_a_group():
    closes = grid(100 + np.random.default_rng(1).random((9, 1)))
    both = Trades(*(np.concatenate(pair) for pair in zip(trade(0, 7), trade(1, 8), strict=True)))
    with pytest.raises(DataError, match="one after the other"):
        random_twin(both, np.zeros(2, int), closes, np.random.default_rng(1), 3)
