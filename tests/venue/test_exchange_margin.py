"""Margin as Kraken lends it: positions, levels, fees, liquidation, settlement."""

import copy
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import HOUR, SECOND
from core.events import VenuePosition
from core.orders import OrderState, OrderType
from tests.venue.exchange_world import BTC, BUY, FEES, LATENCY, SELL, D, order, quote, send, told
from venue.exchange import Exchange
from venue.exchange_fees import kraken_spot
from venue.exchange_listing import listed
from venue.exchange_orders import ChangeKind, FeeSchedule
from venue.exchange_positions import MarginRules
from venue.exchange_settings import ExchangeRules
from venue.exchange_volume import Volume
from venue.loopback_listing import asset_facts

FREE = FeeSchedule(maker=D(0), taker=D(0))
GRATIS = MarginRules(fees=False)


def lender(*, margin=GRATIS, fees=FREE, cash=10_000, seen=None):
    instruments = listed([BTC, "ETH/USDT", "XRP/USDT"])
    rules = ExchangeRules(margin=margin)
    listener = seen.append if seen is not None else None
    venue = Exchange(instruments, fees=fees, latency_ns=LATENCY, rules=rules, listener=listener)
    venue.open_account("a", D(cash))
    return venue


def at(venue, price, *, symbol=BTC, ts=None, size="1000"):
    """Move the touch to one price, with the narrowest spread."""
    return venue.on_quote(quote(price, price, size=size, symbol=symbol, ts=venue.now if ts is None else ts))


def figures(venue):
    return venue.trade_balance("a")


def test_the_official_example_of_a_margin_call():
    """10,000 USD, long 1.5 BTC at 30,000 with 5x: the call comes at 28,133.3."""
    venue = lender()
    at(venue, "30000")
    send(venue, order("x", BUY, "1.5"))
    assert (figures(venue).cost, figures(venue).used) == (D(45_000), D(9_000))
    at(venue, "28133.40")
    assert not venue.margin_called("a")
    at(venue, "28133.30")
    found = figures(venue)
    assert (found.unrealised, found.equity) == (D("-2800.05"), D("7199.95"))
    assert round(found.level, 3) == D("79.999")
    assert venue.margin_called("a")
    assert found.free == found.equity - found.used


def test_at_one_hundred_percent_nothing_new_opens_and_closing_still_works():
    venue = lender()
    at(venue, "30000")
    send(venue, order("x", BUY, "1.5"))
    at(venue, "29333.33")
    (report,) = send(venue, order("y", BUY, "0.01"))
    assert (report.state, report.reason) == (OrderState.REJECTED, "EOrder:Margin level too low")
    assert told(send(venue, order("z", SELL, "0.5")))[1:] == [("z", "fill"), ("z", "filled")]


@pytest.mark.parametrize("ratio,used", [(2, 1_500), (3, 1_000), (10, 300), (None, 600)])
def test_a_chosen_leverage_ties_up_cost_over_leverage(ratio, used):
    venue = lender()
    at(venue, "30000")
    send(venue, order("x", BUY, "0.1", leverage=ratio))
    assert figures(venue).used == used


def test_positions_have_ids_of_their_own_and_close_first_in_first_out():
    venue = lender()
    for price, size in (("30000", "0.1"), ("31000", "0.2")):
        at(venue, price)
        send(venue, order(f"open{price}", BUY, size))
    first, second = venue.account("a").positions.values()
    assert first.position_id != second.position_id
    at(venue, "32000")
    send(venue, order("close", SELL, "0.15"))
    assert (first.remaining, second.remaining, second.closed) == (0, D("0.15"), D("0.05"))
    assert venue.account("a").portfolio.cash == D(10_000) + D(200) + D(50)
    assert list(venue.account("a").positions.values()) == [second]
    assert venue.account("a").portfolio.quantity(BTC) == D("0.15")
    execution = venue.account("a").executions[-1]
    assert execution.closed == (first.position_id, second.position_id)


def test_a_fill_beyond_the_position_opens_the_other_way():
    venue = lender()
    at(venue, "30000")
    send(venue, order("x", BUY, "0.1"))
    send(venue, order("y", SELL, "0.3"))
    (position,) = venue.account("a").positions.values()
    assert (position.side, position.quantity) == (SELL, D("0.2"))


def test_an_order_without_leverage_is_a_spot_trade_and_leaves_the_position():
    venue = lender()
    at(venue, "30000")
    send(venue, order("spot", BUY, "0.1", margin=False))
    send(venue, order("x", BUY, "0.1"))
    send(venue, order("y", SELL, "0.1", margin=False))
    account = venue.account("a")
    assert (account.assets["BTC"], account.portfolio.quantity(BTC)) == (0, D("0.1"))


def test_volume_nought_with_leverage_closes_all_of_it():
    venue = lender()
    at(venue, "30000")
    send(venue, order("x", BUY, "0.1"), order("y", BUY, "0.25"))
    send(venue, order("z", SELL, "0", leverage=2), whole_position=True)
    assert venue.account("a").positions == {}


