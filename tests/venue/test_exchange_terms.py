"""Kraken's further order types and terms at the exchange model."""

import pytest

from core.clock import SECOND
from core.events import Fill
from core.orders import AmendOrder, CancelOrder, OrderState, OrderType, TimeInForce
from tests.venue.exchange_world import (
    BTC,
    BUY,
    LATENCY,
    SELL,
    D,
    exchange,
    opened,
    order,
    position,
    quote,
    send,
    told,
    trade,
)
from venue.exchange_orders import ChangeKind
from venue.exchange_requests import EditOrder, NewOrder
from venue.exchange_settings import ExchangeRules
from venue.exchange_terms import PLAIN, CloseTerms, Offset, SelfTrade, Terms


def listened(**options):
    seen = []
    venue = exchange(listener=seen.append, **options)
    venue.on_quote(quote())
    return venue, seen


def kinds(seen):
    return [change.kind for change in seen]


# ---- triggers ----


@pytest.mark.parametrize(
    "kind,trigger,far,near",
    [("stop-loss-limit", "95", "95.01", "95"), ("take-profit-limit", "105", "104.99", "105")],
)
def test_a_limited_trigger_becomes_a_limit_order(kind, trigger, far, near):
    venue = opened(exchange())
    venue.on_trade(trade("100"))
    send(venue, order("s", SELL, "1", limit="99", trigger=trigger, kind=OrderType(kind), reduce_only=True))
    venue.on_quote(quote("94", "94.02", ts=SECOND))
    assert venue.on_trade(trade(far, ts=SECOND)) == []
    assert venue.on_trade(trade(near, ts=2 * SECOND)) == []  # fired; 94 is below its limit
    reports = venue.on_quote(quote("99", "99.02", ts=3 * SECOND))
    assert (told(reports), reports[0].price) == ([("s", "fill"), ("s", "filled")], D(99))


@pytest.mark.parametrize(
    "side,offset,path,moved",
    [
        (SELL, Offset(D(5)), ["101", "104", "102"], "99.00"),
        (SELL, Offset(D(10), percent=True), ["110", "100"], "99.00"),
        (BUY, Offset(D(5)), ["99", "96", "97"], "101.00"),
    ],
)
def test_a_trailing_stop_follows_the_best_price_only(side, offset, path, moved):
    venue, seen = listened()
    venue.on_trade(trade("100"))
    send(venue, order("t", side, "1", kind=OrderType.TRAILING_STOP), trigger_offset=offset)
    for number, price in enumerate(path):
        venue.on_trade(trade(price, ts=(number + 1) * SECOND))
    (open_,) = venue.account("a").open.values()
    assert open_.trigger_price == D(moved)
    assert ChangeKind.MOVED in kinds(seen)
    venue.on_trade(trade(moved, ts=9 * SECOND))
    assert abs(position(venue)) == 1


def test_a_trailing_stop_limit_fixes_its_limit_when_it_fires():
    venue = opened(exchange())
    venue.on_trade(trade("100"))
    terms = {"trigger_offset": Offset(D(2)), "limit_offset": Offset(D(-1))}
    send(venue, order("t", SELL, "1", kind=OrderType.TRAILING_STOP_LIMIT, reduce_only=True), **terms)
    venue.on_trade(trade("103", ts=SECOND))
    venue.on_quote(quote("99", "99.02", ts=SECOND))
    venue.on_trade(trade("101", ts=2 * SECOND))
    (open_,) = venue.account("a").open.values()
    assert (open_.triggered, open_.limit_price, position(venue)) == (True, D(100), 1)


def test_relative_prices_are_fixed_on_arrival():
    venue, _ = listened()
    venue.on_trade(trade("100"))
    send(venue, order("a", SELL, "1", kind=OrderType.STOP_LOSS), trigger_offset=Offset(D(-2), percent=True))
    send(venue, order("b", BUY, "1", kind=OrderType.LIMIT), limit_offset=Offset(D(3), directed=True))
    both = {"trigger_offset": Offset(D(4), directed=True), "limit_offset": Offset(D(-1))}
    send(venue, order("c", SELL, "1", kind=OrderType.STOP_LOSS_LIMIT), **both)
    found = [(o.trigger_price, o.limit_price) for o in venue.account("a").open.values()]
    assert found == [(D(98), None), (None, D(97)), (D(96), D(95))]


def test_a_relative_price_needs_a_market():
    (report,) = send(
        exchange(), order("a", SELL, "1", kind=OrderType.STOP_LOSS), trigger_offset=Offset(D(-2))
    )
    assert report.reason == "EGeneral:Invalid arguments:price"


