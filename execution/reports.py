"""Reports folded into what execution remembers, whatever the order and number of their arrival.

Must not know plans or the network. Called by execution.manager and execution.reconcile.
"""

from decimal import Decimal

import msgspec

from core.clock import MINUTE
from core.events import Fill, Notice, OrderUpdate, Severity, VenueOrder
from core.orders import Order, OrderState, Purpose
from execution.lifecycle import SAID, Happening, advance
from execution.state import ABSENT, ExecutionState, Refusals, Timing, lane

IN_A_ROW = MINUTE
"""Refusals further apart than this are separate incidents."""


class Applied(msgspec.Struct, frozen=True):
    """What one report or reconciliation means to the rest of the engine.

    `fills` are new and belong into the portfolio, in this order. `refused` are instruments whose
    entry the venue refused. `mismatches` are instruments whose position at the venue is not ours:
    a reason to halt. `doubtful` are those that one answer alone, or a fill on its way, makes differ.
    """

    fills: tuple[Fill, ...] = ()
    notices: tuple[Notice, ...] = ()
    refused: tuple[str, ...] = ()
    mismatches: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()


class Reporter:
    """Folds reports into one ExecutionState."""

    def __init__(self, state: ExecutionState, *, trader: str, timing: Timing) -> None:
        self._state = state
        self._trader = trader
        self._timing = timing

    def update(self, update: OrderUpdate) -> Applied:
        """Take what the venue says of one order; a stranger's is noticed once and left alone."""
        order = self._state.orders.get(update.cl_ord_id)
        if order is None:
            return self._stranger(update.cl_ord_id, update.ts, f"order {update.state.value}")
        return self._adopt(order, update, SAID[update.state], update.ts)

    def found(self, order: Order, answer: VenueOrder, now: int) -> Applied:
        """Take what a reconciliation query says of one of our orders."""
        happening = SAID[answer.state]
        return self._adopt(
            order, answer, Happening.FOUND if happening is Happening.ACCEPTED else happening, now
        )

    def stranger(self, order: VenueOrder, now: int) -> Applied:
        """Notice an order that is not ours."""
        text = f"{order.side.value} {order.quantity} {order.instrument} {order.state.value}"
        return self._stranger(order.cl_ord_id or order.order_id, now, text)

    def _adopt(self, order: Order, news: OrderUpdate | VenueOrder, happening: Happening, now: int) -> Applied:
        order.order_id = news.order_id or order.order_id
        order.quantity = order.quantity if news.quantity is None else news.quantity
        order.trigger_price = order.trigger_price if news.trigger_price is None else news.trigger_price
        order.limit_price = order.limit_price if news.limit_price is None else news.limit_price
        if news.filled is not None:
            order.filled = max(order.filled, news.filled)
        elif happening is Happening.FILLED:
            order.filled = max(order.filled, order.quantity)
        return self.move(order, happening, now, reason=news.reason)

    def move(self, order: Order, happening: Happening, now: int, *, reason: str) -> Applied:
        """Advance one order and note what follows from it."""
        before = order.state
        order.state = advance(before, happening)
        order.changed = now
        order.reason = reason or order.reason
        if order.state is before:
            return Applied()
        if order.state is OrderState.REJECTED:
            return self._refused(order, now)
        if order.state in {OrderState.CANCELED, OrderState.EXPIRED} and before is not OrderState.CANCELLING:
            return self._taken_away(order, now)
        if before.terminal and order.state is OrderState.WORKING:
            return Applied(notices=(self._notice(order, "order_resurrected", f"had been {before.value}"),))
        if order.state is OrderState.UNKNOWN:
            return Applied(notices=(self._notice(order, "order_unknown", order.reason),))
        return Applied()

    def fill(self, fill: Fill, now: int) -> Applied:
        """Book one execution unless it has been booked before; `now` is when it is known to be true."""
        if fill.exec_id in self._state.seen:
            return Applied()
        order = self._state.orders.get(fill.cl_ord_id)
        if order is None:
            text = f"{fill.side.value} {fill.quantity} {fill.instrument} at {fill.price}"
            return self._stranger(fill.cl_ord_id or fill.exec_id, now, text)
        self._state.seen[fill.exec_id] = fill.ts_event
        self._state.traded_at[fill.instrument] = max(now, fill.ts_event)
        order.order_id = order.order_id or fill.order_id
        order.booked += fill.quantity
        order.filled = max(order.filled, order.booked)
        complete = order.booked >= order.quantity
        applied = self.move(order, Happening.FILLED if complete else Happening.PART_FILLED, now, reason="")
        notices = applied.notices
        if order.booked > order.quantity:
            text = f"{order.booked} filled of {order.quantity}"
            notices += (self._notice(order, "overfill", text, Severity.CRITICAL),)
        return msgspec.structs.replace(applied, fills=(fill,), notices=notices)

    def _refused(self, order: Order, now: int) -> Applied:
        symbol = order.submit.instrument
        notice = self._notice(order, "order_refused", order.reason)
        if order.submit.purpose is Purpose.ENTRY:
            return Applied(notices=(notice,), refused=(symbol,))
        if order.reason != ABSENT:
            self._hold_back(order, now)
        return Applied(notices=(notice,))

    def _taken_away(self, order: Order, now: int) -> Applied:
        """Note an end that nobody here asked for; an entry's is how IOC orders end."""
        if order.submit.purpose is Purpose.ENTRY:
            return Applied()
        self._hold_back(order, now)
        return Applied(notices=(self._notice(order, "order_taken_away", order.reason),))

    def _hold_back(self, order: Order, now: int) -> None:
        key = lane(order.submit.instrument, order.submit.purpose)
        known = self._state.refusals.get(key)
        in_a_row = known is not None and now - known.last <= IN_A_ROW
        count = known.count + 1 if known is not None and in_a_row else 1
        self._state.refusals[key] = Refusals(count, now, now + self._timing.backoff(count))

    def _stranger(self, name: str, now: int, text: str) -> Applied:
        known = name in self._state.strangers
        self._state.strangers[name] = now
        if known:
            return Applied()
        notice = Notice(Severity.WARNING, "stranger", f"{name or 'no id'}: {text}; left alone", self._trader)
        return Applied(notices=(notice,))

    def _notice(self, order: Order, code: str, text: str, severity: Severity = Severity.WARNING) -> Notice:
        submit = order.submit
        words = f"{submit.purpose.value} {submit.cl_ord_id}: {text}"
        return Notice(severity, code, words, self._trader, submit.instrument)


def join(first: Applied, second: Applied) -> Applied:
    """Put two results after one another."""
    return Applied(
        first.fills + second.fills,
        first.notices + second.notices,
        first.refused + second.refused,
        first.mismatches + second.mismatches,
        first.doubtful + second.doubtful,
    )


def signed(fills: tuple[Fill, ...], instrument: str) -> Decimal:
    """Give the signed sum of fills on one instrument."""
    return sum((f.quantity * f.side.sign for f in fills if f.instrument == instrument), Decimal(0))
