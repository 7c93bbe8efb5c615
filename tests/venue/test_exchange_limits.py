"""The engine's rate counter, against the examples and the table of Kraken's page."""

import pytest

from core.clock import SECOND
from core.orders import AmendOrder, CancelOrder, OrderState
from tests.venue.exchange_world import BTC, BUY, D, exchange, order, quote, send
from venue import exchange_limits as limits
from venue.exchange_limits import TIERS, EngineCounter, EngineTier
from venue.exchange_requests import EditOrder, NewOrder
from venue.exchange_settings import ExchangeRules

STILL = EngineTier(1_000, D(0), 1_000)  # a counter that forgets nothing shows what was charged


def limited(tier=STILL):
    venue = exchange(rules=ExchangeRules(tier=tier))
    venue.on_quote(quote())
    return venue


def level(venue):
    return venue.account("a").counter.level(BTC, venue.now)


def test_fifty_orders_and_ten_seconds_at_intermediate():
    counter = EngineCounter(TIERS["intermediate"])
    for _ in range(50):
        assert counter.charge("BTC/USD", limits.add_cost(), 0) == ""
    assert counter.level("BTC/USD", 10 * SECOND) == D("26.6")
    assert counter.level("ETH/USD", 10 * SECOND) == 0


def test_add_amend_at_seven_seconds_cancel_thirty_six_later():
    venue = limited()
    send(venue, order("x", BUY, "1", limit="90"))
    venue.amend(AmendOrder("a", "t", "x", BTC, deadline=1 << 62, limit_price=D(91)), 7 * SECOND)
    venue.advance(8 * SECOND)
    assert level(venue) == 1 + 1 + 2
    venue.cancel(CancelOrder("a", "t", "x", BTC), 43 * SECOND)
    venue.advance(44 * SECOND)
    assert level(venue) == 8


@pytest.mark.parametrize(
    "age,amended,edited,cancelled",
    [(0, 4, 7, 8), (5, 3, 6, 6), (10, 2, 5, 5), (15, 1, 3, 4), (45, 1, 2, 2), (90, 1, 1, 1), (300, 1, 1, 0)],
)
def test_prices_by_age(age, amended, edited, cancelled):
    costs = [cost(age * SECOND) for cost in (limits.amend_cost, limits.edit_cost, limits.cancel_cost)]
    assert costs == [amended, edited, cancelled]


def test_a_batch_costs_half_and_an_edit_by_age():
    venue = limited()
    venue.submit_together([NewOrder(order(c, BUY, "1", limit="90")) for c in ("x", "")], venue.now)
    venue.advance(SECOND)
    assert level(venue) == 1
    plain = next(o for o in venue.account("a").open.values() if not o.submit.cl_ord_id)
    venue.edit(EditOrder("a", plain.order_id, 1 << 62, limit_price=D(91)), 20 * SECOND)
    venue.advance(21 * SECOND)
    assert level(venue) == 1 + 3


def test_an_amend_that_ends_the_order_is_charged_as_a_cancel():
    venue = limited()
    venue.on_quote(quote(size="0.5"))
    send(venue, order("x", BUY, "1", limit="100.02"))
    venue.amend(AmendOrder("a", "t", "x", BTC, deadline=1 << 62, quantity=D("0.4")), venue.now)
    venue.advance(SECOND)
    assert level(venue) == 1 + 8


def test_a_bad_order_is_charged_too():
    venue = limited()
    send(venue, order("x", BUY, "1", limit="90.001"))
    assert level(venue) == 1


def test_over_the_threshold_orders_and_amends_are_refused_and_cancels_pass():
    venue = limited(EngineTier(3, D(0), 100))
    reports = send(venue, *(order(f"x{n}", BUY, "1", limit="90") for n in range(4)))
    assert [r.state for r in reports] == [OrderState.WORKING] * 3 + [OrderState.REJECTED]
    assert reports[-1].reason == "EOrder:Rate limit exceeded"
    venue.amend(AmendOrder("a", "t", "x0", BTC, deadline=1 << 62, limit_price=D(91)), venue.now)
    venue.cancel(CancelOrder("a", "t", "x0", BTC), venue.now)
    refused, cancelled = venue.advance(SECOND)
    assert (refused.reason, cancelled.state) == ("EOrder:Rate limit exceeded", OrderState.CANCELED)
    assert level(venue) == 3 + 8


def test_open_orders_of_a_pair_are_limited():
    venue = limited(EngineTier(100, D(0), 2))
    reports = send(venue, *(order(f"x{n}", BUY, "1", limit="90") for n in range(3)))
    assert reports[-1].reason == "EOrder:Orders limit exceeded"
    other = order("y", BUY, "1", limit="1000", instrument="MKR/USDT", margin=False)
    assert send(venue, other)[0].state is OrderState.WORKING


@pytest.mark.parametrize("tier,most,decay,orders", [("starter", 60, "1", 60), ("pro", 180, "3.75", 225)])
def test_tiers(tier, most, decay, orders):
    assert TIERS[tier] == EngineTier(most, D(decay), orders)
