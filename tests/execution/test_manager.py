"""The order manager against a small venue that loses, repeats and reorders what it says."""

from decimal import Decimal

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.clock import SECOND
from core.events import Fill, Notice, OrderUpdate, Reconciled, VenueOrder, VenuePosition
from core.instrument import Instrument
from core.market import Quote
from core.orders import (
    AmendOrder,
    Approved,
    CancelOrder,
    OrderIntent,
    OrderState,
    Purpose,
    Side,
    SubmitOrder,
)
from core.portfolio import Portfolio, apply_fill
from execution.manager import OrderManager, base36
from execution.planner import counts, effective
from execution.state import ExecutionState, Timing

D = Decimal
SYMBOL = "BTC/USDT"
BTC = Instrument(
    symbol=SYMBOL,
    base="BTC",
    quote="USDT",
    price_increment=D("0.1"),
    quantity_increment=D("0.001"),
    price_precision=1,
    quantity_precision=3,
    minimum_quantity=D("0.001"),
    minimum_cost=D("5"),
    max_leverage=5,
)
START = 1_700_000_000 * SECOND
QUOTE = Quote(SYMBOL, START, D("99.9"), D("100.1"), D(10), D(10))


def manager(state=None, timing=None):
    orders = OrderManager(
        "paper",
        "five",
        code="A1",
        instruments={SYMBOL: BTC},
        state=state or ExecutionState(),
        timing=timing or Timing(),
    )
    orders.on_session(START // SECOND)
    return orders


def intent(target="1", *, stop="95", take_profit="110", reason="long"):
    return OrderIntent(
        trader="five",
        instrument=SYMBOL,
        target=D(target),
        stop=D(stop),
        take_profit=D(take_profit),
        entry_limit=D("100.2") if D(target) > 0 else D("99.8"),
        expires=START + 20 * SECOND,
        prediction_id="p1",
        reason=reason,
    )


def closing():
    return OrderIntent("five", SYMBOL, D(0), D(0), D(0), D(0), START, "p2", "close")


class Desk:
    """A manager, a portfolio and a clock: what the engine does with them, in a few lines."""

    def __init__(self, state=None):
        self.orders = manager(state)
        self.portfolio = Portfolio(cash=D(10_000))
        self.now = START
        self.quote = QUOTE
        self.sent = []
        self.notices = []

    def act(self, *intents, entries_allowed=True, ready=True):
        out = self.orders.on_intents([Approved(i) for i in intents], self.now, self.portfolio)
        out += self.orders.replan(
            self.now,
            self.portfolio,
            {SYMBOL: self.quote},
            entries_allowed=entries_allowed,
            ready=ready,
        )
        commands = [c for c in out if not isinstance(c, Notice)]
        self.notices += [c for c in out if isinstance(c, Notice)]
        self.sent += commands
        return commands

    def tell(self, report):
        applied = self.orders.on_report(report)
        self.adopt(applied)
        return applied

    def adopt(self, applied):
        self.notices += applied.notices
        for fill in applied.fills:
            self.portfolio, _ = apply_fill(self.portfolio, fill)

    def says(self, cl_ord_id, state, **fields):
        return self.tell(OrderUpdate(self.now, "paper", cl_ord_id, state, **fields))

    def fills(self, submit, quantity, *, exec_id="T1", price="100"):
        return self.tell(execution(submit, quantity, exec_id=exec_id, price=price, now=self.now))

    def answer(self, *orders, positions=(), fills=()):
        found = Reconciled(
            ts=self.now,
            account="paper",
            cash=self.portfolio.cash,
            positions=tuple(VenuePosition(SYMBOL, D(q), D(100)) for q in positions),
            orders=orders,
            fills=fills,
        )
        applied = self.orders.on_reconciled(found, self.portfolio)
        self.adopt(applied)
        return applied

    def long(self, quantity="1", filled=None):
        """Open a long whose stop and target rest."""
        stop, entry = self.act(intent(quantity))
        self.says(stop.cl_ord_id, OrderState.WORKING)
        self.says(entry.cl_ord_id, OrderState.WORKING)
        self.fills(entry, filled or quantity)
        if filled:
            self.says(entry.cl_ord_id, OrderState.CANCELED, filled=D(filled))
        (*_, target) = self.act()
        self.says(target.cl_ord_id, OrderState.WORKING)
        return stop, entry, target

    def order(self, submit):
        return self.orders.state.orders[submit.cl_ord_id]

    def codes(self):
        return [notice.code for notice in self.notices]


def execution(submit, quantity, *, exec_id, price, now):
    return Fill(
        ts=now,
        account="paper",
        exec_id=exec_id,
        cl_ord_id=submit.cl_ord_id,
        order_id="O1",
        instrument=submit.instrument,
        side=submit.side,
        price=D(price),
        quantity=D(quantity),
        fee=D(0),
        maker=False,
        ts_event=now,
    )


def listed(submit, state, *, filled="0", reason=""):
    return VenueOrder(
        cl_ord_id=submit.cl_ord_id,
        order_id="O1",
        instrument=submit.instrument,
        side=submit.side,
        state=state,
        quantity=submit.quantity,
        filled=D(filled),
        reason=reason,
    )


# ---- entering ----


def test_an_entry_leaves_behind_the_stop_that_guards_it():
    stop, entry = Desk().act(intent("1"))
    assert (stop.purpose, stop.side, stop.reduce_only, stop.trigger_price) == (
        Purpose.STOP,
        Side.SELL,
        True,
        D(95),
    )
    assert (entry.purpose, entry.side, entry.reduce_only, entry.limit_price) == (
        Purpose.ENTRY,
        Side.BUY,
        False,
        D("100.2"),
    )
    assert entry.after == stop.cl_ord_id
    assert entry.margin
    assert stop.margin
    assert stop.quantity == entry.quantity == 1
    assert START < stop.deadline <= entry.deadline


def test_a_short_is_the_mirror_of_a_long():
    stop, entry = Desk().act(intent("-1", stop="105", take_profit="90"))
    assert (stop.side, entry.side, stop.trigger_price) == (Side.BUY, Side.SELL, D(105))


def test_ids_are_short_ascii_and_never_repeat_over_sessions():
    first = Desk()
    names = [c.cl_ord_id for c in first.act(intent())]
    again = Desk(first.orders.state)  # restarted within the same second
    again.portfolio = first.portfolio
    for name in names:
        again.says(name, OrderState.REJECTED)
    names += [c.cl_ord_id for c in again.act(intent())]
    assert len(set(names)) == 4
    assert all(len(n) <= 18 and n.isascii() and n.startswith("SMA1") for n in names)


def test_base36_counts_with_letters():
    assert [base36(n) for n in (0, 35, 36, 36**5)] == ["0", "Z", "10", "100000"]


def test_nothing_is_planned_twice():
    desk = Desk()
    assert len(desk.act(intent())) == 2
    assert desk.act() == []


def test_an_entry_is_never_retried():
    desk = Desk()
    stop, entry = desk.act(intent())
    desk.says(stop.cl_ord_id, OrderState.WORKING)
    applied = desk.says(entry.cl_ord_id, OrderState.REJECTED, reason="EOrder:Insufficient margin")
    assert applied.refused == (SYMBOL,)
    (cancel,) = desk.act()
    assert cancel == CancelOrder("paper", "five", stop.cl_ord_id, SYMBOL)


def test_an_intent_that_meets_a_position_is_dropped():
    desk = Desk()
    desk.long()
    assert desk.act(intent()) == []
    assert desk.codes() == ["intent_dropped"]


def test_entries_are_taken_back_when_brakes_are_on():
    desk = Desk()
    _, entry = desk.act(intent())
    (cancel,) = desk.act(entries_allowed=False)
    assert cancel.cl_ord_id == entry.cl_ord_id
    assert desk.act(entries_allowed=False) == []
    desk.now += 4 * SECOND
    assert len(desk.act(entries_allowed=False)) == 1  # the cancel may have been lost


def test_an_entry_whose_stop_died_is_abandoned():
    desk = Desk()
    stop, entry = desk.act(intent())
    desk.says(stop.cl_ord_id, OrderState.REJECTED, reason="EOrder:Trigger price")
    (cancel,) = desk.act()
    assert cancel.cl_ord_id == entry.cl_ord_id


def test_nothing_is_asked_while_the_venue_is_out_of_reach():
    desk = Desk()
    stop, *_ = desk.long()
    desk.says(stop.cl_ord_id, OrderState.CANCELED)
    assert desk.act(ready=False) == []
    assert [c.purpose for c in desk.act()] == [Purpose.STOP]


# ---- protecting ----


def test_a_filled_entry_gets_its_target_and_keeps_its_stop():
    desk = Desk()
    stop, _, target = desk.long()
    assert (target.purpose, target.side, target.limit_price, target.reduce_only) == (
        Purpose.TARGET,
        Side.SELL,
        D(110),
        True,
    )
    assert desk.order(stop).state is OrderState.WORKING
    assert desk.act() == []


def test_a_trade_without_target_has_none():
    desk = Desk()
    stop, entry = desk.act(intent(take_profit="0"))
    desk.says(stop.cl_ord_id, OrderState.WORKING)
    desk.fills(entry, "1")
    assert desk.act() == []


def test_a_partial_entry_shrinks_its_stop_once():
    desk = Desk()
    stop, entry = desk.act(intent("1"))
    desk.says(stop.cl_ord_id, OrderState.WORKING)
    desk.fills(entry, "0.4")
    desk.says(entry.cl_ord_id, OrderState.CANCELED, filled=D("0.4"))
    amend, target = desk.act()
    assert isinstance(amend, AmendOrder)
    assert (amend.cl_ord_id, amend.quantity, target.quantity) == (stop.cl_ord_id, D("0.4"), D("0.4"))
    assert desk.act() == []
    desk.says(stop.cl_ord_id, OrderState.WORKING, quantity=D("0.4"))
    desk.now += 10 * SECOND
    desk.says(target.cl_ord_id, OrderState.WORKING)
    assert desk.act() == []


def test_an_amend_without_effect_is_asked_again_after_settling():
    desk = Desk()
    desk.long("1", filled="0.4")
    assert desk.act() == []
    desk.now += 4 * SECOND
    (amend,) = desk.act()
    assert isinstance(amend, AmendOrder)


def test_dust_is_left_under_the_stop_that_rests():
    desk = Desk()
    _, _, target = desk.long("1", filled="0.001")
    assert target.quantity == D("0.05")  # the smallest order worth 5 USDT
    assert not [c for c in desk.sent if isinstance(c, AmendOrder)]


def test_fills_reported_before_their_details_count_already():
    desk = Desk()
    stop, entry = desk.act(intent())
    desk.says(stop.cl_ord_id, OrderState.WORKING)
    desk.says(entry.cl_ord_id, OrderState.FILLED, filled=D(1))
    assert [c.purpose for c in desk.act()] == [Purpose.TARGET]  # and the stop is not taken away
    desk.fills(entry, "1")
    assert desk.act() == []


def test_filled_without_a_figure_means_all_of_it():
    desk = Desk()
    stop, entry = desk.act(intent())
    desk.says(stop.cl_ord_id, OrderState.WORKING)
    desk.says(entry.cl_ord_id, OrderState.FILLED)
    assert desk.order(entry).filled == 1


def test_a_fill_before_its_acknowledgement_leads_to_the_same_place():
    one, other = Desk(), Desk()
    for desk, order in ((one, (0, 1, 2)), (other, (2, 1, 0))):
        stop, entry = desk.act(intent())
        news = (
            OrderUpdate(START, "paper", stop.cl_ord_id, OrderState.WORKING),
            OrderUpdate(START, "paper", entry.cl_ord_id, OrderState.FILLED, filled=D(1)),
            execution(entry, "1", exec_id="T1", price="100", now=START),
        )
        for index in order:
            desk.tell(news[index])
            desk.tell(news[index])
        desk.act()
    assert one.orders.state == other.orders.state
    assert one.portfolio == other.portfolio


def test_a_stop_taken_away_is_placed_again_at_once():
    desk = Desk()
    stop, *_ = desk.long()
    desk.says(stop.cl_ord_id, OrderState.CANCELED, reason="User requested")
    (again,) = desk.act()
    assert (again.purpose, again.quantity, again.trigger_price) == (Purpose.STOP, D(1), D(95))
    assert again.cl_ord_id != stop.cl_ord_id
    assert desk.codes() == ["order_taken_away"]


def test_a_stop_that_is_taken_away_for_ever_is_not_placed_in_a_storm():
    desk = Desk()
    stop, *_ = desk.long()
    for _ in range(60):
        desk.says(stop.cl_ord_id, OrderState.CANCELED)
        placed = [c for c in desk.act() if isinstance(c, SubmitOrder)]
        stop = placed[0] if placed else stop
        desk.now += SECOND // 10
    assert len(desk.sent) < 10
    assert any(c.purpose is Purpose.EXIT for c in desk.sent if isinstance(c, SubmitOrder))


def test_price_through_a_missing_stop_closes_at_market():
    desk = Desk()
    stop, *_ = desk.long()
    desk.says(stop.cl_ord_id, OrderState.CANCELED)
    desk.quote = Quote(SYMBOL, START, D("94.9"), D("95.1"), D(1), D(1))
    (exit_order,) = desk.act()
    assert (exit_order.purpose, exit_order.side, exit_order.reduce_only) == (Purpose.EXIT, Side.SELL, True)
    assert "leaving" in desk.codes()
    assert desk.act() == []


def test_a_stop_refused_twice_closes_at_market():
    desk = Desk()
    stop, *_ = desk.long()
    desk.says(stop.cl_ord_id, OrderState.CANCELED)
    (again,) = desk.act()
    desk.says(again.cl_ord_id, OrderState.REJECTED, reason="EOrder:no")
    (exit_order,) = desk.act()
    assert exit_order.purpose is Purpose.EXIT


def test_an_unproved_stop_is_doubled_after_its_deadline_and_halved_when_it_shows_up():
    desk = Desk()
    stop, *_ = desk.long()
    desk.says(stop.cl_ord_id, OrderState.UNKNOWN)
    desk.now += 10 * SECOND
    (second,) = desk.act()
    assert second.purpose is Purpose.STOP
    desk.says(second.cl_ord_id, OrderState.WORKING)
    desk.says(stop.cl_ord_id, OrderState.WORKING)
    (cancel,) = desk.act()
    assert isinstance(cancel, CancelOrder)
    assert cancel.cl_ord_id == second.cl_ord_id


def test_flat_cancels_every_guard_once():
    desk = Desk()
    stop, _, target = desk.long()
    desk.fills(stop, "1", exec_id="T2", price="95")
    (cancel,) = desk.act()
    assert cancel.cl_ord_id == target.cl_ord_id
    assert desk.act() == []
    desk.says(target.cl_ord_id, OrderState.CANCELED)
    assert desk.act() == []
    assert desk.orders.busy(desk.portfolio) == frozenset()


def test_late_fill_after_everything_was_cancelled_is_guarded_again():
    desk = Desk()
    stop, entry = desk.act(intent())
    desk.says(stop.cl_ord_id, OrderState.WORKING)
    desk.says(entry.cl_ord_id, OrderState.CANCELED)
    desk.act()
    desk.says(stop.cl_ord_id, OrderState.CANCELED)
    desk.act()
    desk.fills(entry, "0.5")
    placed = desk.act()
    assert [(c.purpose, c.quantity) for c in placed] == [(Purpose.STOP, D("0.5")), (Purpose.TARGET, D("0.5"))]


# ---- leaving ----


def test_a_close_leaves_at_market_and_the_stop_rests_until_flat():
    desk = Desk()
    desk.long()
    (exit_order,) = desk.act(closing())
    assert (exit_order.purpose, exit_order.quantity) == (Purpose.EXIT, D(1))
    assert desk.act() == []
    desk.fills(exit_order, "1", exec_id="T9")
    assert all(isinstance(c, CancelOrder) for c in desk.act())


def test_a_refused_exit_is_tried_again_with_growing_pauses():
    desk = Desk()
    desk.long()
    (exit_order,) = desk.act(closing())
    count = 1
    for _ in range(300):
        desk.says(exit_order.cl_ord_id, OrderState.REJECTED, reason="EService:Busy")
        placed = desk.act()
        if placed:
            (exit_order,) = placed
            count += 1
        desk.now += SECOND // 10
    assert 4 <= count <= 9


def test_an_unproved_exit_is_repeated_only_after_its_deadline():
    desk = Desk()
    desk.long()
    (exit_order,) = desk.act(closing())
    desk.says(exit_order.cl_ord_id, OrderState.UNKNOWN)
    desk.now += 4 * SECOND
    assert desk.act() == []
    desk.now += 2 * SECOND
    assert [c.purpose for c in desk.act()] == [Purpose.EXIT]


def test_an_overfill_that_turned_the_position_is_closed():
    desk = Desk()
    _, entry, _ = desk.long()
    desk.fills(entry, "0.5", exec_id="T5")
    assert "overfill" in desk.codes()
    desk.now += 10 * SECOND
    assert [c.purpose for c in desk.act() if isinstance(c, SubmitOrder)] == [Purpose.STOP]
    wrong = Desk()
    stop, *_ = wrong.long()
    wrong.fills(stop, "1.5", exec_id="T6")
    exits = [c for c in wrong.act() if isinstance(c, SubmitOrder)]
    assert [(c.purpose, c.side, c.quantity) for c in exits] == [(Purpose.EXIT, Side.BUY, D("0.5"))]


# ---- reconciling ----


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
    assert desk.orders.needs_reconcile(desk.now)
    desk.orders.request_reconcile(desk.now)
    assert not desk.orders.needs_reconcile(desk.now)
    applied = desk.answer()
    assert desk.order(entry).state is desk.order(stop).state is OrderState.REJECTED
    assert applied.refused == (SYMBOL,)
    assert desk.orders.unresolved() == ()
    assert not desk.orders.needs_reconcile(desk.now + 60 * SECOND)


def test_an_answer_never_judges_an_order_that_is_younger_than_the_question():
    desk = Desk()
    desk.orders.request_reconcile(desk.now)
    stop, _ = desk.act(intent())
    desk.now += 60 * SECOND
    desk.answer()
    assert desk.order(stop).state is OrderState.SUBMITTING


def test_a_question_asked_again_is_judged_by_the_older_time():
    desk = Desk()
    _, entry = desk.act(intent())
    desk.now += SECOND
    desk.orders.request_reconcile(desk.now)
    desk.now += 20 * SECOND
    assert desk.orders.needs_reconcile(desk.now)
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


def test_a_position_that_is_not_ours_is_reported():
    desk = Desk()
    desk.now += 10 * SECOND
    desk.orders.request_reconcile(desk.now)
    applied = desk.answer(positions=["3"])
    assert applied.mismatches == (SYMBOL,)
    assert desk.codes() == ["position_mismatch"]


def test_a_fill_that_crosses_the_question_is_compared_next_time():
    desk = Desk()
    stop, entry = desk.act(intent())
    desk.says(stop.cl_ord_id, OrderState.WORKING)
    desk.orders.request_reconcile(desk.now)
    desk.now += SECOND
    desk.fills(entry, "1")
    assert desk.answer().mismatches == ()
    desk.now += 10 * SECOND
    assert desk.orders.needs_reconcile(desk.now)
    desk.orders.request_reconcile(desk.now)
    assert desk.answer(positions=["2"]).mismatches == (SYMBOL,)


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
    assert desk.orders.needs_reconcile(desk.now)
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
    desk.now += 2 * 86_400 * SECOND
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


# ---- everything at once ----


class World(RuleBasedStateMachine):
    """A venue that keeps its own truth; requests and reports travel in any order, or not at all."""

    def __init__(self):
        super().__init__()
        self.desk = Desk()
        self.requests = []
        self.reports = []
        self.venue = {}
        self.position = D(0)
        self.executions = []
        self.names = set()
        self.largest = D(0)

    # what the desk does

    def step(self, *intents):
        desk = self.desk
        commands = desk.act(*intents)
        for command in commands:
            if isinstance(command, SubmitOrder):
                assert command.cl_ord_id not in self.names
                self.names.add(command.cl_ord_id)
                assert command.reduce_only is (command.purpose is not Purpose.ENTRY)
        self.requests += commands
        assert desk.act() == []
        self.check_cover()

    def check_cover(self):
        desk = self.desk
        book = list(desk.orders.state.orders.values())
        held = effective(desk.portfolio.quantity(SYMBOL), book)
        if held == 0:
            return
        relied = [o for o in book if counts(o, desk.now, Timing().settle) and o.submit.side.sign * held < 0]
        stops = sum((o.remaining for o in relied if o.submit.purpose is Purpose.STOP), D(0))
        leaving = any(o.submit.purpose is Purpose.EXIT for o in relied)
        held_back = any(r.retry_at > desk.now for r in desk.orders.state.refusals.values())
        assert stops >= abs(held) or leaving or held_back, f"{held} is naked"

    @initialize(long=st.booleans(), share=st.sampled_from([None, "0.25", "1"]))
    def begin(self, long, share):
        """Start with an entry under way, or with a position after a fair start."""
        self.enter(long)
        if share:
            self.calm()
            self.execute(next(n for n, r in self.venue.items() if not r["submit"].reduce_only), share)

    @rule()
    def calm(self):
        """For a moment nothing is lost or late."""
        sent, self.requests = self.requests, []
        for command in sent:
            self.arrive(command, "ok")
        news, self.reports = self.reports, []
        for report in news:
            self.desk.tell(msgspec.structs.replace(report, ts=self.desk.now))
        self.step()

    def idle(self):
        desk = self.desk
        return SYMBOL not in desk.orders.busy(desk.portfolio) and not desk.portfolio.quantity(SYMBOL)

    @precondition(idle)
    @rule(long=st.booleans())
    def enter(self, long):
        self.largest = D(1)
        wanted = intent("1") if long else intent("-1", stop="105", take_profit="90")
        self.step(wanted)

    @rule()
    def close(self):
        self.step(closing())

    @rule(seconds=st.sampled_from([0.1, 1, 4, 20]))
    def wait(self, seconds):
        self.desk.now += int(seconds * SECOND)
        self.step()

    # what happens to requests on their way

    def pick(self, data):
        return self.requests.pop(data.draw(st.integers(0, len(self.requests) - 1)))

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), fate=st.sampled_from(["ok", "ok", "ok", "ack lost", "lost", "refused"]))
    def travel(self, data, fate):
        command = self.pick(data)
        if fate != "lost":
            self.arrive(command, fate)
        if fate in {"lost", "ack lost"}:
            self.say(command.cl_ord_id, OrderState.UNKNOWN)

    def arrive(self, command, fate):
        name = command.cl_ord_id
        if isinstance(command, SubmitOrder):
            guard = self.venue.get(command.after)
            unguarded = command.after and (guard is None or guard["state"] is not OrderState.WORKING)
            if fate == "refused" or unguarded or self.desk.now > command.deadline:
                self.say(name, OrderState.REJECTED)
                return
            self.venue[name] = {
                "submit": command,
                "state": OrderState.WORKING,
                "filled": D(0),
                "quantity": command.quantity,
            }
        elif name in self.venue and self.venue[name]["state"] is OrderState.WORKING and fate != "refused":
            if isinstance(command, CancelOrder):
                self.venue[name]["state"] = OrderState.CANCELED
            else:
                self.venue[name]["quantity"] = command.quantity
        if fate != "ack lost":
            self.report(name)

    def say(self, name, state, **fields):
        self.reports.append(OrderUpdate(self.desk.now, "paper", name, state, **fields))

    def report(self, name):
        row = self.venue.get(name)
        if row:
            self.say(name, row["state"], filled=row["filled"], quantity=row["quantity"])

    # what happens at the venue

    def live(self):
        return [n for n, row in sorted(self.venue.items()) if row["state"] is OrderState.WORKING]

    @precondition(lambda self: self.live())
    @rule(data=st.data(), share=st.sampled_from(["0.25", "0.5", "1"]), tell=st.booleans())
    def fill(self, data, share, tell):
        live = self.live()
        entries = [n for n in live if not self.venue[n]["submit"].reduce_only]
        self.execute(data.draw(st.sampled_from(entries or live)), share, tell=tell)

    def execute(self, name, share, *, tell=True):
        row = self.venue[name]
        submit = row["submit"]
        quantity = min(D(share), row["quantity"] - row["filled"])
        if submit.reduce_only:
            room = abs(self.position) if self.position * submit.side.sign < 0 else D(0)
            quantity = min(quantity, room)
            if quantity == 0:
                row["state"] = OrderState.CANCELED
                self.report(name)
                return
        if quantity <= 0:
            return
        before = self.position
        self.position += quantity * submit.side.sign
        assert before * self.position >= 0, "flipped"
        assert abs(self.position) <= self.largest
        row["filled"] += quantity
        done = row["filled"] >= row["quantity"]
        row["state"] = OrderState.FILLED if done else row["state"]
        fill = execution(submit, quantity, exec_id=f"T{len(self.executions)}", price="100", now=self.desk.now)
        self.executions.append(fill)
        if tell:
            self.reports.append(fill)
            self.report(name)

    @precondition(lambda self: self.live())
    @rule(data=st.data())
    def end(self, data):
        """IOC ends, a hand or the venue takes an order away."""
        name = data.draw(st.sampled_from(self.live()))
        self.venue[name]["state"] = OrderState.CANCELED
        self.report(name)

    # what happens to reports on their way

    @precondition(lambda self: self.reports)
    @rule(data=st.data(), twice=st.booleans())
    def deliver(self, data, twice):
        report = self.reports.pop(data.draw(st.integers(0, len(self.reports) - 1)))
        if twice:
            self.reports.append(report)
        self.desk.tell(msgspec.structs.replace(report, ts=self.desk.now))
        self.step()

    @precondition(lambda self: self.desk.orders.needs_reconcile(self.desk.now))
    @rule()
    def reconcile(self):
        self.ask()
        self.step()

    def ask(self):
        desk = self.desk
        request = desk.orders.request_reconcile(desk.now)
        rows = tuple(
            msgspec.structs.replace(
                listed(row["submit"], row["state"], filled=str(row["filled"])), quantity=row["quantity"]
            )
            for name, row in sorted(self.venue.items())
            if row["state"] is OrderState.WORKING or name in request.asked
        )
        positions = [str(self.position)] if self.position else []
        applied = desk.answer(*rows, positions=positions, fills=tuple(self.executions))
        assert applied.mismatches == ()

    @invariant()
    def every_exec_is_booked_once(self):
        desk = self.desk
        booked = sum(
            (f.quantity * f.side.sign for f in self.executions if f.exec_id in desk.orders.state.seen), D(0)
        )
        assert desk.portfolio.quantity(SYMBOL) == booked

    def teardown(self):
        """Faults off: within a minute the two sides agree and the position is guarded or gone."""
        desk = self.desk
        for _ in range(60):
            self.reports, late = [], self.reports
            for report in late:
                desk.tell(msgspec.structs.replace(report, ts=desk.now))
            self.step()
            sent, self.requests = self.requests, []
            for command in sent:
                self.arrive(command, "ok")
            for name in self.live():
                row = self.venue[name]
                if row["submit"].purpose is Purpose.ENTRY:
                    row["state"] = OrderState.CANCELED  # immediate or cancel
                    self.report(name)
                elif row["submit"].purpose is Purpose.EXIT:
                    self.execute(name, "2")  # at market
            desk.now += 2 * SECOND
            if desk.orders.needs_reconcile(desk.now):
                self.ask()
        self.ask()
        assert desk.portfolio.quantity(SYMBOL) == self.position
        live = [row for row in self.venue.values() if row["state"] is OrderState.WORKING]
        if self.position == 0:
            assert live == []
            assert desk.orders.busy(desk.portfolio) == frozenset()
        else:
            relied = {Purpose.STOP, Purpose.EXIT}
            cover = sum((r["quantity"] - r["filled"] for r in live if r["submit"].purpose in relied), D(0))
            assert cover >= abs(self.position)
        super().teardown()


TestWorld = World.TestCase
TestWorld.settings = settings(
    max_examples=300, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
