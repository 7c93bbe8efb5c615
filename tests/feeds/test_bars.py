"""BarBuilder against a naive grouping of the same trades, and its rules one by one."""

from collections.abc import Iterable
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import DAY, HOUR, MINUTE, SECOND
from core.errors import InternalError
from core.market import TIMEFRAMES, Bar, Timeframe, Trade
from core.orders import Side
from feeds.bars import BarBuilder, merged, quiet

BTC = "BTC/USDT"
START = 19_800 * DAY  # a midnight


def trade(ts: int, price: str = "100", quantity: str = "1", instrument: str = BTC) -> Trade:
    return Trade(instrument, ts, Decimal(price), Decimal(quantity), Side.BUY, 0)


def minute_bar(opened: int, close: float = 100.0, trades: int = 1) -> Bar:
    return Bar(BTC, Timeframe.M1, opened, close, close + 1, close - 1, close, 2.0, close, trades)


def watching(since: int = START, timeframes: Iterable[Timeframe] = TIMEFRAMES) -> BarBuilder:
    builder = BarBuilder(tuple(timeframes))
    builder.add(BTC, since)
    return builder


def closed(builder: BarBuilder, ts: int, timeframe: Timeframe) -> list[Bar]:
    return [bar for _, bars in builder.close_until(ts) for bar in bars if bar.timeframe is timeframe]


def test_minute_holds_open_high_low_close_volume_vwap_and_count():
    builder = watching()
    for second, price, quantity in ((0, "100", "1"), (5, "104", "2"), (6, "98", "1"), (59, "101", "4")):
        assert builder.on_trade(trade(START + second * SECOND, price, quantity))
    ((ts_close, (bar,)),) = builder.close_until(START + MINUTE)
    assert ts_close == START + MINUTE
    assert bar == Bar(BTC, Timeframe.M1, START, 100, 104, 98, 101, 8, 810 / 8, 4, 8)


def test_sums_are_exact_where_floats_would_drift():
    builder = watching()
    for second in range(3):
        builder.on_trade(trade(START + second * SECOND, "0.1", "0.1"))
    (bar,) = closed(builder, START + MINUTE, Timeframe.M1)
    assert (bar.volume, bar.vwap) == (0.3, 0.1)


def test_minute_stays_open_until_its_last_nanosecond_has_passed():
    builder = watching()
    builder.on_trade(trade(START))
    assert builder.close_until(START + MINUTE - 1) == []
    assert len(builder.close_until(START + MINUTE)) == 1


def test_trade_on_the_boundary_belongs_to_the_next_minute_even_before_the_clock_closes():
    builder = watching()
    builder.on_trade(trade(START, "100"))
    builder.on_trade(trade(START + MINUTE, "200"))
    first, second = closed(builder, START + 2 * MINUTE, Timeframe.M1)
    assert (first.close, second.open) == (100.0, 200.0)


def test_late_trade_changes_no_bar_and_is_counted():
    builder = watching()
    builder.on_trade(trade(START, "100"))
    builder.close_until(START + MINUTE)
    assert not builder.on_trade(trade(START + 59 * SECOND, "999"))
    assert builder.late == 1
    assert closed(builder, START + 2 * MINUTE, Timeframe.M1) == [
        quiet(BTC, Timeframe.M1, START + MINUTE, 100)
    ]


def test_quiet_minutes_repeat_the_close_and_count_no_trade():
    builder = watching()
    builder.on_trade(trade(START, "100"))
    bars = closed(builder, START + 3 * MINUTE, Timeframe.M1)
    assert [(bar.close, bar.volume, bar.trades) for bar in bars] == [(100, 1, 1), (100, 0, 0), (100, 0, 0)]


def test_no_quiet_bar_before_any_price_is_known():
    assert watching().close_until(START + 5 * MINUTE) == []


def test_minute_joined_in_the_middle_has_no_bar():
    builder = watching(START + 10 * SECOND)
    builder.on_trade(trade(START + 20 * SECOND))
    builder.on_trade(trade(START + 70 * SECOND))
    assert [bar.ts_open for bar in closed(builder, START + 2 * MINUTE, Timeframe.M1)] == [START + MINUTE]


