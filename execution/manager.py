"""The order manager: approved intents in, commands out, reports folded in between.

Must not know sockets, models or why an intent was approved. Called by the engine alone, which is
the only one to change the portfolio: `on_report` and `on_reconciled` say which fills are new.

Entries are emitted once, with their stop, and never again. Everything else is `replan`: after each
event the venue is made equal to the intent, and nothing is asked twice.
"""

from collections.abc import Mapping, Sequence
from typing import assert_never

from core.events import Fill, Notice, OrderUpdate, Reconciled, RequestReconcile, Severity
from core.instrument import Instrument
from core.market import Quote
from core.orders import (
    AmendOrder,
    Approved,
    CancelOrder,
    Order,
    OrderIntent,
    OrderState,
    OrderType,
    Purpose,
    Side,
    SubmitOrder,
    TimeInForce,
)
from core.portfolio import Portfolio
from execution.lifecycle import Happening, advance
from execution.planner import Draft, Leave, Place, Resize, Situation, Withdraw, plan
from execution.reconcile import Reconciler
from execution.reports import Applied, Reporter
from execution.state import ZERO, ExecutionState, Timing, lane, unfinished

Commands = list[SubmitOrder | AmendOrder | CancelOrder | Notice]
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
OVERLAP = 60_000_000_000
"""Fills are asked for again from this long (ns) before the last answer; exec_ids sort it out."""


