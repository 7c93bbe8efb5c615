"""Memory against the venue's answer: absence, strangers, crossings, phantom endings."""

import msgspec

from core.clock import DAY, SECOND
from core.events import VenueOrder
from core.orders import (
    OrderState,
    Purpose,
    Side,
)
from execution.state import ExecutionState
from tests.execution.order_desk import BTC, START, SYMBOL, D, Desk, closing, execution, intent, listed


def test_strangers_are_noticed_once_and_left_alone():
    desk = Desk()
    for _ in range(2):
        desk.says("by-hand", OrderState.WORKING)
    desk.tell(execution(intent_less("by-hand"), "1", exec_id="X", price="1", now=START))
    assert desk.codes() == ["stranger"]
    assert desk.act() == []
    assert desk.portfolio.positions == {}


def intent_less(name):
    stop, _ = Desk().act(intent())
    return msgspec.structs.replace(stop, cl_ord_id=name)


def test_absence_is_believed_only_after_the_deadline_has_settled():
    desk = Desk()
    stop, entry = desk.act(intent())
    desk.says(stop.cl_ord_id, OrderState.UNKNOWN)
    desk.says(entry.cl_ord_id, OrderState.UNKNOWN)
    desk.now += SECOND
    assert desk.orders.request_reconcile(desk.now).asked == tuple(sorted((stop.cl_ord_id, entry.cl_ord_id)))
    desk.answer()
    assert desk.order(entry).state is OrderState.UNKNOWN
    assert desk.orders.unresolved() == (stop.cl_ord_id, entry.cl_ord_id)
    desk.now += 9 * SECOND
    assert desk.orders.needs_reconcile(desk.now, desk.portfolio)
    desk.orders.request_reconcile(desk.now)
    assert not desk.orders.needs_reconcile(desk.now, desk.portfolio)
    applied = desk.answer()
    assert desk.order(entry).state is desk.order(stop).state is OrderState.REJECTED
    assert applied.refused == (SYMBOL,)
    assert desk.orders.unresolved() == ()
    assert not desk.orders.needs_reconcile(desk.now + 60 * SECOND, desk.portfolio)


def test_an_answer_never_judges_an_order_that_is_younger_than_the_question():
    desk = Desk()
    desk.orders.request_reconcile(desk.now)
    stop, _ = desk.act(intent())
    desk.now += 60 * SECOND
    desk.answer()
    assert desk.order(stop).state is OrderState.SUBMITTING


def test_an_answer_never_undoes_what_the_stream_said_after_the_question():
    desk = Desk()
    stop, entry = desk.act(intent())
    desk.says(stop.cl_ord_id, OrderState.WORKING)
    desk.now += SECOND
    desk.orders.request_reconcile(desk.now)
    desk.now += SECOND
    desk.says(stop.cl_ord_id, OrderState.CANCELED)
    desk.says(entry.cl_ord_id, OrderState.REJECTED)
    desk.answer(listed(stop, OrderState.WORKING))
    assert desk.order(stop).state is OrderState.CANCELED


def test_a_question_asked_again_is_judged_by_the_older_time():
    desk = Desk()
    _, entry = desk.act(intent())
    desk.now += SECOND
    desk.orders.request_reconcile(desk.now)
    desk.now += 20 * SECOND
    assert desk.orders.needs_reconcile(desk.now, desk.portfolio)
    desk.orders.request_reconcile(desk.now)
    desk.answer()
    assert desk.order(entry).state is OrderState.SUBMITTING


def test_fills_missed_during_a_gap_are_adopted_once():
    desk = Desk()
    stop, entry = desk.act(intent())
    desk.now += 10 * SECOND
    desk.orders.request_reconcile(desk.now)
    fill = execution(entry, "1", exec_id="T1", price="100", now=START + SECOND)
    rows = (listed(stop, OrderState.WORKING), listed(entry, OrderState.FILLED, filled="1"))
    applied = desk.answer(*rows, positions=["1"], fills=(fill,))
    assert applied.fills == (fill,)
    assert applied.mismatches == ()
    assert desk.tell(fill).fills == ()
    assert desk.portfolio.quantity(SYMBOL) == 1


def test_a_position_that_is_not_ours_is_reported_once_two_answers_agree():
    """One picture may be of another moment than ours: a fill on its way is no reason to halt."""
    desk = Desk()
    desk.now += 10 * SECOND
    desk.orders.request_reconcile(desk.now)
    first = desk.answer(positions=["3"])
    assert (first.mismatches, first.doubtful) == ((), (SYMBOL,))
    desk.now += 10 * SECOND
    assert desk.orders.needs_reconcile(desk.now, desk.portfolio)
    desk.orders.request_reconcile(desk.now)
    second = desk.answer(positions=["3"])
    assert (second.mismatches, second.doubtful) == ((SYMBOL,), ())
    assert desk.codes() == ["position_mismatch"]


def test_a_doubt_that_the_next_answer_clears_is_forgotten():
    desk = Desk()
    for theirs, expected in (("3", ()), ("0", ()), ("3", ())):
        desk.now += 10 * SECOND
        desk.orders.request_reconcile(desk.now)
        assert desk.answer(positions=[theirs]).mismatches == expected


def test_a_fill_that_crosses_the_question_is_compared_next_time():
    desk = Desk()
    stop, entry = desk.act(intent())
    desk.says(stop.cl_ord_id, OrderState.WORKING)
    desk.orders.request_reconcile(desk.now)
    desk.now += SECOND
    desk.fills(entry, "1")
    assert desk.answer().mismatches == ()
    desk.now += 10 * SECOND
    assert desk.orders.needs_reconcile(desk.now, desk.portfolio)
    desk.orders.request_reconcile(desk.now)
    assert desk.answer(positions=["2"]).doubtful == (SYMBOL,)


