"""The account as a fold of fills, against a ledger that knows nothing of positions."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.events import Fill
from core.orders import Side
from core.portfolio import Portfolio, apply_fill, marked

D = Decimal
BTC, ETH = "BTC/USD", "ETH/USD"
START = D(10_000)
ROUNDING = D("1e-12")  # a part's share of the cost is rounded, and the rest is exact again


def fill(side, quantity, price, *, fee="0", instrument=BTC, ts=0):
    money = (D(price), D(quantity), D(fee))
    return Fill(ts, "a", "x", "c", "o", instrument, side, *money, maker=False, ts_event=ts)


def folded(fills, portfolio=None):
    portfolio, trips = portfolio or Portfolio(START), []
    for one in fills:
        portfolio, trip = apply_fill(portfolio, one)
        trips += [trip] if trip else []
    return portfolio, trips


FILLS = st.lists(
    st.builds(
        fill,
        st.sampled_from(Side),
        st.integers(1, 300).map(lambda n: D(n).scaleb(-2)),
        st.integers(9_000, 11_000).map(lambda n: D(n).scaleb(-2)),
        fee=st.integers(0, 500).map(lambda n: D(n).scaleb(-3)),
        instrument=st.sampled_from([BTC, ETH]),
        ts=st.integers(0, 10**6),
    ),
    max_size=40,
)
MARKS = st.fixed_dictionaries(
    dict.fromkeys((BTC, ETH), st.integers(9_000, 11_000).map(lambda n: D(n).scaleb(-2)))
)


class Ledger:
    """Every fill moves coins one way and money the other; nothing else is known. Exact fractions."""

    def __init__(self, fills):
        self.money, self.coins, self.fees = Fraction(START), {BTC: Fraction(0), ETH: Fraction(0)}, Fraction(0)
        for one in fills:
            self.coins[one.instrument] += Fraction(one.quantity) * one.side.sign
            self.money -= Fraction(one.quantity * one.price) * one.side.sign + Fraction(one.fee)
            self.fees += Fraction(one.fee)

    def equity(self, marks):
        return self.money + sum(held * Fraction(marks[name]) for name, held in self.coins.items())


@given(FILLS, MARKS)
@settings(deadline=None)
def test_equity_is_money_plus_coins_at_their_marks(fills, marks):
    portfolio, _ = folded(fills)
    ledger = Ledger(fills)
    assert Fraction(portfolio.equity(marks)) == ledger.equity(marks)
    assert Fraction(portfolio.fees) == ledger.fees
    assert {name: Fraction(portfolio.quantity(name)) for name in (BTC, ETH)} == ledger.coins


@given(FILLS)
@settings(deadline=None)
def test_cash_is_the_start_plus_what_was_earned_minus_what_was_paid(fills):
    portfolio, trips = folded(fills)
    assert portfolio.cash == START + portfolio.realised - portfolio.fees
    assert sum((t.profit for t in trips), D(0)) == portfolio.realised
    for trip in trips:
        moved = trip.quantity * (trip.exit_price - trip.entry_price)
        assert abs(moved - trip.profit) <= ROUNDING


@given(FILLS, MARKS)
@settings(deadline=None)
def test_positions_are_never_empty_and_their_cost_is_positive(fills, marks):
    portfolio, _ = folded(fills)
    for name, position in portfolio.positions.items():
        assert position.instrument == name
        assert position.quantity != 0
        assert position.cost > 0
    gross = sum((abs(p.quantity) * marks[p.instrument] for p in portfolio.positions.values()), D(0))
    assert portfolio.notional(marks) == gross


@given(FILLS)
@settings(deadline=None)
def test_a_fold_in_two_parts_is_the_fold_in_one(fills):
    half = len(fills) // 2
    first, _ = folded(fills[:half])
    kept = first.positions.copy()
    assert folded(fills[half:], first)[0] == folded(fills)[0]
    assert first.positions == kept


@given(FILLS, MARKS)
@settings(deadline=None)
def test_the_peak_only_rises_and_drawdown_is_measured_from_it(fills, marks):
    portfolio = marked(Portfolio(START), {})
    for one in fills:
        before = portfolio.peak_equity
        portfolio = marked(apply_fill(portfolio, one)[0], marks)
        assert portfolio.peak_equity == max(before, portfolio.equity(marks))
        assert portfolio.drawdown(marks) >= 0
        assert (portfolio.drawdown(marks) == 0) is (portfolio.equity(marks) == portfolio.peak_equity)


def test_without_a_peak_there_is_no_drawdown():
    assert Portfolio(START).drawdown({}) == 0


def test_a_partial_close_releases_its_share_of_the_cost():
    portfolio, (trip,) = folded(
        [fill(Side.BUY, 4, 100, fee="1", ts=5), fill(Side.SELL, 1, 110, fee="0.3", ts=9)]
    )
    held = portfolio.positions[BTC]
    assert (held.quantity, held.cost, held.entry_price, held.fees) == (D(3), D(300), D(100), D("1.3"))
    assert (trip.quantity, trip.profit, trip.opened, trip.closed) == (D(1), D(10), 5, 9)
    assert (portfolio.cash, portfolio.round_trips) == (D("10008.7"), 0)


def test_a_fill_beyond_the_position_flips_it():
    portfolio, (trip,) = folded([fill(Side.SELL, 2, 100, ts=5), fill(Side.BUY, 5, 90, ts=9)])
    held = portfolio.positions[BTC]
    assert (trip.quantity, trip.profit) == (D(-2), D(20))
    assert (held.quantity, held.cost, held.opened) == (D(3), D(270), 9)
    assert (portfolio.round_trips, portfolio.cash) == (1, START + 20)


@pytest.mark.parametrize("side,profit", [(Side.BUY, 20), (Side.SELL, -20)])
def test_unrealised_profit_has_the_sign_of_the_side(side, profit):
    portfolio, _ = folded([fill(side, 2, 100)])
    assert portfolio.positions[BTC].unrealised(D(110)) == profit
    assert portfolio.equity({BTC: D(110)}) == START + profit


def test_an_instrument_without_a_mark_counts_at_its_entry():
    portfolio, _ = folded([fill(Side.BUY, 2, 100), fill(Side.BUY, 1, 50, instrument=ETH)])
    assert portfolio.equity({ETH: D(60)}) == START + 10
    assert portfolio.notional({ETH: D(60)}) == 260