class OrderManager:
    """One account's orders. All memory is in `state`; the indexes beside it are rebuilt from it."""

    def __init__(
        self,
        account: str,
        trader: str,
        *,
        code: str,
        instruments: Mapping[str, Instrument],
        state: ExecutionState,
        timing: Timing = Timing(),  # noqa: B008 - frozen
    ) -> None:
        self.state = state
        self._account = account
        self._trader = trader
        self._code = code
        self._instruments = dict(instruments)
        self._timing = timing
        self._reporter = Reporter(state, trader=trader, timing=timing)
        self._reconciler = Reconciler(
            state, self._reporter, trader=trader, timing=timing, instruments=self._instruments
        )
        self._books: dict[str, list[Order]] = {}
        self._calm: set[str] = set()
        """Instruments of which no plan can differ from the last until news of them comes (see _is_calm)."""
        self._index()

    def on_session(self, seconds: int) -> None:
        """Begin a process: ids start with its time in seconds, made larger than any before."""
        self.state.session = max(seconds, self.state.session + 1)
        self.state.counter = 0

    def on_instruments(self, instruments: Sequence[Instrument]) -> None:
        """Learn of changed grids, minimums or status."""
        self._instruments.update({i.symbol: i for i in instruments})

    def on_intents(
        self, intents: Sequence[Approved[OrderIntent]], now: int, portfolio: Portfolio
    ) -> Commands:
        """Take over intents. An entry leaves here, once, right behind the stop that guards it.

        A close is carried out by the next `replan`. An entry that meets a position or orders of
        its own is dropped with a notice: netting is decided by risk, never here.
        """
        commands: Commands = []
        for approved in intents:
            intent = approved.value
            symbol = intent.instrument
            self._calm.discard(symbol)
            if intent.target == 0:
                self.state.intents[symbol] = intent
                self._books.setdefault(symbol, [])
            elif portfolio.quantity(symbol) != 0 or any(map(unfinished, self._books.get(symbol, ()))):
                reason = "orders or a position are in the way"
                commands.append(self._notice("intent_dropped", reason, symbol))
            else:
                commands += self._enter(intent, now)
        return commands

    def on_report(self, report: OrderUpdate | Fill) -> Applied:
        """Fold one report in; only the fills that come back are new."""
        if isinstance(report, Fill):
            applied = self._reporter.fill(report, report.ts)
        else:
            applied = self._reporter.update(report)
        self._wake(report.cl_ord_id)
        return applied

    def request_reconcile(self, now: int, *, repeat: bool = False) -> RequestReconcile:
        """Ask for the venue's whole truth: at a start, after a gap, or when `needs_reconcile`.

        A `repeat` of an open question stays that question: an answer that is always slower than
        our patience would otherwise never be the one that is waited for.
        """
        self.state.asked = tuple(sorted(name for name, o in self.state.orders.items() if unfinished(o)))
        self.state.open_since = self.state.open_since or now
        self.state.asked_at = (repeat and self.state.asked_at) or now
        self.state.put_at = now
        since = self.state.reconciled_at - OVERLAP if self.state.reconciled_at else now
        return RequestReconcile(self._account, self.state.asked, since, asked_at=self.state.asked_at)

    def needs_reconcile(self, now: int, portfolio: Portfolio) -> bool:
        """Tell whether something is unproved, or uncompared, for too long and not being asked.

        Follows from state alone, not from the books: those of a restored manager are fuller until
        its first plan, and it must ask exactly when the one that it was would have asked.
        """
        state, timing = self.state, self._timing
        if state.asked_at:
            return now - state.put_at > timing.ask_again
        if now - state.reconciled_at <= timing.settle:
            return False
        if now - state.reconciled_at > timing.poll and (
            portfolio.positions or any(map(unfinished, state.orders.values()))
        ):
            return True
        doubtful = (self._is_doubtful(order, now) for book in self._books.values() for order in book)
        return bool(state.crossed or state.suspected) or any(doubtful)

    def on_reconciled(self, found: Reconciled, portfolio: Portfolio) -> Applied:
        """Adopt the venue's truth; `portfolio` is as before the fills that come back."""
        applied = self._reconciler.apply(found, portfolio)
        self._index()
        return applied

    def unresolved(self) -> tuple[str, ...]:
        """Give the ids of orders whose outcome is not proved, sorted."""
        orders = (order for book in self._books.values() for order in book)
        return tuple(sorted(o.submit.cl_ord_id for o in orders if o.state is OrderState.UNKNOWN))

    def busy(self, portfolio: Portfolio) -> frozenset[str]:
        """Give the instruments where nothing new may begin: something is under way or unproved.

        Guards that rest for an open position do not count; left over from a closed one they do.
        """
        if len(self._calm) == len(self._books):
            return frozenset()
        return frozenset(
            symbol
            for symbol, book in self._books.items()
            if symbol not in self._calm
            and any(_is_busy(order, flat=portfolio.quantity(symbol) == 0) for order in book)
        )

    def replan(
        self,
        now: int,
        portfolio: Portfolio,
        quotes: Mapping[str, Quote],
        *,
        entries_allowed: bool,
        ready: bool = True,
        proved: bool = True,
    ) -> Commands:
        """Make the venue equal the intents. Not `ready` (no link) asks nothing.

        Not `proved` (the venue's truth could not be read since the last gap) asks only what is
        right whatever became of the rest: reduce-only stops and exits of known positions, which
        cannot open or turn one, and cancels of entries.
        """
        if not ready:
            return []
        commands: Commands = []
        if len(self._calm) == len(self._books):  # all of them: a calm instrument always has a book
            return commands
        for symbol in sorted(self._books.keys() - self._calm):
            position = portfolio.quantity(symbol)
            book = self._books[symbol]
            if position == 0 and not any(unfinished(order) for order in book):
                del self._books[symbol]
                continue
            stop = self.state.refusals.get(lane(symbol, Purpose.STOP))
            situation = Situation(
                instrument=self._instruments[symbol],
                now=now,
                position=position,
                quote=quotes.get(symbol),
                intent=self.state.intents.get(symbol),
                orders=book,
                entries_allowed=entries_allowed,
                settle=self._timing.settle,
                held_back=self._held_back(symbol, now),
                stop_refusals=stop.count if stop else 0,
            )
            wanted = plan(situation)
            if not wanted and _is_calm(situation):
                self._calm.add(symbol)
            drafts = [draft for draft in wanted if proved or self._only_protects(draft)]
            commands += [self._carry_out(draft, symbol, now) for draft in drafts]
        return commands

    def _only_protects(self, draft: Draft) -> bool:
        match draft:
            case Place(purpose):
                return purpose in {Purpose.STOP, Purpose.EXIT}
            case Withdraw(cl_ord_id):
                return self.state.orders[cl_ord_id].submit.purpose is Purpose.ENTRY
            case Leave():
                return True
            case _:
                return False

    def _held_back(self, symbol: str, now: int) -> frozenset[Purpose]:
        refusals = self.state.refusals
        keys = ((p, lane(symbol, p)) for p in (Purpose.STOP, Purpose.TARGET, Purpose.EXIT))
        return frozenset(p for p, key in keys if key in refusals and now < refusals[key].retry_at)

    def _enter(self, intent: OrderIntent, now: int) -> Commands:
        symbol = intent.instrument
        self.state.intents[symbol] = intent
        for purpose in Purpose:
            self.state.refusals.pop(lane(symbol, purpose), None)
        self._books[symbol] = []
        side = Side.BUY if intent.target > 0 else Side.SELL
        quantity = abs(intent.target)
        guard = Place(Purpose.STOP, side.opposite, quantity, OrderType.STOP_LOSS, trigger_price=intent.stop)
        stop = self._submit(guard, symbol, now)
        wish = Place(Purpose.ENTRY, side, quantity, OrderType.LIMIT, limit_price=intent.entry_limit)
        return [stop, self._submit(wish, symbol, now, after=stop.cl_ord_id)]

    def _carry_out(
        self, draft: Draft, symbol: str, now: int
    ) -> SubmitOrder | AmendOrder | CancelOrder | Notice:
        match draft:
            case Place():
                return self._submit(draft, symbol, now)
            case Resize(cl_ord_id, quantity):
                order = self.state.orders[cl_ord_id]
                order.amended = now  # its quantity stays what the venue has confirmed
                deadline = now + self._timing.deadline(order.submit.purpose)
                return AmendOrder(
                    self._account, self._trader, cl_ord_id, symbol, deadline=deadline, quantity=quantity
                )
            case Withdraw(cl_ord_id):
                order = self.state.orders[cl_ord_id]
                order.state, order.changed = advance(order.state, Happening.CANCEL_SENT), now
                return CancelOrder(self._account, self._trader, cl_ord_id, symbol)
            case Leave(reason):
                return self._leave(symbol, reason)
            case _:
                assert_never(draft)

    def _submit(self, draft: Place, symbol: str, now: int, *, after: str = "") -> SubmitOrder:
        submit = SubmitOrder(
            account=self._account,
            trader=self._trader,
            cl_ord_id=self._next_id(),
            instrument=symbol,
            side=draft.side,
            quantity=draft.quantity,
            order_type=draft.order_type,
            purpose=draft.purpose,
            time_in_force=TimeInForce.IOC if draft.purpose is Purpose.ENTRY else TimeInForce.GTC,
            deadline=now + self._timing.deadline(draft.purpose),
            limit_price=draft.limit_price,
            trigger_price=draft.trigger_price,
            reduce_only=draft.purpose is not Purpose.ENTRY,
            after=after,
            prediction_id=self.state.intents[symbol].prediction_id,
        )
        order = Order(
            submit=submit,
            state=OrderState.SUBMITTING,
            created=now,
            quantity=draft.quantity,
            trigger_price=draft.trigger_price,
            limit_price=draft.limit_price,
            changed=now,
        )
        self.state.orders[submit.cl_ord_id] = order
        self._books[symbol].append(order)
        return submit

    def _leave(self, symbol: str, reason: str) -> Notice:
        intent = self.state.intents[symbol]
        self.state.intents[symbol] = OrderIntent(
            trader=intent.trader,
            instrument=symbol,
            target=ZERO,
            stop=intent.stop,
            take_profit=ZERO,
            entry_limit=ZERO,
            expires=intent.expires,
            prediction_id=intent.prediction_id,
            reason=reason,
        )
        return self._notice("leaving", f"{reason}; closing at market", symbol, Severity.CRITICAL)

    def _next_id(self) -> str:
        self.state.counter += 1
        return f"SM{self._code}{base36(self.state.session)}{base36(self.state.counter).rjust(5, '0')}"

    def _is_doubtful(self, order: Order, now: int) -> bool:
        settle = self._timing.settle
        match order.state:
            case OrderState.UNKNOWN:
                return True
            case OrderState.SUBMITTING:
                return now > order.submit.deadline + settle
            case OrderState.CANCELLING:
                return now - order.changed > settle
            case _:
                return order.booked < order.filled and now - order.changed > settle

    def _wake(self, cl_ord_id: str) -> None:
        """Bring an instrument back into planning when news of an old order arrives."""
        order = self.state.orders.get(cl_ord_id)
        if order is not None:
            self._calm.discard(order.submit.instrument)
            book = self._books.setdefault(order.submit.instrument, [])
            if not any(known is order for known in book):
                book.append(order)

    def _index(self) -> None:
        """Plan what may still move; instruments that turn out to be idle leave at the next plan."""
        self._calm.clear()
        self._books = {symbol: [] for symbol in self.state.intents}
        for order in self.state.orders.values():
            if unfinished(order):
                self._books.setdefault(order.submit.instrument, []).append(order)

    def _notice(self, code: str, text: str, symbol: str, severity: Severity = Severity.WARNING) -> Notice:
        return Notice(severity, code, text, self._trader, symbol)


def _is_calm(situation: Situation) -> bool:
    """Tell whether a plan that asks nothing stays so whatever the time and the quote.

    It does where a position of the intended side is guarded by resting orders of its very size, and by
    nothing that is on its way or held back: what else a plan looks at comes with a report or an intent.
    """
    intent, held = situation.intent, situation.position
    guards = [order for order in situation.orders if unfinished(order)]
    return (
        intent is not None
        and intent.target * held > 0
        and not situation.held_back
        and any(order.submit.purpose is Purpose.STOP for order in guards)
        and all(
            order.state is OrderState.WORKING
            and order.submit.purpose in {Purpose.STOP, Purpose.TARGET}
            and order.submit.side.sign * held < 0
            and order.booked == order.filled
            and order.remaining == abs(held)
            for order in guards
        )
    )


def _is_busy(order: Order, *, flat: bool) -> bool:
    guards = order.state is OrderState.WORKING and order.submit.purpose in {Purpose.STOP, Purpose.TARGET}
    return unfinished(order) and (flat or not guards)


def base36(number: int) -> str:
    """Write a number with 0-9 and A-Z."""
    text = ""
    while True:
        number, rest = divmod(number, 36)
        text = DIGITS[rest] + text
        if not number:
            return text
