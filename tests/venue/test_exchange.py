"""The exchange model against Kraken's rules and against arithmetic."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import SECOND
from core.errors import ConfigError, InternalError
from core.events import Fill, OrderUpdate, VenuePosition
from core.instrument import Instrument
from core.market import Quote, Trade
from core.orders import (
    AmendOrder,
    CancelOrder,
    Order,
    OrderState,
    OrderType,
    Purpose,
    Side,
    SubmitOrder,
    TimeInForce,
)
from venue.exchange import Exchange
from venue.exchange_listing import listed
from venue.exchange_orders import Change, ChangeKind, FeeSchedule, identifier

D = Decimal
BTC = "BTC/USDT"
FEES = FeeSchedule(maker=D("0.0025"), taker=D("0.004"))
LATENCY = 5_000_000
BUY, SELL = Side.BUY, Side.SELL


def exchange(**options):
    venue = Exchange(listed([BTC, "MKR/USDT"]), fees=FEES, latency_ns=LATENCY, **options)
    venue.open_account("a", D(10_000))
    return venue


def quote(bid="100.00", ask="100.02", *, size="5", ts=0, symbol=BTC):
    return Quote(symbol, ts, D(bid), D(ask), D(size), D(size))


def trade(price, *, quantity="1", ts=0):
    return Trade(BTC, ts, D(price), D(quantity), SELL, 1)


def order(cid, side, quantity, *, limit=None, trigger=None, kind=None, **more):
    kind = kind or (OrderType.STOP_LOSS if trigger else OrderType.LIMIT if limit else OrderType.MARKET)
    values = {
        "account": "a",
        "trader": "t",
        "cl_ord_id": cid,
        "instrument": BTC,
        "side": side,
        "quantity": D(quantity),
        "order_type": kind,
        "purpose": Purpose.ENTRY,
        "time_in_force": TimeInForce.GTC,
        "deadline": 1 << 62,
        "limit_price": D(limit) if limit else None,
        "trigger_price": D(trigger) if trigger else None,
    }
    return SubmitOrder(**(values | more))


def ioc(cid, side, quantity, limit, **more):
    return order(cid, side, quantity, limit=limit, time_in_force=TimeInForce.IOC, **more)


def send(venue, *orders):
    """Submit and let the latency pass."""
    for one in orders:
        venue.submit(one, venue.now)
    return venue.advance(venue.now + LATENCY)


def told(reports):
    return [(r.cl_ord_id, "fill" if isinstance(r, Fill) else r.state.value) for r in reports]


def position(venue):
    return venue.account("a").portfolio.quantity(BTC)


def opened(venue, side=BUY, quantity="1"):
    """A venue whose account holds a position at the touch."""
    venue.on_quote(quote())
    send(venue, order("open", side, quantity))
    assert abs(position(venue)) == D(quantity)
    return venue


# ---- taking, making ----


def test_taker_gets_the_touch_and_pays_the_taker_fee():
    venue = exchange()
    venue.on_quote(quote())
    working, fill, done = send(venue, ioc("x", BUY, "2", "101.00"))
    assert (working.state, done.state, done.filled) == (OrderState.WORKING, OrderState.FILLED, D(2))
    assert (fill.price, fill.quantity, fill.maker) == (D("100.02"), D(2), False)
    assert fill.fee == D("100.02") * 2 * D("0.004")
    assert venue.account("a").portfolio.cash == D(10_000) - fill.fee


def test_ioc_larger_than_the_touch_fills_partly_and_is_cancelled():
    venue = exchange()
    venue.on_quote(quote(size="0.5"))
    reports = send(venue, ioc("x", BUY, "2", "101.00"))
    assert told(reports) == [("x", "working"), ("x", "fill"), ("x", "canceled")]
    assert reports[-1].filled == D("0.5")


def test_what_one_taker_takes_the_next_does_not_find():
    venue = exchange()
    venue.on_quote(quote(size="1"))
    reports = send(venue, ioc("x", BUY, "0.7", "101.00"), ioc("y", BUY, "0.7", "101.00"))
    assert [r.quantity for r in reports if isinstance(r, Fill)] == [D("0.7"), D("0.3")]


def test_market_order_goes_on_with_the_next_quote():
    venue = exchange()
    venue.on_quote(quote(size="1"))
    send(venue, order("x", BUY, "1.5"))
    reports = venue.on_quote(quote("101.00", "101.02", ts=SECOND))
    assert told(reports) == [("x", "fill"), ("x", "filled")]
    assert reports[0].price == D("101.02")
    assert reports[0].maker is False


def test_limit_beyond_the_touch_rests_and_a_crossing_quote_makes_it():
    venue = exchange()
    venue.on_quote(quote())
    assert told(send(venue, order("x", BUY, "1", limit="99.00"))) == [("x", "working")]
    assert venue.on_quote(quote("99.00", "99.01", ts=SECOND)) == []
    fill = venue.on_quote(quote("98.90", "99.00", ts=2 * SECOND))[0]
    assert (fill.price, fill.maker, fill.fee) == (D("99.00"), True, D("99.00") * D("0.0025"))


def test_print_fills_a_resting_order_only_when_it_goes_through():
    venue = exchange()
    venue.on_quote(quote())
    send(venue, order("x", BUY, "1", limit="99.00"))
    assert venue.on_trade(trade("99.00", ts=SECOND)) == []
    fill = venue.on_trade(trade("98.99", quantity="0.4", ts=2 * SECOND))[0]
    assert (fill.price, fill.quantity, fill.maker) == (D("99.00"), D("0.4"), True)


def test_one_print_is_shared_best_price_first():
    venue = exchange()
    venue.on_quote(quote())
    send(venue, order("far", BUY, "1", limit="98.00"), order("near", BUY, "1", limit="99.00"))
    reports = venue.on_trade(trade("97.00", quantity="1.5", ts=SECOND))
    fills = [(r.cl_ord_id, r.quantity) for r in reports if isinstance(r, Fill)]
    assert fills == [("near", D(1)), ("far", D("0.5"))]


def test_post_only_that_would_take_is_accepted_and_cancelled():
    venue = exchange()
    venue.on_quote(quote())
    reports = send(venue, order("x", BUY, "1", limit="100.02", post_only=True))
    assert told(reports) == [("x", "working"), ("x", "canceled")]
    assert reports[-1].reason == "Post only order"


# ---- triggers and reduce-only ----


@pytest.mark.parametrize(
    "side,trigger,far,through", [(SELL, "95.00", "95.01", "95.00"), (BUY, "105.00", "104.99", "105.00")]
)
def test_stop_loss_fires_on_the_last_trade(side, trigger, far, through):
    venue = opened(exchange(), side.opposite)
    venue.on_trade(trade("100.00"))
    send(venue, order("stop", side, "1", trigger=trigger, reduce_only=True))
    assert venue.on_trade(trade(far, ts=SECOND)) == []
    assert told(venue.on_trade(trade(through, ts=2 * SECOND))) == [("stop", "fill"), ("stop", "filled")]
    assert position(venue) == 0


def test_without_trades_the_stop_fires_on_the_side_it_would_meet():
    venue = opened(exchange())
    send(venue, order("stop", SELL, "1", trigger="95.00", reduce_only=True))
    assert venue.on_quote(quote("95.01", "95.02", ts=SECOND)) == []
    assert told(venue.on_quote(quote("94.00", "94.02", ts=2 * SECOND))) == [
        ("stop", "fill"),
        ("stop", "filled"),
    ]


def test_take_profit_fires_on_the_other_side():
    venue = opened(exchange())
    send(venue, order("tp", SELL, "1", trigger="110.00", kind=OrderType.TAKE_PROFIT, reduce_only=True))
    assert venue.on_quote(quote("109.00", "109.02", ts=SECOND)) == []
    assert told(venue.on_quote(quote("110.00", "110.02", ts=2 * SECOND)))[0] == ("tp", "fill")


def test_stop_may_rest_before_the_position_and_dies_if_there_is_none():
    venue = exchange()
    venue.on_quote(quote())
    assert told(send(venue, order("stop", SELL, "1", trigger="95.00", reduce_only=True))) == [
        ("stop", "working")
    ]
    reports = venue.on_quote(quote("94.00", "94.02", ts=SECOND))
    assert told(reports) == [("stop", "canceled")]
    assert reports[0].reason == "EOrder:Reduce only:No position exists"


def test_stricter_reading_refuses_reduce_only_without_a_position():
    venue = exchange(reduce_only_needs_position=True)
    venue.on_quote(quote())
    report = send(venue, order("stop", SELL, "1", trigger="95.00", reduce_only=True))[0]
    assert (report.state, report.reason) == (OrderState.REJECTED, "EOrder:Reduce only:No position exists")


def test_reduce_only_larger_than_the_position_closes_it_and_ends():
    venue = opened(exchange(), quantity="1")
    reports = send(venue, order("x", SELL, "3", reduce_only=True))
    assert told(reports) == [("x", "working"), ("x", "fill"), ("x", "canceled")]
    assert position(venue) == 0


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


# ---- views ----


def test_reconcile_lists_open_orders_asked_ids_and_fills_since():
    venue = opened(exchange())
    send(venue, order("rest", BUY, "1", limit="90"))
    truth = venue.reconcile("a", asked=("open", "never"), since=0)
    assert {o.cl_ord_id: o.state for o in truth.orders} == {
        "rest": OrderState.WORKING,
        "open": OrderState.FILLED,
    }
    assert [f.cl_ord_id for f in truth.fills] == ["open"]
    assert truth.positions == (VenuePosition(BTC, D(1), D("100.02")),)
    assert venue.snapshot("a").fills == ()


def test_adopted_account_goes_on_where_it_was():
    old = opened(exchange())
    submit = order("stop", SELL, "1", trigger="95.00", reduce_only=True)
    venue = exchange()
    truth = old.snapshot("a")
    venue.adopt("a", truth.cash, truth.positions, [Order(submit=submit, state=OrderState.WORKING, created=7)])
    venue.on_quote(quote("94.00", "94.02", ts=old.now))
    assert position(venue) == 0
    assert venue.account("a").portfolio.cash < truth.cash


def test_ids_of_a_later_process_are_new():
    first, second = exchange(), exchange()
    first.on_quote(quote(ts=SECOND))
    second.on_quote(quote(ts=2 * SECOND))
    a = send(first, order("x", BUY, "1"))
    b = send(second, order("x", BUY, "1"))
    assert {r.exec_id for r in a if isinstance(r, Fill)}.isdisjoint(
        r.exec_id for r in b if isinstance(r, Fill)
    )
    assert len({identifier("O", n) for n in range(10_000)}) == 10_000


def test_listener_sees_the_request_number_and_every_step():
    seen: list[Change] = []
    venue = exchange(listener=seen.append)
    venue.on_quote(quote())
    number = venue.submit(order("x", BUY, "1", trigger="99.00"), 0)
    venue.advance(LATENCY)
    assert [(c.kind, c.request) for c in seen] == [
        (ChangeKind.ACCEPTED, number),
        (ChangeKind.TRIGGERED, 0),
        (ChangeKind.TRADE, 0),
        (ChangeKind.FILLED, 0),
    ]


def test_strangers_are_a_callers_bug():
    with pytest.raises(InternalError, match="found 'b' at"):
        exchange().account("b")
    with pytest.raises(InternalError, match="NO/SUCH"):
        exchange().on_quote(quote(symbol="NO/SUCH"))
    with pytest.raises(ConfigError, match="NO/SUCH"):
        listed(["NO/SUCH"])


def test_spot_orders_move_balances_and_reserve_them():
    venue = exchange()
    venue.on_quote(quote(size="1000"))
    send(venue, order("x", BUY, "10", margin=False))
    account = venue.account("a")
    assert account.assets == {"BTC": D(10)}
    assert account.portfolio.positions == {}
    assert account.portfolio.cash == D(10_000) - D("1000.2") * D("1.004")
    send(venue, order("hold", SELL, "8", limit="120", margin=False))
    assert (
        send(venue, order("more", SELL, "3", limit="120", margin=False))[0].reason
        == "EOrder:Insufficient funds"
    )
    assert told(venue.on_trade(trade("121.00", quantity="20", ts=SECOND))) == [
        ("hold", "fill"),
        ("hold", "filled"),
    ]


# ---- properties ----

PRICES = st.integers(9_000, 11_000).map(lambda n: D(n).scaleb(-2))
SIZES = st.integers(1, 300).map(lambda n: D(n).scaleb(-2))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("quote"), PRICES, SIZES),
        st.tuples(st.just("trade"), PRICES, SIZES),
        st.tuples(st.just("limit"), PRICES, SIZES, st.booleans(), st.booleans()),
        st.tuples(st.just("ioc"), PRICES, SIZES, st.booleans(), st.booleans()),
        st.tuples(st.just("stop"), PRICES, SIZES, st.booleans(), st.just(True)),
        st.tuples(st.just("market"), PRICES, SIZES, st.booleans(), st.booleans()),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
    ),
    max_size=40,
)


def play(steps, watch=lambda *_: None):
    """Drive a venue through steps; `watch(before, reports)` after each one."""
    venue, everything = exchange(), []
    for number, step in enumerate(steps):
        now, before, cid = (number + 1) * SECOND, position(venue), f"o{number}"
        if step[0] == "quote":
            reports = venue.on_quote(Quote(BTC, now, step[1], step[1] + D("0.02"), step[2], step[2]))
        elif step[0] == "trade":
            reports = venue.on_trade(Trade(BTC, now, step[1], step[2], SELL, number))
        else:
            if step[0] == "cancel":
                venue.cancel(CancelOrder("a", "t", f"o{step[1]}", BTC), now - LATENCY)
            else:
                venue.submit(made(step, cid), now - LATENCY)
            reports = venue.advance(now)
        watch(venue, before, reports)
        everything += reports
    return venue, everything


def made(step, cid):
    kind, price, size, buys, reduces = step
    side = BUY if buys else SELL
    if kind == "stop":
        return order(cid, side, size, trigger=price, reduce_only=reduces)
    if kind == "market":
        return order(cid, side, size, reduce_only=reduces)
    tif = TimeInForce.IOC if kind == "ioc" else TimeInForce.GTC
    return order(cid, side, size, limit=price, reduce_only=reduces, time_in_force=tif)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_equity_is_what_the_fills_say(steps):
    venue, reports = play(steps)
    fills = [r for r in reports if isinstance(r, Fill)]
    mark = D(100)
    flows = sum((-f.side.sign * f.quantity * f.price - f.fee for f in fills), D(0))
    held = sum((f.side.sign * f.quantity for f in fills), D(0))
    assert held == position(venue)
    equity = venue.account("a").portfolio.equity({BTC: mark})
    assert abs(equity - (D(10_000) + flows + held * mark)) < D("1E-12")


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_reduce_only_never_opens_and_never_flips(steps):
    reducing = {
        f"o{n}" for n, step in enumerate(steps) if step[0] not in ("quote", "trade", "cancel") and step[4]
    }

    def watch(venue, before, reports):
        held = before
        for fill in (r for r in reports if isinstance(r, Fill)):
            after = held + fill.side.sign * fill.quantity
            if fill.cl_ord_id in reducing:
                assert abs(after) < abs(held)
                assert after * held >= 0
            held = after

    play(steps, watch)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_no_order_fills_beyond_its_quantity_and_sums_agree(steps):
    _, reports = play(steps)
    filled: dict[str, Decimal] = {}
    for report in reports:
        if isinstance(report, Fill):
            assert report.quantity > 0
            filled[report.cl_ord_id] = filled.get(report.cl_ord_id, D(0)) + report.quantity
        elif isinstance(report, OrderUpdate) and report.filled is not None:
            assert report.filled == filled.get(report.cl_ord_id, D(0))
            assert report.filled <= report.quantity
            assert (report.state is not OrderState.FILLED) or report.filled == report.quantity


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_same_inputs_give_the_same_outputs_bit_for_bit(steps):
    assert repr(play(steps)[1]) == repr(play(steps)[1])
