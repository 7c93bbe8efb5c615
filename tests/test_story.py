"""One day at the desk, event by event: the manual that runs.

Feeds the engine what a venue, a model and an operator would say and shows what it asks for.
Nothing here is asynchronous; nothing waits; time is what the events say.
"""

from decimal import Decimal

import pytest

from core.events import (
    Decisions,
    Fill,
    LinkChange,
    Operator,
    OrderUpdate,
    Reconciled,
    RequestOpinion,
    RequestReconcile,
    Stream,
    Timer,
    VenueOrder,
    VenuePosition,
    Verb,
)
from core.orders import AmendOrder, CancelOrder, OrderState, OrderType, Purpose, Side
from tests.day import BTC, Day, enter_long, listed, only, submits
from trader.desk import Desk


@pytest.fixture
def day() -> Day:
    started = Day()
    started.begin()
    started.link_up()
    started.reconcile()
    return started


def test_morning_asks_the_venue_before_anything_else():
    day = Day()
    assert day.begin() == []
    day.tell(LinkChange(day.after(1), Stream.PUBLIC, True))
    assert day.said == []
    day.tell(LinkChange(day.after(1), Stream.PRIVATE, True, account="main"))
    question = only(day.said, RequestReconcile)
    assert question == RequestReconcile("main", (), question.since, asked_at=day.now)


def test_no_entry_before_the_venue_has_answered():
    day = Day()
    day.begin()
    day.link_up()
    day.quote("59999.9", "60000.1")
    request = only(day.bar_closes(), RequestOpinion)
    assert isinstance(request, RequestOpinion)
    day.quote("59999.9", "60000.1")
    said = day.opine(request, up=0.7, down=0.1)
    decisions = only(said, Decisions)
    assert isinstance(decisions, Decisions)
    assert decisions.rows[0].rule == "not_reconciled"
    assert submits(said) == []


def test_an_opinion_becomes_a_stop_and_then_an_entry(day: Day):
    stop, entry = enter_long(day)
    assert (stop.purpose, stop.side, stop.order_type) == (Purpose.STOP, Side.SELL, OrderType.STOP_LOSS)
    assert stop.reduce_only
    assert stop.trigger_price is not None
    assert stop.trigger_price < Decimal(60000)
    assert (entry.purpose, entry.side) == (Purpose.ENTRY, Side.BUY)
    assert entry.after == stop.cl_ord_id
    assert entry.quantity == stop.quantity
    assert entry.cl_ord_id.startswith("SMDY")
    assert len(entry.cl_ord_id) <= 18


def test_a_fill_rests_a_take_profit_beside_the_stop(day: Day):
    stop, entry = enter_long(day)
    day.working(stop)
    said = day.filled(entry, price="60000.1", quantity=entry.quantity, exec_id="T1")
    target = submits(said)[-1]
    assert (target.purpose, target.side, target.reduce_only) == (Purpose.TARGET, Side.SELL, True)
    assert target.limit_price is not None
    assert target.limit_price > Decimal(60000)
    assert day.position() == entry.quantity


def test_the_same_fill_twice_counts_once(day: Day):
    stop, entry = enter_long(day)
    day.working(stop)
    day.filled(entry, price="60000.1", quantity=entry.quantity, exec_id="T1")
    day.filled(entry, price="60000.1", quantity=entry.quantity, exec_id="T1")
    assert day.position() == entry.quantity


def test_when_the_stop_fills_the_target_is_taken_back(day: Day):
    stop, entry = enter_long(day)
    day.working(stop)
    target = submits(day.filled(entry, price="60000.1", quantity=entry.quantity, exec_id="T1"))[-1]
    day.working(target)
    said = day.filled(stop, price="59000.0", quantity=entry.quantity, exec_id="T2")
    cancel = only(said, CancelOrder)
    assert isinstance(cancel, CancelOrder)
    assert cancel.cl_ord_id == target.cl_ord_id
    assert day.position() == 0
    assert day.desk.engines[0].state.portfolio.round_trips == 1


def test_a_partial_entry_shrinks_its_stop(day: Day):
    stop, entry = enter_long(day)
    day.working(stop)
    half = entry.quantity / 2
    half = listed().quantity_down(half)
    fill = Fill(
        day.after(0.01),
        "main",
        "T1",
        entry.cl_ord_id,
        "O2",
        BTC,
        Side.BUY,
        Decimal("60000.1"),
        half,
        Decimal("0.1"),
        maker=False,
        ts_event=day.now,
    )
    said = day.tell(fill)
    day.after(30)
    said = day.tell(
        OrderUpdate(
            day.now, "main", entry.cl_ord_id, OrderState.CANCELED, filled=half, reason="IOC remainder"
        )
    )
    amend = only(said, AmendOrder)
    assert isinstance(amend, AmendOrder)
    assert (amend.cl_ord_id, amend.quantity) == (stop.cl_ord_id, half)