@pytest.mark.parametrize("offered,state", [(False, OrderState.REJECTED), (True, OrderState.WORKING)])
def test_an_index_is_refused_unless_it_is_offered(offered, state):
    venue, _ = listened(rules=ExchangeRules(index=offered))
    (report,) = send(venue, order("a", SELL, "1", trigger="90"), index=True)
    assert report.state is state
    assert report.reason == ("" if offered else "EGeneral:Invalid arguments:Index unavailable")


# ---- icebergs, cash, fill or kill, times ----


def test_an_iceberg_fills_part_by_part_and_queues_again():
    venue, seen = listened()
    send(venue, order("ice", BUY, "1.5", limit="99", kind=OrderType.ICEBERG), display=D("0.5"))
    reports = venue.on_trade(trade("98", quantity="1.2", ts=SECOND))
    assert [r.quantity for r in reports] == [D("0.5"), D("0.5"), D("0.2")]
    assert kinds(seen).count(ChangeKind.REFILLED) == 2
    (open_,) = venue.account("a").open.values()
    assert (open_.shown, open_.remaining) == (D("0.3"), D("0.3"))


@pytest.mark.parametrize("display", ["0.09", "2", "0"])
def test_an_iceberg_shows_a_fifteenth_at_least(display):
    venue, _ = listened()
    (report,) = send(venue, order("i", BUY, "1.5", limit="99", kind=OrderType.ICEBERG), display=D(display))
    assert report.reason == "EGeneral:Invalid arguments:display_qty"


def test_a_market_buy_may_name_the_cash_that_it_spends():
    venue, _ = listened()
    send(venue, order("c", BUY, "1", margin=False), cash=D(100))
    account = venue.account("a")
    assert account.assets["BTC"] == D("0.99980003")
    assert D(100) - account.assets["BTC"] * D("100.02") < D("0.000002")


@pytest.mark.parametrize(
    "quantity,more,outcome",
    [("5", {}, "filled"), ("5.1", {}, "canceled"), ("2", {"reduce_only": True}, "canceled")],
)
def test_fill_or_kill_is_all_or_nothing(quantity, more, outcome):
    venue, _ = listened()
    fok = {"limit": "101", "time_in_force": TimeInForce.FOK, **more}
    reports = send(venue, order("f", BUY, quantity, **fok))
    assert reports[-1].state.value == outcome
    fills = [r.quantity for r in reports if isinstance(r, Fill)]
    assert fills == ([D(quantity)] if outcome == "filled" else [])


def test_a_scheduled_order_waits_for_its_time():
    venue, seen = listened()
    assert told(send(venue, order("s", BUY, "1", limit="101"), starts=SECOND)) == [("s", "working")]
    assert venue.on_quote(quote("99", "99.02", ts=SECOND - 1)) == []
    assert told(venue.advance(SECOND)) == [("s", "fill"), ("s", "filled")]
    assert ChangeKind.STARTED in kinds(seen)


# ---- conditional close, self trades ----


def test_every_fill_brings_one_close_order_of_its_size():
    venue, _ = listened()
    close = CloseTerms(OrderType.STOP_LOSS, trigger_offset=Offset(D(-5)))
    send(venue, order("", BUY, "2", limit="99"), close=close, userref=7)
    venue.on_trade(trade("98", quantity="0.5", ts=SECOND))
    venue.on_trade(trade("98", quantity="0.7", ts=2 * SECOND))
    parent, first, second = venue.account("a").open.values()
    assert [(o.submit.side, o.quantity, o.trigger_price) for o in (first, second)] == [
        (SELL, D("0.5"), D(94)),
        (SELL, D("0.7"), D(94)),
    ]
    assert {first.terms.parent, second.terms.parent} == {parent.order_id}
    assert {first.terms.userref, second.terms.userref} == {7}


@pytest.mark.parametrize(
    "how,left",
    [(SelfTrade.NEWEST, ["old"]), (SelfTrade.OLDEST, ["new"]), (SelfTrade.BOTH, [])],
)
def test_own_orders_never_meet(how, left):
    venue, _ = listened(rules=ExchangeRules(prevents_self_trades=True))
    send(venue, order("old", SELL, "1", limit="100.02"))
    venue.on_quote(quote("100.00", "100.03", ts=SECOND))
    send(venue, order("new", BUY, "1", limit="100.02"), self_trade=how)
    assert [o.submit.cl_ord_id for o in venue.account("a").open.values()] == left


def test_without_the_switch_own_orders_rest_side_by_side():
    venue, _ = listened()
    send(venue, order("old", SELL, "1", limit="100.02"), order("new", BUY, "1", limit="100.01"))
    assert len(venue.account("a").open) == 2


# ---- amend, edit, batches ----


