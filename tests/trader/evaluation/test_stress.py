"""The same trades at other costs, by hand."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.run_records import trip
from trader.evaluation.stress import stress

CASH = Decimal(1000)


def levels(trips):
    return {one.factor: one for one in stress(trips, CASH).levels}


def test_two_trades_by_hand():
    # Gross 30 + 6 = 36 of which slippage took 2; fees 8, margin fees 2: net 26.
    trips = (trip("24", fees="4", margin="2", slippage="1.5"), trip("2", fees="4", slippage="0.5"))
    found = levels(trips)
    assert found[1.0].net == Decimal(26)
    assert found[1.0].costs == Decimal(12)
    assert found[0.0].net == Decimal(38)  # at the mid and for nothing
    assert found[1.5].net == Decimal(20)
    assert found[2.0].net == Decimal(14)
    assert found[2.0].total_return == pytest.approx(0.014)
    # 36 - 2 of margin fees is left for fees on a turnover of 400: 850 bps; 8 were paid: 200 bps.
    whole = stress(trips, CASH)
    assert whole.break_even_fee_bps == pytest.approx(850)
    assert whole.paid_fee_bps == pytest.approx(200)


def test_at_the_break_even_fee_nothing_is_left():
    trips = (trip("24", fees="4", margin="2"), trip("-30", fees="4"))
    fee = Decimal(str(stress(trips, CASH).break_even_fee_bps)) / 10_000
    left = sum(t.gross - t.margin_fees - fee * t.turnover for t in trips)
    assert abs(left) < Decimal("1e-12")


def test_what_loses_before_fees_has_a_negative_break_even():
    assert stress((trip("-10", fees="4"),), CASH).break_even_fee_bps == pytest.approx(-300)


def test_without_a_trade_there_is_no_break_even():
    found = stress((), CASH)
    assert (found.break_even_fee_bps, found.paid_fee_bps) == (None, None)
    assert {one.net for one in found.levels} == {Decimal(0)}


def test_it_says_that_the_trades_are_the_same():
    assert "same trades" in stress((), CASH).caveat


@given(st.lists(st.tuples(*[st.decimals(0, 99, places=3)] * 3, st.decimals(-99, 99, places=3)), max_size=20))
def test_as_it_was_is_the_runs_own_net_and_more_costs_never_help(amounts):
    trips = [
        trip(str(net), fees=str(fees), margin=str(margin), slippage=str(slip))
        for fees, margin, slip, net in amounts
    ]
    found = levels(trips)
    assert found[1.0].net == sum((t.net for t in trips), Decimal(0))
    assert found[0.0].net >= found[1.0].net >= found[1.5].net >= found[2.0].net