def test_a_lost_answer_is_asked_for_and_never_sent_again(day: Day):
    stop, entry = enter_long(day)
    day.working(stop)
    day.tell(OrderUpdate(day.after(1), "main", entry.cl_ord_id, OrderState.UNKNOWN, reason="no answer"))
    day.after(30)
    day.quote("59999.9", "60000.1")
    question = only(day.tell(Timer(day.after(1))), RequestReconcile)
    assert isinstance(question, RequestReconcile)
    assert entry.cl_ord_id in question.asked
    # The venue has never had it: the entry is over, the stop is taken back, nothing is sent again.
    guard = VenueOrder(
        stop.cl_ord_id,
        "O1",
        BTC,
        stop.side,
        OrderState.WORKING,
        stop.quantity,
        Decimal(0),
        stop.trigger_price,
    )
    day.reconcile(orders=[guard])
    assert submits(day.said) == []
    cancel = only(day.said, CancelOrder)
    assert isinstance(cancel, CancelOrder)
    assert cancel.cl_ord_id == stop.cl_ord_id


def test_an_answer_to_an_old_question_proves_nothing_about_younger_orders(day: Day):
    """A slow venue answers what was asked before the stop existed: the stop is not thereby absent."""
    old = day.now
    stop, entry = enter_long(day)
    day.working(stop)
    day.filled(entry, price="60000.1", quantity=entry.quantity, exec_id="T1")
    day.after(600)
    day.quote("59999.9", "60000.1")
    question = only(day.tell(Timer(day.after(1))), RequestReconcile)
    assert isinstance(question, RequestReconcile)
    assert stop.cl_ord_id in question.asked
    held = VenuePosition(BTC, entry.quantity, entry.quantity * Decimal("60000.1"))
    cash = day.desk.engines[0].state.portfolio.cash
    said = day.tell(Reconciled(day.after(1), "main", cash, (held,), (), (), asked=(), asked_at=old))
    assert submits(said) == []
    state = day.desk.engines[0].state.execution.orders[stop.cl_ord_id].state
    assert state is OrderState.WORKING


def test_a_position_at_the_venue_that_is_not_ours_halts(day: Day):
    day.tell(LinkChange(day.after(1), Stream.PRIVATE, False, account="main", reason="gone"))
    day.tell(LinkChange(day.after(1), Stream.PRIVATE, True, account="main"))
    strange = VenuePosition(BTC, Decimal("0.5"), Decimal(30000))
    day.reconcile(positions=[strange])
    assert "main is not reconciled with the venue" in day.desk.engines[0].obstacles()
    day.after(30)
    only(day.tell(Timer(day.after(1))), RequestReconcile)
    day.reconcile(positions=[strange])
    assert any("halted" in reason for reason in day.desk.engines[0].obstacles())
    assert submits(day.said) == []


def test_flatten_closes_at_market_and_keeps_the_stop_until_flat(day: Day):
    stop, entry = enter_long(day)
    day.working(stop)
    target = submits(day.filled(entry, price="60000.1", quantity=entry.quantity, exec_id="T1"))[-1]
    day.working(target)
    said = day.tell(Operator(day.after(1), Verb.FLATTEN, "tester"))
    leave = submits(said)[-1]
    assert (leave.purpose, leave.order_type, leave.reduce_only) == (Purpose.EXIT, OrderType.MARKET, True)
    assert not [c for c in said if isinstance(c, CancelOrder) and c.cl_ord_id == stop.cl_ord_id]
    said = day.filled(leave, price="60000.0", quantity=entry.quantity, exec_id="T2")
    gone = {c.cl_ord_id for c in said if isinstance(c, CancelOrder)}
    assert stop.cl_ord_id in gone
    assert day.position() == 0


def test_the_same_day_twice_gives_the_same_state():
    states = []
    for _ in range(2):
        day = Day()
        day.begin()
        day.link_up()
        day.reconcile()
        stop, entry = enter_long(day)
        day.working(stop)
        day.filled(entry, price="60000.1", quantity=entry.quantity, exec_id="T1")
        states.append(day.desk.snapshot())
    assert states[0] == states[1]
    assert Desk.restore(states[0]).snapshot() == states[0]
