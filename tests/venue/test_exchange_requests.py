"""What the exchange model answers to orders, amends, cancels and timers."""

import msgspec
import pytest

from core.clock import SECOND
from core.instrument import Instrument
from core.orders import (
    AmendOrder,
    CancelOrder,
    OrderState,
    OrderType,
    TimeInForce,
)
from tests.venue.exchange_world import (
    BTC,
    BUY,
    LATENCY,
    SELL,
    D,
    exchange,
    opened,
    order,
    quote,
    send,
    told,
)
from venue.exchange_listing import listed

# ---- refusals ----


@pytest.mark.parametrize(
    "bad,reason",
    [
        (order("x", BUY, "1", limit="99.001"), "EOrder:Tick size check failed"),
        (order("x", BUY, "1", limit="-1"), "EOrder:Invalid price"),
        (order("x", BUY, "0"), "EGeneral:Invalid arguments:volume"),
        (order("x", BUY, "0.000000001"), "EGeneral:Invalid arguments:volume"),
        (order("x", BUY, "1", limit="99", kind=OrderType.MARKET), "EGeneral:Invalid arguments:price"),
        (order("x", BUY, "1", kind=OrderType.STOP_LOSS), "EGeneral:Invalid arguments:trigger"),
        (order("x", BUY, "1", post_only=True), "EGeneral:Invalid arguments:post only"),
        (order("x", BUY, "1", margin=False, reduce_only=True), "EGeneral:Invalid arguments:reduce_only"),
        (
            order("x", BUY, "1", limit="99", time_in_force=TimeInForce.GTD),
            "EGeneral:Invalid arguments:expiretm",
        ),
        (order("x", BUY, "0.00001", limit="99"), "EOrder:Order minimum not met"),
        (order("x", BUY, "0.0001", limit="99"), "EOrder:Cost minimum not met"),
        (order("x", BUY, "1", instrument="NO/SUCH"), "EQuery:Unknown asset pair"),
        (order("x", BUY, "1", deadline=LATENCY - 1), "EService:Deadline elapsed"),
        (order("x", BUY, "491"), "EOrder:Insufficient margin"),
        (order("x", BUY, "1", instrument="MKR/USDT", limit="1500"), "EOrder:Cannot open position"),
        (order("x", SELL, "1", margin=False), "EOrder:Insufficient funds"),
        (order("x", BUY, "100", margin=False, limit="99.99"), "EOrder:Insufficient funds"),
    ],
)
def test_refusals_in_krakens_words(bad, reason):
    venue = exchange()
    venue.on_quote(quote(size="1000"))
    (report,) = send(venue, bad)
    assert (report.state, report.reason) == (OrderState.REJECTED, reason)
    assert venue.snapshot("a").orders == ()


@pytest.mark.parametrize(
    "status,allowed",
    [
        ("online", {"limit", "market", "post", "reduce"}),
        ("post_only", {"post"}),
        ("limit_only", {"limit", "post"}),
        ("reduce_only", {"reduce"}),
        ("cancel_only", set()),
    ],
)
def test_trading_modes(status, allowed):
    tries = {
        "limit": order("limit", BUY, "1", limit="90"),
        "market": order("market", BUY, "1"),
        "post": order("post", BUY, "1", limit="90", post_only=True),
        "reduce": order("reduce", SELL, "1", trigger="90", reduce_only=True),
    }
    for name, attempt in tries.items():
        venue = exchange()
        venue.on_quote(quote())
        venue.list_instrument(instrument_with(status))
        assert (send(venue, attempt)[0].state is OrderState.WORKING) is (name in allowed)


def instrument_with(status) -> Instrument:
    return msgspec.structs.replace(listed([BTC])[BTC], status=status)


def test_client_id_is_unique_over_open_orders_only():
    venue = exchange()
    venue.on_quote(quote())
    reports = send(venue, order("x", BUY, "1", limit="90"), order("x", BUY, "1", limit="91"))
    assert told(reports) == [("x", "working"), ("x", "rejected")]
    venue.cancel(CancelOrder("a", "t", "x", BTC), venue.now)
    assert told(venue.advance(venue.now + LATENCY)) == [("x", "canceled")]
    assert told(send(venue, order("x", BUY, "1", limit="91"))) == [("x", "working")]


# ---- amend, cancel, timers ----


def amend(venue, cid, **changes):
    venue.amend(AmendOrder("a", "t", cid, BTC, deadline=1 << 62, **changes), venue.now)
    return venue.advance(venue.now + LATENCY)