def amend(venue, cid, terms=PLAIN, **changes):
    venue.amend(AmendOrder("a", "t", cid, BTC, deadline=1 << 62, **changes), venue.now, terms)
    return venue.advance(venue.now + LATENCY)


@pytest.mark.parametrize(
    "change,first",
    [
        ({"quantity": D("0.8")}, "x"),
        ({"quantity": D("1.2")}, "y"),
        ({"limit_price": D(99)}, "x"),
    ],
)
def test_less_keeps_the_place_in_the_queue_and_more_loses_it(change, first):
    venue, _ = listened()
    send(venue, order("x", BUY, "1", limit="99"), order("y", BUY, "1", limit="99"))
    amend(venue, "x", **change)
    fills = venue.on_trade(trade("98", quantity="0.5", ts=SECOND))
    assert fills[0].cl_ord_id == first


def test_another_price_and_back_loses_the_place():
    venue, _ = listened()
    send(venue, order("x", BUY, "1", limit="99"), order("y", BUY, "1", limit="99"))
    for price in ("98", "99"):
        amend(venue, "x", limit_price=D(price))
    assert venue.on_trade(trade("98", quantity="0.5", ts=SECOND))[0].cl_ord_id == "y"


def test_amends_of_display_trailing_distance_and_what_would_take():
    venue, _ = listened()
    venue.on_trade(trade("100"))
    send(venue, order("i", BUY, "1.5", limit="99", kind=OrderType.ICEBERG), display=D("0.5"))
    amend(venue, "i", Terms(display=D("0.2")))
    assert venue.account("a").find("i").shown == D("0.2")
    (report,) = amend(venue, "i", Terms(display=D("0.05")))
    assert report.reason == "EGeneral:Invalid arguments:display_qty"
    (report,) = amend(venue, "i", Terms(post_only=True), limit_price=D(101))
    assert (report.reason, report.limit_price) == ("EOrder:Post only order", D(99))
    send(venue, order("t", SELL, "1", kind=OrderType.TRAILING_STOP), trigger_offset=Offset(D(5)))
    amend(venue, "t", trigger_price=D(2))
    assert venue.account("a").find("t").trigger_price == D(98)


def test_an_order_with_a_conditional_close_is_not_amended():
    venue, _ = listened()
    send(venue, order("", BUY, "2", limit="99"), close=CloseTerms(OrderType.LIMIT, limit_price=D(120)))
    (open_,) = venue.account("a").open.values()
    (report,) = amend(venue, open_.order_id, quantity=D(1))
    assert report.reason == "EOrder:Invalid order"


def test_an_edit_makes_a_new_order_without_the_old_fills():
    venue, _ = listened()
    send(venue, order("", BUY, "2", limit="99"), userref=4)
    venue.on_trade(trade("98", quantity="0.5", ts=SECOND))
    (old,) = venue.account("a").open.values()
    venue.edit(EditOrder("a", old.order_id, 1 << 62, limit_price=D(98)), venue.now)
    venue.advance(venue.now + LATENCY)
    (new,) = venue.account("a").open.values()
    assert new.order_id != old.order_id
    assert (new.quantity, new.filled, new.limit_price, new.terms.userref) == (D("1.5"), 0, D(98), 4)
    assert (old.state, old.reason) == (OrderState.CANCELED, "Order replaced")


@pytest.mark.parametrize(
    "cid,edit,error",
    [
        ("named", {"limit_price": D(98)}, "EOrder:Invalid order"),
        ("", {"limit_price": D("98.001")}, "EOrder:Tick size check failed"),
        ("", {"quantity": D(1000)}, "EOrder:Insufficient margin"),
    ],
)
def test_a_refused_edit_leaves_the_order(cid, edit, error):
    venue, seen = listened()
    send(venue, order(cid, BUY, "2", limit="99"))
    (old,) = venue.account("a").open.values()
    venue.edit(EditOrder("a", old.order_id, 1 << 62, **edit), venue.now)
    venue.advance(venue.now + LATENCY)
    assert (seen[-1].kind, seen[-1].error, old.state) == (ChangeKind.REFUSED, error, OrderState.WORKING)
    venue.edit(EditOrder("a", "nobody", 1 << 62), venue.now)
    venue.advance(venue.now + LATENCY)
    assert seen[-1].error == "EOrder:Unknown order"


def batch(venue, *orders):
    numbers = venue.submit_together([NewOrder(one) for one in orders], venue.now)
    venue.advance(venue.now + LATENCY)
    return numbers


