import math
from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.instrument import Instrument
from core.market import Bar, Timeframe
from core.orders import Side
from feeds.lake import BarArrays
from trader.backtest.quotes import BASE, WIDEST, close_quote, depth, half_spread, half_spreads, path, turn

TICK = Decimal("0.01")
COIN = Instrument("A/USDT", "A", "USDT", TICK, Decimal("0.001"), 2, 3, Decimal("0.5"), Decimal(1), 5)
PRICES = st.integers(9_000, 11_000).map(lambda ticks: ticks / 100)


def bar(open_, high, low, close, volume=1000.0):
    return Bar("A/USDT", Timeframe.M5, 0, open_, high, low, close, volume, close, 10)


@st.composite
def bars(draw):
    four = sorted(draw(st.lists(PRICES, min_size=4, max_size=4)))
    first, last = draw(st.permutations(four[1:3]))
    return bar(first, four[3], four[0], last)


def mids(quotes):
    return [float(quote.mid) for quote in quotes]


EXACT = PRICES.map(lambda p: Decimal(repr(p)))
LIMITS = st.lists(st.tuples(EXACT, st.sampled_from(Side)), max_size=3)


@given(bars(), st.sampled_from([-1, 0, 1]), st.lists(EXACT, max_size=4), LIMITS, st.booleans())
def test_a_path_stays_in_its_bar_and_ends_at_its_close(one, held, stops, limits, again):
    quotes = list(path(one, COIN, held=Decimal(held), stops=stops, limits=limits, again=again))
    times = [quote.ts_event for quote in quotes]
    assert times == sorted(times)
    assert one.ts_open < times[0]
    assert times[-1] == one.ts_close
    assert quotes[-1] == close_quote(one, COIN)
    slack = float(TICK)
    assert all(one.low - slack <= mid <= one.high + slack for mid in mids(quotes))
    assert all(q.bid < q.ask and q.bid % TICK == 0 and q.ask % TICK == 0 for q in quotes)


@given(bars(), st.sampled_from([-1, 1]))
def test_the_extreme_that_hurts_comes_first(one, held):
    seen = mids(path(one, COIN, held=Decimal(held), stops=()))
    worst, best = (min, max) if held > 0 else (max, min)
    assert seen.index(worst(seen)) <= seen.index(best(seen)) or seen[0] == best(seen)


def test_a_stop_is_met_at_its_price_and_not_at_the_far_end():
    stop = Decimal("97.5")
    quotes = list(path(bar(100.0, 101.0, 95.0, 100.5), COIN, held=Decimal(1), stops=[stop]))
    bids = [quote.bid for quote in quotes]
    first = next(bid for bid in bids if bid <= stop)
    assert 0 < stop - first <= stop * Decimal("0.004") + TICK
    assert min(bids) < Decimal("95.01")


@given(bars(), st.sampled_from([-1, 1]), EXACT, st.sampled_from(Side))
def test_a_resting_order_is_met_at_its_price_unless_the_bar_opens_beyond_it(one, held, limit, side):
    quotes = list(path(one, COIN, held=Decimal(held), stops=(), limits=[(limit, side)]))
    other = [quote.ask if side is Side.BUY else quote.bid for quote in quotes]
    reached = [price for price in other if (limit - price) * side.sign >= 0]
    if reached and reached[0] != other[0]:
        assert abs(reached[0] - limit) <= TICK


def test_the_bad_extreme_is_visited_again_for_accounts_on_the_other_side():
    one = bar(100.0, 104.0, 96.0, 101.0)
    seen = [round(mid) for mid in mids(path(one, COIN, held=Decimal(1), stops=(), again=True))]
    assert seen == [100, 96, 104, 96, 101]
    times = [quote.ts_event for quote in path(one, COIN, held=Decimal(1), stops=(), again=True)]
    assert times[1] < turn(one) == times[2]


def test_a_gap_over_the_stop_is_met_at_the_open():
    quotes = list(path(bar(96.0, 97.0, 95.0, 96.5), COIN, held=Decimal(1), stops=[Decimal("97.5")]))
    assert quotes[0].bid < Decimal("96.0")


def test_depth_is_a_share_of_the_volume_and_never_nothing():
    assert close_quote(bar(100.0, 100.0, 100.0, 100.0), COIN).bid_quantity == Decimal(100)
    assert close_quote(bar(100.0, 100.0, 100.0, 100.0, 0.0), COIN).bid_quantity == Decimal("0.5")


FIGURES = st.lists(
    st.tuples(st.integers(1, 10**6), st.integers(0, 500), st.integers(0, 500), st.integers(0, 10**9)),
    min_size=1,
    max_size=40,
)


def made(number, timeframe, cents, up, down, sevenths):
    close = cents / 100
    high, low = (cents + up) / 100, cents / (100 + down)
    return Bar("A/USDT", timeframe, number * timeframe.ns, close, high, low, close, sevenths / 7, close, 1)


def as_arrays(rows):
    names = ("open", "high", "low", "close", "volume", "vwap")
    columns = {name: np.array([getattr(row, name) for row in rows]) for name in names}
    times, trades = np.array([row.ts_open for row in rows], np.int64), np.ones(len(rows), np.int32)
    return BarArrays("A/USDT", rows[0].timeframe, times, **columns, trades=trades)


@given(FIGURES, st.sampled_from(list(Timeframe)))
def test_one_bar_at_a_time_gives_the_bits_of_the_whole_history(figures, timeframe):
    rows = [made(number, timeframe, *one) for number, one in enumerate(figures)]
    whole = half_spreads(as_arrays(rows)).tolist()
    assert whole == [half_spread(one) for one in rows]
    assert all(BASE < half <= WIDEST for half in whole)


def test_the_spread_follows_range_and_value_by_the_rule_written_down():
    # A range of 1 % and a million traded in five minutes: 0.00005 + 0.02 x 0.01 x 1.
    assert half_spread(bar(100.0, 100.5, 99.5, 100.0, 10_000.0)) == 0.5e-4 + 0.02 * 0.01
    # A quarter of the value doubles the part that moves.
    assert half_spread(bar(100.0, 100.5, 99.5, 100.0, 2_500.0)) == 0.5e-4 + 0.02 * 0.01 * 2
    # A quiet bar is not a tight one: at least a basis point of range and at most 10,000 of value.
    assert half_spread(bar(100.0, 100.0, 100.0, 100.0, 0.0)) == 0.5e-4 + 0.02 * 1e-4 * 10


def test_an_hour_is_brought_to_five_minutes():
    hour = Bar("A/USDT", Timeframe.H1, 0, 100.0, 101.0, 99.0, 100.0, 120_000.0, 100.0, 10)
    assert half_spread(hour) == 0.5e-4 + 0.02 * (0.02 * math.sqrt(1 / 12)) * 1
    assert depth(hour, COIN) == Decimal(1000)  # half a minute of 120,000 an hour