def test_amend_changes_in_place_and_may_fill_at_once():
    venue = exchange()
    venue.on_quote(quote())
    send(venue, order("x", BUY, "1", limit="90"))
    (report,) = amend(venue, "x", quantity=D(2))
    assert (report.state, report.quantity) == (OrderState.WORKING, D(2))
    assert told(amend(venue, "x", limit_price=D("100.02"))) == [
        ("x", "working"),
        ("x", "fill"),
        ("x", "filled"),
    ]


def test_amend_below_what_is_filled_cancels_the_rest():
    venue = exchange()
    venue.on_quote(quote(size="0.5"))
    send(venue, order("x", BUY, "1", limit="100.02"))
    assert told(amend(venue, "x", quantity=D("0.4"))) == [("x", "working"), ("x", "canceled")]


def test_amend_to_a_taking_price_ends_a_post_only_order():
    venue = exchange()
    venue.on_quote(quote())
    send(venue, order("x", BUY, "1", limit="90", post_only=True))
    assert told(amend(venue, "x", limit_price=D("100.02"))) == [("x", "working"), ("x", "canceled")]


def test_refused_amends_leave_the_order_as_it_is():
    venue = exchange()
    venue.on_quote(quote())
    send(venue, order("x", BUY, "1", limit="90"))
    for changes, reason in [
        ({"limit_price": D("90.001")}, "EOrder:Tick size check failed"),
        ({"trigger_price": D(91)}, "EGeneral:Invalid arguments:price"),
        ({"quantity": D("0.00001")}, "EOrder:Order minimum not met"),
    ]:
        (report,) = amend(venue, "x", **changes)
        assert (report.state, report.reason) == (OrderState.WORKING, reason)
        assert (report.quantity, report.limit_price) == (D(1), D(90))
    venue.amend(AmendOrder("a", "t", "x", BTC, deadline=venue.now, quantity=D(2)), venue.now)
    (report,) = venue.advance(venue.now + LATENCY)
    assert report.reason == "EService:Deadline elapsed"


def test_cancel_or_amend_of_what_is_not_open_says_so():
    venue = opened(exchange())
    for key, state in (("nobody", OrderState.REJECTED), ("open", OrderState.FILLED)):
        venue.cancel(CancelOrder("a", "t", key, BTC), venue.now)
        (report,) = venue.advance(venue.now + LATENCY)
        assert (report.state, report.reason) == (state, "EOrder:Unknown order")
    (report,) = amend(venue, "nobody", quantity=D(1))
    assert (report.state, report.reason) == (OrderState.REJECTED, "EOrder:Unknown order")


def test_gtd_order_expires_and_a_dead_one_does_not_expire_again():
    venue = exchange()
    venue.on_quote(quote())
    gtd = {"time_in_force": TimeInForce.GTD, "expires": SECOND}
    send(venue, order("x", BUY, "1", limit="90", **gtd), order("y", BUY, "1", limit="90", **gtd))
    venue.cancel(CancelOrder("a", "t", "y", BTC), venue.now)
    assert told(venue.advance(SECOND - 1)) == [("y", "canceled")]
    assert told(venue.advance(SECOND)) == [("x", "expired")]


def test_dead_mans_switch_fires_once_unless_armed_again():
    venue = exchange()
    venue.on_quote(quote())
    send(venue, order("x", BUY, "1", limit="90"))
    venue.cancel_all_after("a", SECOND, venue.now)
    venue.cancel_all_after("a", 3 * SECOND, venue.now + SECOND // 2)
    assert venue.advance(2 * SECOND) == []
    reports = venue.advance(4 * SECOND)
    assert told(reports) == [("x", "canceled")]
    assert reports[0].reason == "CancelAllOrdersAfter Timeout"
    send(venue, order("y", BUY, "1", limit="90"))
    venue.cancel_all_after("a", SECOND, venue.now)
    venue.cancel_all_after("a", 0, venue.now)
    assert venue.advance(venue.now + 60 * SECOND) == []


def test_cancel_all_takes_triggers_too():
    venue = exchange()
    venue.on_quote(quote())
    send(venue, order("x", BUY, "1", limit="90"), order("s", SELL, "1", trigger="80", reduce_only=True))
    venue.cancel_all("a", venue.now)
    assert told(venue.advance(venue.now + LATENCY)) == [("x", "canceled"), ("s", "canceled")]


def test_requests_arrive_after_the_latency_and_in_order():
    venue = exchange()
    venue.on_quote(quote())
    venue.submit(order("x", BUY, "1", limit="90"), 0)
    venue.cancel(CancelOrder("a", "t", "x", BTC), 0)
    assert venue.next_due() == LATENCY
    assert venue.advance(LATENCY - 1) == []
    assert told(venue.advance(LATENCY)) == [("x", "working"), ("x", "canceled")]
    assert venue.next_due() is None