def test_a_working_order_that_the_venue_misses_is_asked_for_twice():
    desk = Desk()
    stop, *_ = desk.long()
    desk.now += 60 * SECOND
    desk.orders.request_reconcile(desk.now)
    desk.answer(positions=["1"])
    assert desk.order(stop).state is OrderState.UNKNOWN
    assert Purpose.STOP in [c.purpose for c in desk.act()]  # meanwhile another one guards
    desk.now += SECOND
    desk.orders.request_reconcile(desk.now)
    desk.answer(positions=["1"])
    assert desk.order(stop).state is OrderState.REJECTED


def test_a_lost_cancel_is_found_and_repeated():
    desk = Desk()
    stop, _, target = desk.long()
    desk.fills(stop, "1", exec_id="T2", price="95")
    desk.act()
    desk.now += 10 * SECOND
    assert desk.orders.needs_reconcile(desk.now, desk.portfolio)
    desk.orders.request_reconcile(desk.now)
    desk.answer(
        listed(target, OrderState.WORKING),
        VenueOrder("", "OX", SYMBOL, Side.BUY, OrderState.WORKING, D(1), D(0)),
    )
    assert "stranger" in desk.codes()
    assert [c.cl_ord_id for c in desk.act()] == [target.cl_ord_id]


def test_an_ended_order_that_is_found_open_lives_again():
    desk = Desk()
    stop, entry = desk.act(intent())
    desk.says(stop.cl_ord_id, OrderState.WORKING)
    desk.says(entry.cl_ord_id, OrderState.CANCELED)
    desk.says(stop.cl_ord_id, OrderState.CANCELED)
    desk.act()
    desk.now += 10 * SECOND
    desk.orders.request_reconcile(desk.now)
    desk.answer(listed(stop, OrderState.WORKING))
    assert "order_resurrected" in desk.codes()
    assert [c.cl_ord_id for c in desk.act()] == [stop.cl_ord_id]


def test_old_endings_are_forgotten_and_open_ones_are_kept():
    desk = Desk()
    stop, entry = desk.act(intent())
    desk.says(stop.cl_ord_id, OrderState.REJECTED)
    desk.says(entry.cl_ord_id, OrderState.REJECTED)
    desk.says("by-hand", OrderState.WORKING)
    fresh = msgspec.structs.replace(intent(), prediction_id="later")
    desk.now += 60 * SECOND
    desk.act()
    kept = desk.act(fresh)
    for _ in range(2):  # a day is counted back from the answer before
        desk.now += 2 * DAY
        desk.orders.request_reconcile(desk.now)
        desk.answer(*(listed(c, OrderState.WORKING) for c in kept))
    assert sorted(desk.orders.state.orders) == sorted(c.cl_ord_id for c in kept)
    assert desk.orders.state.strangers == {}


def test_memory_is_plain_data_and_a_restored_manager_goes_on():
    desk = Desk()
    desk.long()
    bytes_ = msgspec.msgpack.encode(desk.orders.state)
    state = msgspec.msgpack.decode(bytes_, type=ExecutionState)
    assert msgspec.msgpack.encode(state) == bytes_
    again = Desk(state)
    again.portfolio = desk.portfolio
    assert again.act() == []
    assert [c.purpose for c in again.act(closing())] == [Purpose.EXIT]


def test_instruments_may_change_while_orders_rest():
    desk = Desk()
    desk.long("1", filled="0.4")
    desk.orders.on_instruments((msgspec.structs.replace(BTC, minimum_quantity=D(1)),))
    desk.now += 10 * SECOND
    assert desk.act() == []


def test_an_answer_that_is_slower_than_our_patience_still_ends_the_question():
    desk = Desk()
    desk.long()
    desk.now += 60 * SECOND
    asked = desk.orders.request_reconcile(desk.now)
    desk.now += 16 * SECOND
    assert desk.orders.needs_reconcile(desk.now, desk.portfolio)
    again = desk.orders.request_reconcile(desk.now, repeat=True)
    assert again.asked_at == asked.asked_at
    assert not desk.orders.needs_reconcile(desk.now + SECOND, desk.portfolio)
    desk.now += 10 * SECOND
    desk.answer(*resting(desk), positions=["1"], to=asked)
    assert not desk.orders.needs_reconcile(desk.now + 20 * SECOND, desk.portfolio)


def test_a_fill_from_a_long_outage_is_booked_once_whoever_tells_it_again():
    desk = Desk()
    stop, _, target = desk.long()
    desk.now += 60 * SECOND
    first = desk.orders.request_reconcile(desk.now)
    desk.answer(*resting(desk), positions=["1"], to=first)
    gone = execution(stop, "1", exec_id="T2", price="95", now=desk.now + 60 * SECOND)
    desk.now += 3 * DAY
    question = desk.orders.request_reconcile(desk.now)
    desk.now += SECOND
    newer = desk.orders.request_reconcile(desk.now)
    rows = (listed(stop, OrderState.FILLED, filled="1"), listed(target, OrderState.WORKING))
    desk.answer(*rows, fills=(gone,), to=question)
    assert desk.portfolio.positions == {}
    desk.answer(*rows, fills=(gone,), to=newer)
    assert desk.portfolio.positions == {}


def resting(desk):
    return [listed(o.submit, o.state) for o in desk.orders.state.orders.values() if not o.state.terminal]
