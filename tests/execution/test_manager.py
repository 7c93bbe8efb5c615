"""The order manager, one story after the other: entering, protecting, leaving."""

from core.clock import SECOND
from core.events import OrderUpdate
from core.market import Quote
from core.orders import (
    AmendOrder,
    CancelOrder,
    OrderState,
    Purpose,
    Side,
    SubmitOrder,
)
from execution.manager import base36
from tests.execution.order_desk import START, SYMBOL, D, Desk, closing, execution, intent

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


def test_a_target_refused_twice_is_tried_again_after_its_pause_while_the_stop_rests():
    desk = Desk()
    stop, entry = desk.act(intent())
    desk.says(stop.cl_ord_id, OrderState.WORKING)
    desk.says(entry.cl_ord_id, OrderState.WORKING)
    desk.fills(entry, "1")
    for _ in range(2):
        (target,) = desk.act()
        desk.says(target.cl_ord_id, OrderState.REJECTED, reason="EService:Busy")
    assert desk.act() == []
    desk.now += 2 * SECOND
    (again,) = desk.act()
    assert (again.purpose, again.quantity) == (Purpose.TARGET, D(1))


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


# ---- while the venue's truth cannot be read ----


def test_unproved_only_what_cannot_open_or_turn_a_position_is_asked():
    desk = Desk()
    stop, _, target = desk.long()
    desk.says(stop.cl_ord_id, OrderState.CANCELED)
    desk.says(target.cl_ord_id, OrderState.CANCELED)
    (again,) = desk.act(proved=False)
    assert (again.purpose, again.reduce_only, again.quantity) == (Purpose.STOP, True, 1)
    (leave,) = desk.act(closing(), proved=False)
    assert (leave.purpose, leave.reduce_only) == (Purpose.EXIT, True)
    assert desk.act(proved=False) == []


def test_unproved_an_entry_is_taken_back_and_a_guard_is_not():
    desk = Desk()
    stop, entry = desk.act(intent())
    desk.says(stop.cl_ord_id, OrderState.WORKING)
    desk.says(entry.cl_ord_id, OrderState.WORKING)
    (cancel,) = desk.act(entries_allowed=False, proved=False)
    assert cancel == CancelOrder("paper", "five", entry.cl_ord_id, SYMBOL)
    desk.says(entry.cl_ord_id, OrderState.CANCELED)
    # It may have filled before that: the stop stays until the venue has been read.
    assert desk.act(proved=False) == []
    (spare,) = desk.act()
    assert spare == CancelOrder("paper", "five", stop.cl_ord_id, SYMBOL)


def test_unproved_nothing_is_resized():
    desk = Desk()
    stop, entry = desk.act(intent("1"))
    desk.says(stop.cl_ord_id, OrderState.WORKING)
    desk.fills(entry, "0.4")
    desk.says(entry.cl_ord_id, OrderState.CANCELED, filled=D("0.4"))
    assert desk.act(proved=False) == []
    assert {type(one) for one in desk.act()} == {AmendOrder, SubmitOrder}
