"""A manager, a portfolio and a clock for the tests of execution: no engine, no venue."""

from decimal import Decimal

from core.clock import SECOND
from core.events import Fill, Notice, OrderUpdate, Reconciled, VenueOrder, VenuePosition
from core.instrument import Instrument
from core.market import Quote
from core.orders import (
    Approved,
    OrderIntent,
    OrderState,
)
from core.portfolio import Portfolio, apply_fill
from execution.manager import OrderManager
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

    def act(self, *intents, entries_allowed=True, ready=True, proved=True):
        out = self.orders.on_intents([Approved(i) for i in intents], self.now, self.portfolio)
        out += self.orders.replan(
            self.now,
            self.portfolio,
            {SYMBOL: self.quote},
            entries_allowed=entries_allowed,
            ready=ready,
            proved=proved,
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

    def answer(self, *orders, positions=(), fills=(), to=None):
        found = Reconciled(
            ts=self.now,
            account="paper",
            cash=self.portfolio.cash,
            positions=tuple(VenuePosition(SYMBOL, D(q), D(100)) for q in positions),
            orders=orders,
            fills=fills,
            asked=to.asked if to else (),
            asked_at=to.asked_at if to else 0,
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
