"""The ledger alone: fills, rollovers and marks in, exact trips and hourly rows out."""

from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import HOUR, MINUTE
from core.errors import InternalError
from core.events import Fill
from core.orders import OrderType, Purpose, Side, SubmitOrder, TimeInForce
from trader.backtest.ledger import CURVE, PAIRS, Ledger, curve_rows, framed, pairs_rows

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


def fill(ts, side, price, quantity="1", fee="0.5", symbol="A/USDT"):
    return Fill(ts, "a", f"x{ts}", "c", "o", symbol, side, D(price), D(quantity), D(fee), False, ts)


def order(purpose=Purpose.ENTRY, prediction_id="p"):
    return SubmitOrder(
        "a",
        "t",
        "c",
        "A/USDT",
        BUY,
        D(1),
        OrderType.MARKET,
        purpose,
        TimeInForce.GTC,
        0,
        prediction_id=prediction_id,
    )


def booked(*fills, cash=1000):
    ledger = Ledger("a", D(cash))
    for one in fills:
        ledger.on_fill(one, one.price, order())
    return ledger


def test_a_round_trip_is_won_only_after_fees():
    ledger = booked(
        fill(1, BUY, "100", "2"),
        fill(2, SELL, "101", "1"),
        fill(3, SELL, "101", "1"),  # won: 2 - 1.5
        fill(4, SELL, "100", "1"),
        fill(5, BUY, "99.5", "1"),  # lost: 0.5 - 1.0
    )
    assert (ledger.closed, ledger.wins, ledger.fills) == (2, 1, 5)
    assert [trip.net for trip in ledger.trips] == [D("0.5"), D("-0.5")]
    assert ledger.equity == D(1000)
    assert ledger.fees == D("2.5")


def test_drawdown_is_from_the_highest_equity():
    ledger = Ledger("a", D(100))
    ledger.on_fill(fill(1, BUY, "10", "10", "0"), D(10), order())
    for mark in ("12", "9", "11"):
        ledger.on_marks(2, {"A/USDT": D(mark)})
    assert ledger.drawdown == pytest.approx(0.25)
    assert ledger.equity == D(110)


def test_a_loss_that_closes_a_position_counts_in_the_drawdown():
    ledger = booked(fill(1, BUY, "10", "10", "0"), fill(2, SELL, "8", "10", "0"), cash=100)
    ledger.on_marks(3, {"A/USDT": D(8)})
    assert ledger.drawdown == pytest.approx(0.2)


def test_slippage_is_against_the_mid_and_part_of_gross():
    ledger = Ledger("a", D(1000))
    ledger.on_fill(fill(1, SELL, "99.98", "2"), D("100.00"), order())
    ledger.on_fill(fill(2, BUY, "98.03", "2"), D("98.00"), order(Purpose.TARGET))
    (trip,) = ledger.trips
    assert trip.side == "short"
    assert trip.slippage == D("0.02") * 2 + D("0.03") * 2
    assert trip.gross == (D("99.98") - D("98.03")) * 2
    assert (trip.turnover, trip.ended_by) == (D("99.98") * 2 + D("98.03") * 2, "target")


def test_margin_fees_stand_apart_from_trade_fees():
    ledger = Ledger("a", D(1000))
    ledger.on_fill(fill(1, BUY, "100", fee="0.65"), D(100), order(), lending=D("0.25"))
    ledger.on_rollover(4 * HOUR, "A/USDT", D("0.25"))
    ledger.on_fill(fill(5 * HOUR, SELL, "100", fee="0.4"), D(100), order(Purpose.STOP))
    (trip,) = ledger.trips
    assert (trip.fees, trip.margin_fees, trip.net) == (D("0.8"), D("0.5"), D("-1.3"))
    assert (ledger.fees, trip.ended_by) == (D("1.3"), "stop")


def test_only_an_open_position_rolls_over():
    with pytest.raises(InternalError, match="rolls over"):
        booked().on_rollover(1, "A/USDT", D(1))


def test_a_fill_beyond_the_position_ends_one_trip_and_begins_another():
    ledger = booked(fill(1, BUY, "100", "1"), fill(2, SELL, "110", "3", "0.6"))
    (trip,) = ledger.trips
    assert trip.net == 10 - D("0.5") - D("0.2")
    ledger.finish(3, {"A/USDT": D(100)})
    assert ledger.trips[1].net == (110 - 100) * 2 - D("0.4")
    assert (ledger.trips[1].ended_by, ledger.closed) == ("end", 1)
    assert sum(t.net for t in ledger.trips) == ledger.equity - 1000


def test_a_trip_that_begins_behind_the_end_is_held_for_no_time_and_not_for_less():
    """An answer to the last close arrives a moment after it."""
    ledger = booked(fill(HOUR + 5, BUY, "100"))
    ledger.finish(HOUR, {})
    (trip,) = ledger.trips
    assert (trip.ended_by, trip.opened, trip.closed) == ("end", HOUR + 5, HOUR + 5)