def test_one_bad_order_refuses_the_batch_and_a_poor_one_only_itself():
    venue, seen = listened()
    numbers = batch(venue, order("x", BUY, "1", limit="99"), order("y", BUY, "1", limit="99.001"))
    assert [(c.request, c.error) for c in seen] == [(n, "EOrder:Tick size check failed") for n in numbers]
    seen.clear()
    batch(venue, order("x", BUY, "1", limit="99"), order("y", BUY, "1000", limit="99"))
    assert [c.error for c in seen] == ["", "EOrder:Insufficient margin"]
    assert [o.submit.cl_ord_id for o in venue.account("a").open.values()] == ["x"]


@pytest.mark.parametrize(
    "terms,cid,error",
    [
        ({"userref": 1}, "x", "EGeneral:Invalid arguments:cl_ord_id and userref are mutually exclusive"),
        (
            {"close": CloseTerms(OrderType.LIMIT, limit_price=D(120))},
            "x",
            "EGeneral:Invalid arguments:cl_ord_id with conditional close",
        ),
        ({"whole_position": True}, "", "EOrder:Unknown position"),
    ],
)
def test_terms_that_do_not_go_together(terms, cid, error):
    venue, _ = listened()
    (report,) = send(venue, order(cid, BUY, "1", limit="99"), **terms)
    assert report.reason == error
    assert venue.check(order(cid, BUY, "1", limit="99"), Terms(**terms)) == error


@pytest.mark.parametrize("ratio,margin", [(11, True), (1, True), (2, False)])
def test_leverage_is_one_of_the_pairs_and_of_a_margin_order(ratio, margin):
    venue, _ = listened()
    (report,) = send(venue, order("x", BUY, "1", limit="99", leverage=ratio, margin=margin))
    assert report.reason == "EGeneral:Invalid arguments:leverage"


# ---- the exchange as a whole ----


@pytest.mark.parametrize("mode", ["cancel_only", "post_only", "maintenance"])
def test_modes_of_the_exchange(mode):
    venue, _ = listened()
    send(venue, order("x", BUY, "1", limit="99"))
    venue.set_system(mode)
    assert venue.on_trade(trade("98", quantity="5", ts=SECOND)) == []  # nothing matches
    refused = send(venue, order("y", BUY, "1", limit="99"))[0].reason
    assert refused == ("EService:Unavailable" if mode == "maintenance" else f"EService:Market in {mode} mode")
    allowed = send(venue, order("z", BUY, "1", limit="99", post_only=True))[0].state is OrderState.WORKING
    assert allowed is (mode == "post_only")
    venue.cancel(CancelOrder("a", "t", "x", BTC), venue.now)
    (report,) = venue.advance(venue.now + LATENCY)
    assert (report.state is OrderState.CANCELED) is (mode != "maintenance")
    assert venue.system == mode


@pytest.mark.parametrize(
    "mode, error",
    [
        ("post_only", ""),
        ("cancel_only", "EService:Market in cancel_only mode"),
        ("maintenance", "EService:Unavailable"),
    ],
)
def test_amends_in_the_modes_of_the_exchange(mode, error):
    venue, seen = listened()
    venue.on_quote(quote())
    send(venue, order("x", BUY, "1", limit="99"))
    venue.set_system(mode)
    venue.amend(AmendOrder("a", "t", "x", BTC, deadline=1 << 62, limit_price=D("101")), venue.now)
    venue.advance(venue.now + LATENCY)
    assert seen[-1].error == error
    assert position(venue) == 0  # it crosses, but nothing matches
    venue.set_system("online")
    venue.on_quote(quote(ts=SECOND))
    assert position(venue) == (0 if error else 1)


def test_a_scheduled_order_that_starts_in_maintenance_meets_the_market_afterwards():
    venue, _ = listened()
    venue.on_quote(quote())
    send(venue, order("s", BUY, "1", limit="101"), starts=SECOND)
    venue.set_system("maintenance")
    assert venue.on_quote(quote(ts=2 * SECOND)) == []
    venue.set_system("online")
    assert told(venue.on_quote(quote(ts=3 * SECOND))) == [("s", "fill"), ("s", "filled")]


def test_a_switch_that_lapses_in_maintenance_fires_when_the_engine_is_back():
    venue, seen = listened()
    send(venue, order("x", BUY, "1", limit="99"))
    venue.cancel_all_after("a", SECOND, venue.now)
    venue.advance(venue.now + LATENCY)
    venue.set_system("maintenance")
    venue.cancel_all("a", venue.now)
    assert venue.advance(10 * SECOND) == []
    assert [c.error for c in seen if c.kind is ChangeKind.CANCELED_ALL] == ["EService:Unavailable"]
    venue.set_system("online")
    assert told(venue.advance(11 * SECOND)) == [("x", "canceled")]
    assert venue.account("a").switch is None
