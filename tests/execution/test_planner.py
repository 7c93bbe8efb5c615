"""Plans from one situation to its drafts: idempotent, reduce-only, never past what is held."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import SECOND
from core.instrument import Instrument
from core.market import Quote
from core.orders import (
    Order,
    OrderIntent,
    OrderState,
    OrderType,
    Purpose,
    Side,
    SubmitOrder,
    TimeInForce,
)
from execution.planner import Leave, Place, Resize, Situation, Withdraw, effective, plan

D = Decimal
NOW = 1_700_000_000 * SECOND
SETTLE = 3 * SECOND
SOL = Instrument(
    symbol="SOL/USDT",
    base="SOL",
    quote="USDT",
    price_increment=D("0.01"),
    quantity_increment=D("0.01"),
    price_precision=2,
    quantity_precision=2,
    minimum_quantity=D("0.02"),
    minimum_cost=D("0.5"),
    max_leverage=3,
)
QUOTE = Quote("SOL/USDT", NOW, D("99.99"), D("100.01"), D(9), D(9))


def order(purpose, side, quantity="1", *, state=OrderState.WORKING, filled="0", booked=None, name="a", age=0):
    submit = SubmitOrder(
        account="a",
        trader="t",
        cl_ord_id=name,
        instrument="SOL/USDT",
        side=side,
        quantity=D(quantity),
        order_type=OrderType.LIMIT,
        purpose=purpose,
        time_in_force=TimeInForce.GTC,
        deadline=NOW - age + 2 * SECOND,
        reduce_only=purpose is not Purpose.ENTRY,
    )
    return Order(
        submit=submit,
        state=state,
        created=NOW - age,
        quantity=D(quantity),
        filled=D(filled),
        booked=D(filled if booked is None else booked),
        changed=NOW - age,
    )


def intent(target="1", stop="95", take_profit="110"):
    return OrderIntent("t", "SOL/USDT", D(target), D(stop), D(take_profit), D(100), NOW, "p", "")


def situation(*orders, position="1", wanted=None, quote=QUOTE, **changes):
    fields = {
        "instrument": SOL,
        "now": NOW,
        "position": D(position),
        "quote": quote,
        "intent": intent() if wanted is None else wanted,
        "orders": orders,
        "entries_allowed": True,
        "settle": SETTLE,
    }
    return Situation(**(fields | changes))


STOP = order(Purpose.STOP, Side.SELL, name="stop")
TARGET = order(Purpose.TARGET, Side.SELL, name="target")


def test_a_guarded_position_needs_nothing():
    assert plan(situation(STOP, TARGET)) == []


def test_a_position_without_intent_is_not_ours_to_touch():
    assert plan(situation(position="2", intent=None)) == []


def test_a_naked_position_gets_stop_and_target():
    stop, target = plan(situation())
    assert stop == Place(Purpose.STOP, Side.SELL, D(1), OrderType.STOP_LOSS, trigger_price=D(95))
    assert target == Place(Purpose.TARGET, Side.SELL, D(1), OrderType.LIMIT, limit_price=D(110))


def test_a_short_s_stop_is_through_when_the_ask_reaches_it():
    short = intent("-1", "105", "90")
    high = Quote("SOL/USDT", NOW, D("104.9"), D("105"), D(1), D(1))
    leave, leaving = plan(situation(position="-1", wanted=short, quote=high))
    assert isinstance(leave, Leave)
    assert (leaving.purpose, leaving.side) == (Purpose.EXIT, Side.BUY)
    assert plan(situation(position="-1", wanted=short))[0].purpose is Purpose.STOP


def test_no_quote_is_no_reason_to_leave_a_position_naked():
    assert plan(situation(quote=None))[0].purpose is Purpose.STOP


def test_what_was_refused_lately_waits():
    everything = frozenset(Purpose)
    assert plan(situation(held_back=everything)) == []
    assert plan(situation(STOP, wanted=intent("0"), held_back=everything)) == []


def test_a_grown_position_gets_a_larger_stop_and_then_drops_the_small_one():
    small = order(Purpose.STOP, Side.SELL, "0.4", name="small")
    half = order(Purpose.TARGET, Side.SELL, "1", name="target")
    (stop,) = plan(situation(small, half))
    assert (stop.purpose, stop.quantity) == (Purpose.STOP, D(1))
    assert plan(situation(small, STOP, half)) == [Withdraw("small")]
    # two small ones that cover together are left alone: nothing is missing
    other = order(Purpose.STOP, Side.SELL, "0.6", name="other")
    assert plan(situation(small, other, half)) == []


def test_a_stop_of_the_wrong_side_guards_nothing():
    wrong = order(Purpose.STOP, Side.BUY, name="wrong")
    assert [d.purpose for d in plan(situation(wrong, TARGET))] == [Purpose.STOP]
    assert plan(situation(wrong, STOP, TARGET)) == [Withdraw("wrong")]


def test_targets_follow_the_position_in_size():
    large = order(Purpose.TARGET, Side.SELL, "2", name="large")
    assert plan(situation(STOP, large)) == [Resize("large", D(1))]
    part = order(Purpose.TARGET, Side.SELL, "2", filled="0.5", name="part")
    assert plan(situation(STOP, part)) == [Resize("part", D("1.5"))]
    sent = order(Purpose.TARGET, Side.SELL, "2", state=OrderState.SUBMITTING)
    assert plan(situation(STOP, sent)) == []
    leaving = order(Purpose.TARGET, Side.SELL, state=OrderState.CANCELLING)
    assert plan(situation(STOP, leaving)) == []


def test_a_target_waits_until_the_entry_has_ended():
    entry = order(Purpose.ENTRY, Side.BUY, "2", filled="1", name="entry")
    stop = order(Purpose.STOP, Side.SELL, "2", name="stop")
    assert plan(situation(entry, stop)) == []


def test_an_exit_under_way_is_not_doubled_and_a_dead_one_is_repeated():
    gone = intent("0")
    for state in (OrderState.SUBMITTING, OrderState.WORKING, OrderState.CANCELLING, OrderState.UNKNOWN):
        assert plan(situation(order(Purpose.EXIT, Side.SELL, state=state), wanted=gone)) == []
    for state in (OrderState.REJECTED, OrderState.CANCELED):
        assert len(plan(situation(order(Purpose.EXIT, Side.SELL, state=state), wanted=gone))) == 1
    overdue = order(Purpose.EXIT, Side.SELL, state=OrderState.UNKNOWN, age=60 * SECOND)
    assert len(plan(situation(overdue, wanted=gone))) == 1


def test_dust_leaves_with_the_smallest_order_the_venue_takes():
    (leaving,) = plan(situation(position="0.01", wanted=intent("0")))
    assert leaving.quantity == D("0.02")
    cheap = Quote("SOL/USDT", NOW, D("1"), D("1"), D(9), D(9))
    (leaving,) = plan(situation(position="0.01", wanted=intent("0"), quote=cheap))
    assert leaving.quantity == D("0.50")
    odd = Quote("SOL/USDT", NOW, D("3"), D("3"), D(9), D(9))
    (leaving,) = plan(situation(position="0.01", wanted=intent("0"), quote=odd))
    assert leaving.quantity == D("0.17")
    (leaving,) = plan(situation(position="0.01", wanted=intent("0", "0"), quote=None))
    assert leaving.quantity == D("0.02")


def test_leaving_takes_the_entry_back_in_the_same_plan():
    entry = order(Purpose.ENTRY, Side.BUY, "1", name="entry")
    drafts = plan(situation(entry, position="0.5", stop_refusals=2))
    assert isinstance(drafts[0], Leave)
    assert Withdraw("entry") in drafts
    assert drafts[-1].purpose is Purpose.EXIT


def test_reported_fills_count_before_they_are_booked():
    filled = order(Purpose.STOP, Side.SELL, filled="1", booked="0", state=OrderState.FILLED)
    assert effective(D(1), [filled]) == 0
    assert plan(situation(filled, TARGET)) == [Withdraw("target")]


quantities = st.decimals("0.01", "2", places=2)
drawn_orders = st.builds(
    lambda purpose, side, quantity, state, age, part: order(
        purpose,
        side,
        str(quantity),
        state=state,
        age=age * SECOND,
        filled=str((quantity * part).quantize(D("0.01"))),
    ),
    st.sampled_from(Purpose),
    st.sampled_from(Side),
    quantities,
    st.sampled_from(OrderState),
    st.integers(0, 30),
    st.sampled_from([D(0), D(0), D("0.5")]),
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(drawn_orders, max_size=5),
    st.decimals("-2", "2", places=2),
    st.sampled_from([None, intent(), intent("-1", "105", "90"), intent("0")]),
    st.booleans(),
    st.integers(0, 3),
)
def test_a_plan_that_was_carried_out_plans_nothing(orders, position, wanted, entries_allowed, refusals):
    for index, one in enumerate(orders):
        orders[index] = Order(
            **{f: getattr(one, f) for f in one.__struct_fields__} | {"submit": _named(one, index)}
        )
    before = situation(
        *orders,
        position=str(position),
        intent=wanted,
        entries_allowed=entries_allowed,
        stop_refusals=refusals,
    )
    drafts = plan(before)
    assert plan(before) == drafts
    held = effective(position, orders)
    carried, target = list(orders), wanted
    for index, draft in enumerate(drafts):
        match draft:
            case Place(purpose, side, quantity):
                assert purpose is not Purpose.ENTRY
                assert side is (Side.SELL if held > 0 else Side.BUY)
                carried.append(
                    order(purpose, side, str(quantity), state=OrderState.SUBMITTING, name=f"n{index}")
                )
            case Resize(name, _):
                next(o for o in carried if o.submit.cl_ord_id == name).amended = NOW
            case Withdraw(name):
                one = next(o for o in carried if o.submit.cl_ord_id == name)
                one.state, one.changed = OrderState.CANCELLING, NOW
            case Leave():
                target = intent("0")
    after = situation(
        *carried,
        position=str(position),
        intent=target,
        entries_allowed=entries_allowed,
        stop_refusals=refusals,
    )
    assert plan(after) == []


def _named(one, index):
    submit = one.submit
    return SubmitOrder(
        **{f: getattr(submit, f) for f in submit.__struct_fields__} | {"cl_ord_id": f"o{index}"}
    )