def test_the_last_prices_of_a_trip_are_averages_only_where_there_were_several():
    ledger = booked(fill(1, BUY, "100", "1"), fill(2, BUY, "101", "2"), fill(3, SELL, "99", "3"))
    (trip,) = ledger.trips
    assert trip.entry == D("100.6666666667")
    assert (trip.exit, trip.quantity, trip.fills) == (D(99), D(3), 3)


def test_what_is_bought_at_the_very_end_was_held_for_no_time():
    """An order of the last close fills a moment after the end."""
    ledger = booked(fill(HOUR + 5, BUY, "100"))
    ledger.finish(HOUR, {})
    assert [(trip.opened, trip.closed) for trip in ledger.trips] == [(HOUR + 5, HOUR + 5)]


def test_a_row_is_written_at_the_end_of_each_hour_in_which_something_changed():
    ledger = booked(fill(10 * MINUTE, BUY, "100"))
    for ts, mark in ((HOUR, "101"), (HOUR + MINUTE, "102"), (2 * HOUR, "103"), (5 * HOUR, "103")):
        ledger.on_marks(ts, {"A/USDT": D(mark), "B/USDT": D(1)})
    ledger.on_fill(fill(6 * HOUR + 1, SELL, "103"), D(103), order())
    ledger.finish(9 * HOUR, {})
    curve = framed(curve_rows([ledger]), CURVE)
    assert curve["ts"].to_list() == [HOUR, 2 * HOUR, 7 * HOUR]  # nothing changed in hour five
    assert curve["equity"].to_list() == [1000.5, 1002.5, 1002.0]
    assert curve["exposure"].to_list() == [101.0, 103.0, 0.0]
    assert framed(pairs_rows([ledger]), PAIRS)["net"].to_list() == [0.5, 2.5, 2.0]


def test_pairs_of_two_accounts_are_added_up_hour_by_hour():
    first = booked(fill(1, BUY, "100"), fill(2 * HOUR, SELL, "110"))
    second = booked(fill(HOUR + 1, SELL, "100"))
    for ledger in (first, second):
        ledger.finish(3 * HOUR, {"A/USDT": D(90)})
    frame = framed(pairs_rows([first, second]), PAIRS)
    assert frame["ts"].to_list() == [HOUR, 2 * HOUR, 3 * HOUR]
    assert frame["net"].to_list() == [-0.5, 9.0 - 0.5, 9.0 + 9.5]
    assert frame["exposure"].to_list() == [100.0, -100.0, -90.0]
    assert frame.schema["ts"] == pl.Int64


def test_a_quiet_account_has_empty_frames_with_their_columns():
    ledger = booked()
    ledger.finish(HOUR, {})
    assert framed(curve_rows([ledger]), CURVE).columns == ["ts", "account", "equity", "exposure", "fees"]
    assert framed(pairs_rows([ledger]), PAIRS).columns == ["ts", "instrument", "net", "fees", "exposure"]


MONEY = st.integers(1, 10**9).map(lambda n: D(n) / 10**4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), st.sampled_from([BUY, SELL]), MONEY, MONEY, st.integers(0, 10**6)),
        st.tuples(st.just("mark"), MONEY),
        st.tuples(st.just("roll"), st.integers(0, 10**6)),
    ),
    max_size=25,
)


@given(STEPS)
def test_equity_is_cash_and_positions_at_their_marks_whatever_happens(steps):
    """A second account of the same money: cash as of a spot trade, and what is held at its mark."""
    ledger, cash, held, mark, paid = Ledger("a", D(1000)), D(1000), D(0), D(0), D(0)
    for number, (kind, *rest) in enumerate(steps, 1):
        if kind == "fill":
            side, price, quantity, grains = rest
            fee = D(grains) / 10**8
            one = fill(number * MINUTE, side, price, quantity, fee)
            ledger.on_fill(one, price, order(), lending=D(0))
            cash -= price * quantity * side.sign + fee
            held, mark, paid = held + quantity * side.sign, price, paid + fee
        elif kind == "mark":
            (mark,) = rest
            ledger.on_marks(number * MINUTE, {"A/USDT": mark})
        elif held != 0:
            fee = D(rest[0]) / 10**8
            ledger.on_rollover(number * MINUTE, "A/USDT", fee)
            cash, paid = cash - fee, paid + fee
        assert ledger.equity == cash + held * mark
    ledger.finish(1000 * MINUTE, {})
    assert sum((t.net for t in ledger.trips), D(0)) == ledger.equity - 1000
    assert ledger.fees == paid == sum((t.fees + t.margin_fees for t in ledger.trips), D(0))
    assert all(t.fees >= 0 and t.margin_fees >= 0 for t in ledger.trips)
    assert ledger.equity == cash + held * mark