def test_gap_takes_its_minutes_and_the_higher_bars_around_them():
    builder = watching()
    for minute in range(15):
        builder.on_trade(trade(START + minute * MINUTE))
    builder.mark_gap(START + 7 * MINUTE + 30 * SECOND, START + 8 * MINUTE + SECOND)
    bars = [bar for _, group in builder.close_until(START + 15 * MINUTE) for bar in group]
    opened = [(bar.ts_open - START) // MINUTE for bar in bars if bar.timeframe is Timeframe.M1]
    assert opened == [minute for minute in range(15) if minute not in {7, 8}]
    assert [bar.ts_open for bar in bars if bar.timeframe is Timeframe.M5] == [START, START + 10 * MINUTE]
    assert not [bar for bar in bars if bar.timeframe is Timeframe.M15]


def test_gap_of_one_instrument_leaves_the_others_alone():
    builder = watching()
    builder.add("ETH/USDT", START)
    for instrument in (BTC, "ETH/USDT"):
        builder.on_trade(trade(START, instrument=instrument))
    builder.mark_gap(START, START + SECOND, BTC)
    assert [bar.instrument for bar in closed(builder, START + MINUTE, Timeframe.M1)] == ["ETH/USDT"]


def test_gap_that_ends_on_a_boundary_leaves_the_next_minute_alone():
    builder = watching()
    builder.mark_gap(START, START + MINUTE)
    builder.mark_gap(START + MINUTE, START + MINUTE)
    builder.on_trade(trade(START))
    bars = closed(builder, START + 2 * MINUTE, Timeframe.M1)
    assert [bar.ts_open for bar in bars] == [START + MINUTE]


def test_midnight_closes_every_timeframe_at_once_smallest_first():
    builder = watching(timeframes=reversed(TIMEFRAMES))
    builder.on_trade(trade(START))
    ts_close, bars = builder.close_until(START + DAY)[-1]
    assert ts_close == START + DAY
    assert [bar.timeframe for bar in bars] == list(TIMEFRAMES)
    assert bars[-1] == Bar(BTC, Timeframe.D1, START, 100, 100, 100, 100, 1, 100, 1, 1)


def test_history_gives_the_last_close_and_what_running_bars_began_with():
    now = START + HOUR + 37 * MINUTE
    history = {
        Timeframe.H1: [Bar(BTC, Timeframe.H1, START, 90, 120, 80, 100, 60, 100, 60)],
        Timeframe.M1: [minute_bar(START + minute * MINUTE) for minute in range(97)],
    }
    builder = watching(now - 20 * SECOND)
    builder.warm(BTC, history)
    builder.on_trade(trade(now, "150", "3"))
    bars = {bar.timeframe: bar for _, group in builder.close_until(START + 4 * HOUR) for bar in group}
    assert (bars[Timeframe.H4].open, bars[Timeframe.H4].high, bars[Timeframe.H4].low) == (90, 150, 80)
    assert bars[Timeframe.H4].trades == 60 + 37 + 1
    assert bars[Timeframe.H4].volume == pytest.approx(60 + 37 * 2 + 3)


def test_minute_that_history_already_closed_is_not_closed_again():
    builder = watching(START)
    builder.on_trade(trade(START, "100"))
    builder.on_trade(trade(START + MINUTE, "101"))
    builder.warm(BTC, {Timeframe.M1: [minute_bar(START, 100)]})
    assert builder.on_trade(trade(START + SECOND))  # in that bar already
    bars = closed(builder, START + 2 * MINUTE, Timeframe.M1)
    assert [(bar.ts_open, bar.close) for bar in bars] == [(START + MINUTE, 101)]


def test_instrument_warmed_ahead_does_not_hold_the_others_back():
    builder = watching()
    builder.add("ETH/USDT", START)
    builder.warm(BTC, {Timeframe.M1: [minute_bar(START), minute_bar(START + MINUTE)]})
    builder.on_trade(trade(START, "7", instrument="ETH/USDT"))
    bars = [bar for _, group in builder.close_until(START + 3 * MINUTE) for bar in group]
    assert [(bar.instrument, (bar.ts_open - START) // MINUTE) for bar in bars] == [
        ("ETH/USDT", 0),
        ("ETH/USDT", 1),
        (BTC, 2),
        ("ETH/USDT", 2),
    ]


def test_history_fetched_after_a_gap_repairs_the_running_higher_bar():
    builder = watching()
    for minute in range(9):
        builder.on_trade(trade(START + minute * MINUTE))
    builder.mark_gap(START + 2 * MINUTE, START + 4 * MINUTE)
    builder.close_until(START + 7 * MINUTE)
    builder.warm(BTC, {Timeframe.M1: [minute_bar(START + minute * MINUTE) for minute in range(6)]})
    (bar,) = closed(builder, START + 15 * MINUTE, Timeframe.M15)
    assert bar.ts_open == START
    assert bar.trades == 9


def test_history_with_a_hole_leaves_the_bar_around_it_out():
    minutes = [minute_bar(START + minute * MINUTE) for minute in range(6) if minute != 2]
    builder = watching(START + 5 * MINUTE)
    builder.warm(BTC, {Timeframe.M1: minutes})
    assert closed(builder, START + 10 * MINUTE, Timeframe.M5)[0].ts_open == START + 5 * MINUTE
    assert closed(builder, START + 29 * MINUTE, Timeframe.M15) == []


def test_empty_history_changes_nothing():
    builder = watching()
    builder.warm(BTC, {Timeframe.M1: []})
    assert builder.close_until(START + MINUTE) == []


def test_history_older_than_the_present_still_gives_a_first_price():
    builder = watching()
    builder.close_until(START + 2 * MINUTE)
    builder.warm(BTC, {Timeframe.M1: [minute_bar(START, 70)]})
    (bar,) = closed(builder, START + 3 * MINUTE, Timeframe.M1)
    assert bar == quiet(BTC, Timeframe.M1, START + 2 * MINUTE, 70)


def test_instrument_that_nobody_watches_is_our_own_mistake():
    with pytest.raises(InternalError, match="ETH/USDT"):
        watching().on_trade(trade(START, instrument="ETH/USDT"))
    with pytest.raises(InternalError, match="ETH/USDT"):
        watching().warm("ETH/USDT", {Timeframe.M1: [minute_bar(START)]})


@st.composite
def days_of_trades(draw):
    times = draw(st.lists(st.integers(0, 3 * HOUR - 1), min_size=1, max_size=60).map(sorted))
    prices = st.integers(1, 10_000).map(lambda ticks: Decimal(ticks) / 8)
    quantities = st.integers(1, 1000).map(lambda lots: Decimal(lots) / 16)
    sides = st.sampled_from(Side)
    return [Trade(BTC, START + ts, draw(prices), draw(quantities), draw(sides), 0) for ts in times]


def expected_bars(trades: list[Trade], timeframe: Timeframe) -> list[Bar]:
    first = Timeframe.M1.floor(trades[0].ts_event)
    bars = []
    for opened in range(START, START + 3 * HOUR, timeframe.ns):
        inside = [t for t in trades if opened <= t.ts_event < opened + timeframe.ns]
        if opened < first:
            continue  # began before any price was known
        if not inside:
            before = [t for t in trades if t.ts_event < opened]
            bars.append(quiet(BTC, timeframe, opened, float(before[-1].price)))
            continue
        prices = [float(t.price) for t in inside]
        volume = sum(t.quantity for t in inside)
        vwap = float(sum(t.quantity * t.price for t in inside) / volume)
        ends = (prices[0], max(prices), min(prices), prices[-1])
        delta = float(sum(t.quantity * t.side.sign for t in inside))
        bars.append(Bar(BTC, timeframe, opened, *ends, float(volume), vwap, len(inside), delta))
    return bars


@settings(max_examples=40, deadline=None)
@given(trades=days_of_trades(), timeframe=st.sampled_from([Timeframe.M1, Timeframe.M5, Timeframe.H1]))
def test_bars_equal_a_naive_grouping_however_often_the_clock_ticks(trades, timeframe):
    builder = watching()
    made: list[Bar] = []
    for one in trades:
        made += closed(builder, one.ts_event, timeframe)
        assert builder.on_trade(one)
    made += closed(builder, START + 3 * HOUR, timeframe)
    wanted = expected_bars(trades, timeframe)
    assert [(b.ts_open, b.open, b.high, b.low, b.close, b.trades) for b in made] == [
        (b.ts_open, b.open, b.high, b.low, b.close, b.trades) for b in wanted
    ]
    assert [b.volume for b in made] == pytest.approx([b.volume for b in wanted])
    assert [b.vwap for b in made] == pytest.approx([b.vwap for b in wanted])
    assert [b.delta for b in made] == [b.delta for b in wanted]  # sixteenths add up exactly


def test_bar_opens_with_its_first_trade_not_with_the_silence_before_it():
    builder = watching()
    builder.on_trade(trade(START, "90"))
    builder.on_trade(trade(START + 7 * MINUTE, "100"))
    assert closed(builder, START + 10 * MINUTE, Timeframe.M5)[1] == Bar(
        BTC, Timeframe.M5, START + 5 * MINUTE, 100, 100, 100, 100, 1, 100, 1, 1
    )


def test_delta_is_exact_where_floats_would_drift():
    builder = watching()
    for second, side in enumerate((Side.BUY, Side.BUY, Side.BUY, Side.SELL)):
        builder.on_trade(Trade(BTC, START + second * SECOND, Decimal(1), Decimal("0.1"), side, 0))
    (bar,) = closed(builder, START + MINUTE, Timeframe.M1)
    assert (bar.volume, bar.delta) == (0.4, 0.2)


def test_delta_of_a_bar_is_unknown_if_that_of_any_part_with_trades_is():
    known = msgspec.structs.replace(minute_bar(START), delta=1.5)
    silent = msgspec.structs.replace(quiet(BTC, Timeframe.M1, START + MINUTE, 100.0), delta=None)
    served = minute_bar(START + 2 * MINUTE)
    assert merged(Timeframe.M5, [known, silent, known]).delta == 3.0
    assert merged(Timeframe.M5, [known, served, known]).delta is None
    assert merged(Timeframe.M5, [silent, silent]).delta == 0.0


def test_merging_quiet_parts_only_is_quiet():
    parts = [quiet(BTC, Timeframe.M1, START + minute * MINUTE, 7.0) for minute in range(5)]
    assert merged(Timeframe.M5, parts) == quiet(BTC, Timeframe.M5, START, 7.0)


def test_trade_of_a_minute_that_history_closed_is_not_late():
    builder = BarBuilder((Timeframe.M1,))
    builder.add(BTC, 10 * MINUTE)
    builder.warm(BTC, {Timeframe.M1: [quiet(BTC, Timeframe.M1, 10 * MINUTE, 5.0)]})
    assert builder.on_trade(Trade(BTC, 10 * MINUTE + 1, Decimal(6), Decimal(1), Side.BUY, 1))
    assert builder.late == 0
    builder.close_until(12 * MINUTE)
    assert not builder.on_trade(Trade(BTC, 11 * MINUTE + 1, Decimal(6), Decimal(1), Side.BUY, 2))
    assert builder.late == 1


def test_held_minutes_close_once_released_and_hold_up_no_other():
    builder = BarBuilder((Timeframe.M1,))
    for name in (BTC, "ETH/USD"):
        builder.add(name, 10 * MINUTE)
        builder.on_trade(Trade(name, 10 * MINUTE + 1, Decimal(6), Decimal(1), Side.BUY, 1))
    builder.hold([BTC, "UN/KNOWN"])
    assert builder.held == {BTC}
    closed = builder.close_until(12 * MINUTE)
    assert {bar.instrument for _, bars in closed for bar in bars} == {"ETH/USD"}
    builder.mark_gap(11 * MINUTE, 11 * MINUTE + 1, BTC)
    builder.on_trade(Trade(BTC, 10 * MINUTE + 2, Decimal(7), Decimal(1), Side.BUY, 2))
    builder.close_until(13 * MINUTE)
    builder.release(BTC)
    closed = builder.close_until(13 * MINUTE)
    assert [(ts // MINUTE, bar.trades) for ts, bars in closed for bar in bars] == [(11, 2), (13, 0)]
    assert builder.closed_until(BTC) == 13 * MINUTE
    assert [bar.ts_open // MINUTE for bar in builder.recent(BTC)] == [10, 12]
