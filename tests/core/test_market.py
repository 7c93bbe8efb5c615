"""The time grid of bars, and the few figures that market values compute."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import DAY, MINUTE
from core.market import TIMEFRAMES, Bar, Quote, Timeframe
from core.orders import Side
from core.signal import Direction


@given(st.sampled_from(TIMEFRAMES), st.integers(0, 4 * 10**18))
def test_a_bar_owns_its_open_and_not_its_close(timeframe, ts):
    opened = timeframe.floor(ts)
    bar = Bar("BTC/USD", timeframe, opened, 1, 1, 1, 1, 0, 1, 0)
    assert opened % timeframe.ns == 0
    assert bar.ts_open <= ts < bar.ts_close
    assert timeframe.floor(bar.ts_close) == bar.ts_close


@given(st.integers(0, 4 * 10**18))
def test_a_longer_bar_holds_every_shorter_one(ts):
    for shorter, longer in pairwise(TIMEFRAMES):
        assert longer.ns % shorter.ns == 0
        assert longer.floor(ts) <= shorter.floor(ts)
        assert shorter.floor(ts) + shorter.ns <= longer.floor(ts) + longer.ns


def test_lengths_are_what_the_names_say():
    assert [t.minutes for t in TIMEFRAMES] == [1, 5, 15, 30, 60, 240, 1440]
    assert (Timeframe("15m").ns, Timeframe.D1.ns) == (15 * MINUTE, DAY)


@given(st.decimals(1, 10**6, places=4), st.decimals(0, 100, places=4))
def test_the_mid_lies_half_way(bid, spread):
    quote = Quote("BTC/USD", 0, bid, bid + spread, Decimal(1), Decimal(1))
    assert quote.mid - quote.bid == quote.ask - quote.mid


@pytest.mark.parametrize("side,sign", [(Side.BUY, 1), (Side.SELL, -1)])
def test_sides_are_signs(side, sign):
    assert (side.sign, side.opposite.sign, side.opposite.opposite) == (sign, -sign, side)


def test_directions_are_signs():
    assert {d: d.sign for d in Direction} == {Direction.LONG: 1, Direction.SHORT: -1, Direction.HOLD: 0}
