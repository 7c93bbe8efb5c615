"""Verdicts, the screen of trades and the witness of bars, each alone."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import MINUTE, SECOND, ManualClock
from core.events import InstrumentQuality
from core.market import Bar, Timeframe, Trade
from core.orders import Side
from feeds.bars import quiet
from feeds.pace import Pace
from feeds.quality import BARS, TOP, QualityBoard, Verdict
from feeds.screen import Fault, Screen
from feeds.witness import Witness, differs, sample
from venue.wire_market import CandleRow

BTC = "BTC/USD"
NOW = 10_000 * SECOND


def test_verdicts_are_told_once_and_in_a_fixed_order():
    board = QualityBoard()
    for verdict in (Verdict.LATE, Verdict.DOWN, Verdict.LATE):
        board.find(BTC, verdict, NOW)
    assert board.changes() == (InstrumentQuality(BTC, ("down", "late")),)
    assert board.changes() == ()
    board.lift(BTC, BARS)
    board.lift(BTC, TOP)
    assert board.changes() == (InstrumentQuality(BTC, ("down",)),)
    assert board.counts[Verdict.LATE] == 1


def test_outlier_passes_with_time():
    board = QualityBoard()
    board.find(BTC, Verdict.OUTLIER, NOW)
    board.on_time(NOW + 4 * MINUTE)
    assert board.verdicts(BTC) == ("outlier",)
    board.on_time(NOW + 5 * MINUTE)
    assert board.verdicts(BTC) == ()


@given(st.lists(st.tuples(st.sampled_from(list(Verdict)), st.booleans())))
def test_what_was_told_last_is_what_holds(steps):
    board, told = QualityBoard(), ()
    for verdict, wrong in steps:
        if wrong:
            board.find(BTC, verdict, NOW)
        else:
            board.lift(BTC, [verdict])
        for change in board.changes():
            told = change.verdicts
    assert told == board.verdicts(BTC)


def trade(ts, price="100"):
    return Trade(BTC, ts, Decimal(price), Decimal(1), Side.BUY, 1)


@pytest.mark.parametrize(
    "offset_s, fault",
    [(5, None), (5.001, Fault.FUTURE), (-120, None), (-120.001, Fault.PAST)],
)
def test_trades_are_bounded_by_the_clock(offset_s, fault):
    assert Screen().judge(trade(NOW + round(offset_s * SECOND)), NOW) is fault


def test_replayed_trades_may_be_old_but_not_out_of_order():
    screen = Screen()
    assert screen.judge(trade(NOW - 900 * SECOND), NOW, replayed=True) is None
    assert screen.judge(trade(NOW - 906 * SECOND), NOW, replayed=True) is Fault.BACKWARD
    assert screen.judge(trade(NOW - 904 * SECOND), NOW, replayed=True) is None


def test_bounds_are_of_the_wall_on_a_fast_clock():
    assert Screen(60 * SECOND).judge(trade(NOW + 290 * SECOND), NOW) is None


def test_jump_is_told_and_becomes_the_new_measure():
    screen = Screen()
    assert [screen.judge(trade(NOW, price), NOW) for price in ("100", "126", "127")] == [
        None,
        Fault.JUMP,
        None,
    ]
    assert screen.counters[Fault.JUMP] == 1


def bar(minute, *, trades=2, close=11.0, volume=3.0):
    return Bar(BTC, Timeframe.M1, minute * MINUTE, 10.0, 12.0, 9.0, close, volume, 10.0, trades)


def candle(minute, *, trades=2, close=11.0, volume=3.0, begin=None):
    begin = begin or f"1970-01-01T00:{minute:02d}:00.000000000Z"
    return CandleRow(BTC, 10.0, 12.0, 9.0, close, trades, volume, begin, 1)


def test_minute_is_judged_once_its_candle_is_final():
    witness = Witness()
    witness.on_candles([candle(1, trades=1, close=10.0)])
    assert witness.on_bars([bar(1)]) == []
    witness.on_candles([candle(1)])  # the last word on the minute came a moment after its end
    assert witness.on_bars([bar(2)]) == []
    assert witness.compared == 1
    witness.on_candles([candle(2, close=11.5), candle(3, begin="soon")])
    (found,) = witness.on_bars([bar(3)])
    assert (found.ts_open, found.detail) == (2 * MINUTE, "expected close 11.5, found 11.0")


def test_missing_candle_and_forgotten_instrument_prove_nothing():
    witness = Witness()
    assert witness.on_bars([quiet(BTC, Timeframe.M1, MINUTE, 5.0)]) == []
    witness.on_candles([candle(1, trades=9)])
    witness.forget(BTC)
    assert witness.on_bars([bar(2)]) == []
    assert witness.compared == 0


def test_candle_of_a_quiet_bar_is_a_mismatch():
    witness = Witness()
    witness.on_bars([quiet(BTC, Timeframe.M1, MINUTE, 5.0)])
    witness.on_candles([candle(1)])
    assert witness.on_bars([bar(2)])[0].detail == "expected 2 trades, found 0"


def test_figures_that_differ_are_named():
    assert differs(bar(1), bar(1)) == ""
    assert differs(bar(1), bar(1, volume=3.0000001)) == ""
    assert "volume" in differs(bar(1), bar(1, volume=3.1))
    assert differs(quiet(BTC, Timeframe.M1, MINUTE, 5.0), quiet(BTC, Timeframe.M1, MINUTE, 6.0)) == ""


def test_each_instrument_has_its_turn():
    assert [sample(["B", "A"], turn) for turn in range(3)] == ["A", "B", "A"]
    assert sample([], 1) is None


async def test_pace_lets_a_burst_through_and_makes_others_wait():
    clock = ManualClock(NOW)
    pace = Pace(clock, burst=3.0, rate=1000.0)
    for _ in range(5):
        await pace.turn()
    assert pace._budget.wait_s(1.0, NOW) == pytest.approx(0.003)