@pytest.mark.parametrize("side,asset", [(BUY, "USDT"), (SELL, "BTC")])
def test_opening_and_rolling_cost_the_rate_of_the_lent_asset(side, asset):
    rules, seen = MarginRules(), []
    venue = lender(margin=rules, seen=seen)
    at(venue, "30000", ts=SECOND)
    send(venue, order("x", side, "0.1"))
    fee = D(3_000) * rules.rate(asset)
    account = venue.account("a")
    (position,) = account.positions.values()
    assert (position.fee, position.rate, account.portfolio.cash) == (fee, rules.rate(asset), D(10_000) - fee)
    venue.advance(position.opened + 4 * HOUR - 1)
    assert position.fee == fee
    venue.advance(position.opened + 8 * HOUR)
    assert (position.fee, account.portfolio.cash) == (3 * fee, D(10_000) - 3 * fee)
    assert position.rolls == position.opened + 12 * HOUR
    assert [line.kind for line in account.ledger] == ["margin", "rollover", "rollover"]
    assert [c.kind for c in seen][-2:] == [ChangeKind.ROLLED] * 2
    send(venue, order("y", side.opposite, "0.1"))
    before = account.portfolio.cash
    venue.advance(venue.now + 24 * HOUR)
    assert account.portfolio.cash == before


def test_liquidation_takes_the_oldest_position_first_and_stops_when_it_may():
    seen = []
    venue = lender(seen=seen)
    at(venue, "2000", symbol="ETH/USDT")
    at(venue, "30000")
    send(venue, order("eth", BUY, "5", instrument="ETH/USDT"))
    send(venue, order("btc", BUY, "1"))
    assert figures(venue).used == D(8_000)
    at(venue, "23199.99")
    account = venue.account("a")
    assert [p.instrument for p in account.positions.values()] == [BTC]  # ETH was older
    assert figures(venue).level > 40
    ended = [o for o in account.closed if o.terms.liquidation]
    assert [(o.submit.instrument, o.state) for o in ended] == [("ETH/USDT", OrderState.FILLED)]
    at(venue, "22300.00")
    assert account.positions == {}
    assert account.portfolio.cash == D(10_000) - D(7_700)


def test_a_liquidation_goes_on_with_the_next_quote_where_the_touch_is_thin():
    venue = lender()
    at(venue, "30000")
    send(venue, order("x", BUY, "1.5"))
    at(venue, "25000", size="0.4")
    assert venue.account("a").portfolio.quantity(BTC) == D("1.1")
    at(venue, "24990", size="0.4")
    at(venue, "24980", size="5")
    assert venue.account("a").positions == {}
    assert sum(o.terms.liquidation for o in venue.account("a").closed) == 1


def test_nobody_is_liquidated_while_the_exchange_is_not_online():
    venue = lender()
    at(venue, "30000")
    send(venue, order("x", BUY, "1.5"))
    venue.set_system("cancel_only")
    at(venue, "25000")
    assert venue.account("a").portfolio.quantity(BTC) == D("1.5")
    assert venue.account("a").open == {}
    venue.set_system("online")
    at(venue, "25000")
    assert venue.account("a").positions == {}


def test_collateral_counts_by_its_share():
    venue = lender()
    at(venue, "1000", symbol="ETH/USDT")
    at(venue, "0.5", symbol="XRP/USDT", size="10000")
    send(venue, order("x", BUY, "2", instrument="ETH/USDT", margin=False))
    send(venue, order("y", BUY, "1000", instrument="XRP/USDT", margin=False))
    found = figures(venue)
    assert found.everything == D(10_000)
    assert found.collateral == D(7_500) + 2_000 * D("0.99") + 500 * D("0.95")
    assert found.level is None


def test_settling_repays_from_balances_without_a_trade():
    seen = []
    venue = lender(seen=seen)
    at(venue, "1000", symbol="ETH/USDT")
    eth = {"instrument": "ETH/USDT"}
    send(venue, order("x", BUY, "2", **eth))
    send(venue, order("s", SELL, "1.5", kind=OrderType.SETTLE_POSITION, **eth))
    account = venue.account("a")
    assert (account.assets["ETH"], account.portfolio.cash) == (D("1.5"), D(8_500))
    assert account.portfolio.quantity("ETH/USDT") == D("0.5")
    assert ChangeKind.SETTLED in [c.kind for c in seen]
    send(venue, order("all", SELL, "0", kind=OrderType.SETTLE_POSITION, **eth), whole_position=True)
    assert (account.positions, account.assets["ETH"]) == ({}, D(2))
    (report,) = send(venue, order("none", SELL, "1", kind=OrderType.SETTLE_POSITION, **eth))
    assert report.reason == "EOrder:Unknown position"
    send(venue, order("short", SELL, "3", **eth))
    (report,) = send(venue, order("s3", BUY, "3", kind=OrderType.SETTLE_POSITION, **eth))
    assert report.reason == "EOrder:Insufficient funds"
    send(venue, order("s4", BUY, "2", kind=OrderType.SETTLE_POSITION, **eth))
    assert account.assets["ETH"] == 0


