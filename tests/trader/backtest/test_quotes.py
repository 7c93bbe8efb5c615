from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.instrument import Instrument
from core.market import Bar, Timeframe
from trader.backtest.quotes import HALF_SPREAD, close_quote, path

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


@given(bars(), st.sampled_from([-1, 0, 1]), st.lists(PRICES.map(lambda p: Decimal(repr(p))), max_size=4))
def test_a_path_stays_in_its_bar_and_ends_at_its_close(one, held, stops):
    quotes = list(path(one, COIN, held=Decimal(held), stops=stops))
    times = [quote.ts_event for quote in quotes]
    assert times == sorted(times)
    assert one.ts_open < times[0]
    assert times[-1] == one.ts_close
    assert quotes[-1] == close_quote(one, COIN)
    slack = one.high * HALF_SPREAD + float(TICK)
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
    assert stop - first <= TICK * 2
    assert min(bids) < Decimal("95.01")


def test_a_gap_over_the_stop_is_met_at_the_open():
    quotes = list(path(bar(96.0, 97.0, 95.0, 96.5), COIN, held=Decimal(1), stops=[Decimal("97.5")]))
    assert quotes[0].bid < Decimal("96.0")


def test_depth_is_a_share_of_the_volume_and_never_nothing():
    assert close_quote(bar(100.0, 100.0, 100.0, 100.0), COIN).bid_quantity == Decimal(100)
    assert close_quote(bar(100.0, 100.0, 100.0, 100.0, 0.0), COIN).bid_quantity == Decimal("0.5")
