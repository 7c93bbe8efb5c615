"""Figures of round trips by hand, to the last digit."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.run_records import trip
from trader.evaluation.trips import TripFigures, by_end, trip_figures

FOUR = (
    trip("30", fees="4", slippage="1", opened=0, closed=2, ended_by="target"),
    trip("-10", fees="4", margin="1", slippage="1", opened=3, closed=4, ended_by="stop"),
    trip("-2", fees="4", opened=5, closed=8, ended_by="time", side="short"),
    trip("10", fees="4", opened=9, closed=11, ended_by="target", quantity="2"),
)
MONEY = st.decimals(-1000, 1000, places=4)
FEE = st.decimals(0, 100, places=4)
TRIPS = st.lists(
    st.builds(
        lambda net, fees, margin, ended: trip(str(net), fees=str(fees), margin=str(margin), ended_by=ended),
        MONEY,
        FEE,
        FEE,
        st.sampled_from(["stop", "target", "time", "opinion", "brake", "liquidation", "end"]),
    ),
    max_size=30,
)


def test_four_trades_by_hand():
    found = trip_figures(FOUR)
    assert (found.trades, found.longs, found.wins) == (4, 3, 2)
    assert found.win_rate == 0.5
    assert found.right_share == 0.75  # the third earned 2 of prices and lost after fees of 4
    assert (found.average_win, found.average_loss) == (Decimal(20), Decimal(-6))
    assert found.win_loss_ratio == pytest.approx(20 / 6)
    assert found.profit_factor == pytest.approx(40 / 12)
    assert found.expectancy == Decimal(7)
    assert found.expectancy_bps == pytest.approx(28 / 500 * 1e4)  # entered: 100 + 100 + 100 + 200
    assert (found.best, found.worst) == (Decimal(30), Decimal(-10))
    assert found.average_hold_s == (2 + 1 + 3 + 2) / 4 * 3600
    assert found.turnover == Decimal(1000)
    assert (found.gross, found.fees, found.margin_fees) == (Decimal(45), Decimal(16), Decimal(1))
    assert (found.slippage, found.net) == (Decimal(2), Decimal(28))
    assert found.fees_bps == pytest.approx(17 / 1000 * 1e4)
    assert found.fee_share == pytest.approx(17 / 45)
    assert found.ended == {"stop": 1, "target": 2, "time": 1}
    assert (found.stop_rate, found.target_rate) == (0.25, 0.5)


def test_nothing_is_not_zero():
    found = trip_figures(())
    assert found == TripFigures()
    assert (found.win_rate, found.profit_factor, found.expectancy, found.average_hold_s) == (None,) * 4
    assert by_end(()) == ()


def test_without_a_loss_there_is_no_profit_factor():
    found = trip_figures(FOUR[:1])
    assert (found.profit_factor, found.win_loss_ratio, found.average_loss) == (None, None, None)


def test_fees_of_a_gross_loss_have_no_share():
    assert trip_figures((trip("-10", fees="4"),)).fee_share is None


def test_ends_by_hand():
    stop, target, time = by_end(FOUR)
    assert (stop.ended_by, stop.trades, stop.share, stop.win_rate, stop.net) == (
        "stop",
        1,
        0.25,
        0.0,
        Decimal(-10),
    )
    assert (target.trades, target.share, target.win_rate, target.net, target.average) == (
        2,
        0.5,
        1.0,
        Decimal(40),
        Decimal(20),
    )
    assert (time.ended_by, time.net) == ("time", Decimal(-2))


def test_an_end_that_nobody_named_still_counts():
    assert trip_figures((trip("1", ended_by="delisted"),)).ended == {"delisted": 1}


@given(TRIPS)
def test_sums_are_exact_and_ends_part_the_trades(trips):
    found = trip_figures(trips)
    assert found.net == sum((t.net for t in trips), Decimal(0))
    assert found.net == found.gross - found.fees - found.margin_fees
    assert sum(e.trades for e in by_end(trips)) == len(trips) == sum(found.ended.values())
    assert sum((e.net for e in by_end(trips)), Decimal(0)) == found.net