def test_rates_and_shares_are_those_that_the_loopback_lists():
    rules = MarginRules()
    for asset in ("BTC", "DOGE", "ETH", "EUR", "SOL", "USD", "USDC", "USDT", "XLM", "XRP", "MKR"):
        facts = asset_facts(asset)
        assert rules.rate(asset) == facts.margin_rate / 100
        assert rules.collateral.get(asset, Decimal(0)) == facts.collateral


# ---- fee tiers ----


def test_fees_fall_with_thirty_days_of_volume():
    schedule = kraken_spot()
    assert (schedule.maker, schedule.taker) == (D("0.0025"), D("0.0040"))
    found = [schedule.at(D(v)).taker for v in (0, 9_999, 10_000, 99_999_999)]
    assert found == [D("0.0040"), D("0.0040"), D("0.0035"), D("0.0010")]
    venue = lender(fees=schedule, cash=100_000)
    at(venue, "30000")
    rates = []
    for number in range(3):
        (_, fill, _) = send(venue, order(f"x{number}", BUY, "0.2"))
        rates.append(fill.fee / (fill.price * fill.quantity))
    assert rates == [D("0.004"), D("0.004"), D("0.0035")]
    venue.advance(venue.now + 31 * 24 * HOUR)
    (_, fill, _) = send(venue, order("late", SELL, "0.1"))
    assert fill.fee / (fill.price * fill.quantity) == D("0.004")


def test_volume_forgets_days_beyond_thirty():
    volume = Volume()
    for day in range(40):
        volume.add(day * 24 * HOUR, D(1))
    assert volume.total(39 * 24 * HOUR) == 30
    assert volume.total(100 * 24 * HOUR) == 0


def test_a_constant_schedule_has_one_tier():
    assert (FEES.at(D(10**9)).maker, FEES.at(D(0)).taker) == (FEES.maker, FEES.taker)


def test_without_margin_rules_positions_net_at_average_cost():
    venue = Exchange(listed([BTC]), fees=FREE, latency_ns=LATENCY)
    venue.open_account("a", D(10_000))
    for price in ("30000", "31000"):
        at(venue, price)
        send(venue, order(price, BUY, "0.1"))
    at(venue, "32000")
    send(venue, order("close", SELL, "0.1"))
    assert venue.account("a").portfolio.cash == D(10_150)
    assert venue.account("a").positions == {}
    assert not venue.margin_called("a")


def test_an_account_can_be_copied_whole():
    """The late REST answers of the loopback read copies."""
    venue = lender()
    at(venue, "30000")
    send(venue, order("x", BUY, "0.1"), order("y", BUY, "0.1", limit="20000"))
    account = venue.account("a")
    kept = copy.deepcopy(account)
    send(venue, order("z", SELL, "0.1"))
    assert (len(kept.positions), len(account.positions)) == (1, 0)
    assert kept.find("y") is next(iter(kept.open.values()))
    assert kept.find("y") is not account.find("y")


PRICES = st.lists(
    st.tuples(st.sampled_from([BTC, "ETH/USDT"]), st.integers(15_000, 45_000)), min_size=1, max_size=25
)
SIDES = st.tuples(st.sampled_from([BUY, SELL]), st.sampled_from([BUY, SELL]))


@given(PRICES, SIDES, st.integers(4, 12))
def test_no_price_brings_an_account_below_the_stop_level_unseen(prices, sides, tenths):
    """The lender looks closely only where it must; after every quote nobody is overdue."""
    venue = lender(cash=10_000)
    for symbol, side in zip((BTC, "ETH/USDT"), sides, strict=True):
        at(venue, "30000", symbol=symbol)
        send(venue, order(symbol, side, str(D(tenths) / 10), instrument=symbol))
    for symbol, price in prices:
        at(venue, str(price), symbol=symbol)
        level = figures(venue).level
        assert level is None or level > 40


def test_a_restored_account_keeps_its_loans_and_rolls_a_period_later():
    venue = lender(margin=MarginRules(), cash=0)
    held = [VenuePosition(BTC, D("-0.1"), D(3_000))]
    venue.adopt("a", D(10_000), held, [], 100 * HOUR)
    (position,) = venue.account("a").positions.values()
    assert (position.side, position.leverage, position.rolls) == (SELL, 5, 104 * HOUR)
    venue.advance(103 * HOUR)
    assert venue.account("a").portfolio.cash == 10_000
    venue.advance(108 * HOUR)
    assert venue.account("a").portfolio.cash == 10_000 - 2 * 3_000 * D("0.0001")
    assert venue.trade_balance("a").used == 600


def test_a_margin_call_is_told_once_until_the_account_is_above_it_again():
    seen = []
    venue = lender(seen=seen)
    at(venue, "30000")
    send(venue, order("x", BUY, "1.5"))
    for price in ("28133.40", "28133.30", "28000", "28500", "28100"):  # called at 28133.3
        at(venue, price)
    assert [change.kind for change in seen].count(ChangeKind.MARGIN_CALL) == 2
