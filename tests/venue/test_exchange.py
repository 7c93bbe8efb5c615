"""The exchange model against Kraken's rules and against arithmetic."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import SECOND
from core.errors import ConfigError, InternalError
from core.events import Fill, OrderUpdate, VenuePosition
from core.market import Quote, Trade
from core.orders import (
    CancelOrder,
    Order,
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
    ioc,
    opened,
    order,
    position,
    quote,
    send,
    told,
    trade,
)
from venue.exchange_listing import listed
from venue.exchange_orders import Change, ChangeKind, identifier
from venue.exchange_settings import ExchangeRules

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
    venue = exchange(rules=ExchangeRules(reduce_only_needs_position=True))
    venue.on_quote(quote())
    report = send(venue, order("stop", SELL, "1", trigger="95.00", reduce_only=True))[0]
    assert (report.state, report.reason) == (OrderState.REJECTED, "EOrder:Reduce only:No position exists")


def test_reduce_only_larger_than_the_position_closes_it_and_ends():
    venue = opened(exchange(), quantity="1")
    reports = send(venue, order("x", SELL, "3", reduce_only=True))
    assert told(reports) == [("x", "working"), ("x", "fill"), ("x", "canceled")]
    assert position(venue) == 0


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
    (fill,) = truth.fills
    assert venue.reconcile("a", since=fill.ts_event).fills == (fill,)
    assert venue.reconcile("a", since=fill.ts_event + 1).fills == ()


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
