"""The time grid of bars, and the few figures that market values compute."""

from decimal import Decimal
from itertools import pairwise

import msgspec
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


def test_a_bar_written_before_takers_sides_were_known_is_read_as_one_that_lacks_them():
    old = b'["BTC/USD","1m",60000000000,1.0,2.0,0.5,1.5,3.0,1.2,4]'
    bar = msgspec.json.decode(old, type=Bar)
    assert bar == Bar("BTC/USD", Timeframe.M1, MINUTE, 1.0, 2.0, 0.5, 1.5, 3.0, 1.2, 4)
    assert bar.delta is None
    assert msgspec.json.decode(msgspec.json.encode(bar), type=Bar) == bar
    packed = msgspec.msgpack.encode(msgspec.json.decode(old))
    assert msgspec.msgpack.decode(packed, type=Bar) == bar


@given(st.decimals(1, 10**6, places=4), st.decimals(0, 100, places=4))
def test_the_mid_lies_half_way(bid, spread):
    quote = Quote("BTC/USD", 0, bid, bid + spread, Decimal(1), Decimal(1))
    assert quote.mid - quote.bid == quote.ask - quote.mid


@pytest.mark.parametrize("side,sign", [(Side.BUY, 1), (Side.SELL, -1)])
def test_sides_are_signs(side, sign):
    assert (side.sign, side.opposite.sign, side.opposite.opposite) == (sign, -sign, side)


def test_directions_are_signs():
    assert {d: d.sign for d in Direction} == {Direction.LONG: 1, Direction.SHORT: -1, Direction.HOLD: 0}
