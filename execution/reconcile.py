"""Our memory compared with the venue's whole truth, after a start or a gap.

Must not know plans or the network. Called by execution.manager with the answer to its own request.

The rule for absence: an asked order that the venue does not know was never accepted, but that is
believed only if the question was put after the order's deadline had passed and settled.
"""

from collections.abc import Mapping
from decimal import Decimal

from core.clock import DAY
from core.events import Notice, Reconciled, Severity, VenueOrder
from core.instrument import Instrument
from core.orders import Order
from core.portfolio import Portfolio
from execution.lifecycle import Happening
from execution.reports import Applied, Reporter, join, signed
from execution.state import ABSENT, ZERO, ExecutionState, Timing, unfinished

FORGET = DAY
"""Ended orders and executions that are this much older than the last answer are forgotten."""


class Reconciler:
    """Applies one answer to one ExecutionState."""

    def __init__(
        self,
        state: ExecutionState,
        reporter: Reporter,
        *,
        trader: str,
        timing: Timing,
        instruments: Mapping[str, Instrument],
    ) -> None:
        self._state = state
        self._reporter = reporter
        self._trader = trader
        self._timing = timing
        self._instruments = instruments

    def apply(self, found: Reconciled, portfolio: Portfolio) -> Applied:
        """Adopt fills, then order states, then compare positions; the portfolio is as before."""
        asked_at = found.asked_at or self._state.open_since or self._state.reconciled_at
        asked = frozenset(found.asked if found.asked_at else self._state.asked)
        self._state.suspected, suspected = (), self._state.suspected
        self._state.crossed = ()
        applied = Applied()
        for fill in found.fills:
            applied = join(applied, self._reporter.fill(fill, asked_at))
        named = {order.cl_ord_id: order for order in found.orders if order.cl_ord_id}
        for name, known in list(self._state.orders.items()):
            answer = named.pop(name, None)
            applied = join(applied, self._settle(known, answer, asked_at, found.ts, name in asked))
        strangers = [*named.values(), *(order for order in found.orders if not order.cl_ord_id)]
        for order in strangers:
            applied = join(applied, self._reporter.stranger(order, found.ts))
        applied = join(applied, self._compare(found, portfolio, applied, asked_at, suspected))
        if not found.asked_at or found.asked_at >= self._state.asked_at:
            # An answer to an older question leaves the newer one open.
            self._state.asked, self._state.asked_at, self._state.open_since = (), 0, 0
        # Fills since the answer before this one may be told again, however long ago that was.
        self._forget(self._state.reconciled_at)
        self._state.reconciled_at = asked_at
        return applied

    def _settle(
        self, known: Order, answer: VenueOrder | None, asked_at: int, now: int, asked: bool
    ) -> Applied:
        """Bring one of our orders to what the venue says of it; `asked` = the question named it."""
        if known.created >= asked_at or known.changed > asked_at:
            # Younger than the question: the stream knows better than this answer.
            return Applied()
        if answer is not None:
            return self._reporter.found(known, answer, now)
        if asked and not known.state.terminal and asked_at > known.submit.deadline + self._timing.settle:
            return self._reporter.move(known, Happening.ABSENT, now, reason=ABSENT)
        return Applied()

    def _compare(
        self,
        found: Reconciled,
        portfolio: Portfolio,
        applied: Applied,
        asked_at: int,
        suspected: tuple[str, ...],
    ) -> Applied:
        """Report every position that differs from ours by more than half a lot, twice in a row."""
        theirs = {p.instrument: p.quantity for p in found.positions}
        notices: list[Notice] = []
        wrong: list[str] = []
        for symbol in sorted({*theirs, *portfolio.positions, *(f.instrument for f in applied.fills)}):
            ours = portfolio.quantity(symbol) + signed(applied.fills, symbol)
            apart = abs(theirs.get(symbol, ZERO) - ours)
            if apart <= self._tolerance(symbol):
                continue
            if self._state.traded_at.get(symbol, 0) > asked_at:
                # A fill crossed the question: the two pictures are of different moments.
                self._state.crossed += (symbol,)
                continue
            if symbol not in suspected:
                # One answer is not enough: its parts are read one after the other, and a fill in
                # between reaches us later than the position that it made.
                self._state.suspected += (symbol,)
                continue
            text = f"expected {ours}, the venue holds {theirs.get(symbol, ZERO)}"
            notices.append(Notice(Severity.CRITICAL, "position_mismatch", text, self._trader, symbol))
            wrong.append(symbol)
        doubtful = self._state.crossed + self._state.suspected
        return Applied(notices=tuple(notices), mismatches=tuple(wrong), doubtful=doubtful)

    def _tolerance(self, symbol: str) -> Decimal:
        instrument = self._instruments.get(symbol)
        return instrument.quantity_increment / 2 if instrument else ZERO

    def _forget(self, answered: int) -> None:
        horizon = answered - FORGET
        state = self._state
        state.orders = {
            name: order
            for name, order in state.orders.items()
            if unfinished(order) or order.changed > horizon or self._guards(order)
        }
        state.seen = {exec_id: ts for exec_id, ts in state.seen.items() if ts > horizon}
        state.strangers = {name: ts for name, ts in state.strangers.items() if ts > horizon}

    def _guards(self, order: Order) -> bool:
        intent = self._state.intents.get(order.submit.instrument)
        return intent is not None and intent.prediction_id == order.submit.prediction_id
