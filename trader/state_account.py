"""One account as the page shows it: portfolio, working orders, fills, today's result.

Must not know the market or opinions. A part of trader.state, which feeds it and reads it.
The portfolio is folded here from fills, never asked from the engine.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TypeVar

import msgspec

from core.clock import DAY
from core.events import Fill, OrderUpdate, Reconciled, VenueOrder
from core.orders import AmendOrder, CancelOrder, Order, OrderState, OrderType, Purpose, Side, SubmitOrder
from core.portfolio import ZERO, Portfolio, Position, apply_fill, marked

KEPT_IDS = 4096
KEPT_FILLS = 400
V = TypeVar("V")


class OrderLine(msgspec.Struct, frozen=True):
    """One order on the page. `purpose` None means that it is not one of ours."""

    cl_ord_id: str
    trader: str
    instrument: str
    side: Side
    quantity: Decimal
    order_type: OrderType | None
    purpose: Purpose | None
    state: OrderState
    created: int
    filled: Decimal = ZERO
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    reason: str = ""


class FillLine(msgspec.Struct, frozen=True):
    """One fill and whose order it was."""

    fill: Fill
    trader: str
    purpose: Purpose | None


class AccountBoard:
    """Fold of everything that concerns one account."""

    def __init__(self, name: str, *, currency: str, cash: Decimal) -> None:
        self.name = name
        self.currency = currency
        self.portfolio = Portfolio(cash=cash, peak_equity=cash)
        self.reconciled = False
        self._recovered = False
        self.orders: dict[str, OrderLine] = {}
        self.fills: deque[FillLine] = deque(maxlen=KEPT_FILLS)
        self.holders: dict[str, str] = {}
        self._ours: OrderedDict[str, OrderLine] = OrderedDict()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._day = -1
        self._day_open = cash

    def on_recovered(
        self, portfolio: Portfolio, orders: Iterable[Order], *, day_equity: Decimal, ts: int
    ) -> None:
        """Take over what the journal knew when the last process ended."""
        self.portfolio = portfolio
        self._recovered = True
        if day_equity > 0:
            self._day, self._day_open = ts // DAY, day_equity
        for order in orders:
            self.on_submit(order.created, order.submit)
            key = order.submit.cl_ord_id
            self._change(key, order.state, order.quantity, order.limit_price, order.trigger_price)
            if order.state.terminal:
                del self.orders[key]

    # ---- commands ----

    def on_submit(self, ts: int, order: SubmitOrder) -> None:
        """Show an order as soon as it is asked for."""
        line = OrderLine(
            cl_ord_id=order.cl_ord_id,
            trader=order.trader,
            instrument=order.instrument,
            side=order.side,
            quantity=order.quantity,
            order_type=order.order_type,
            purpose=order.purpose,
            state=OrderState.SUBMITTING,
            created=ts,
            limit_price=order.limit_price,
            trigger_price=order.trigger_price,
        )
        self.orders[order.cl_ord_id] = line
        _remember(self._ours, order.cl_ord_id, line)
        if order.purpose is Purpose.ENTRY:
            self.holders[order.instrument] = order.trader

    def on_amend(self, order: AmendOrder) -> None:
        """Show what was asked for; the venue's answer corrects it."""
        self._change(order.cl_ord_id, None, order.quantity, order.limit_price, order.trigger_price)

    def on_cancel(self, order: CancelOrder) -> None:
        """Show that the order is on its way out."""
        self._change(order.cl_ord_id, OrderState.CANCELLING)

    # ---- reports ----

    def on_order(self, update: OrderUpdate) -> None:
        """Take the venue's word on one order."""
        key = update.cl_ord_id
        if update.state.terminal:
            self.orders.pop(key, None)
            return
        if key not in self.orders and key in self._ours:
            self.orders[key] = self._ours[key]
        self._change(key, update.state, update.quantity, update.limit_price, update.trigger_price)
        line = self.orders.get(key)
        if line is not None:
            filled = line.filled if update.filled is None else max(line.filled, update.filled)
            self.orders[key] = msgspec.structs.replace(line, filled=filled, reason=update.reason)

    def on_fill(self, fill: Fill) -> bool:
        """Fold a fill in, once; tells whether it was new."""
        if not self._record(fill):
            return False
        self.portfolio, _ = apply_fill(self.portfolio, fill)
        return True

    def on_reconciled(self, event: Reconciled, marks: Mapping[str, Decimal]) -> None:
        """Take the venue's cash, positions and orders for the truth.

        Fills that only arrive here are counted on the portfolio we had (fees, round trips) before
        the venue's figures replace the sums. On the very first answer there is nothing to count on.
        """
        for fill in event.fills:
            if self._record(fill) and self._recovered:
                self.portfolio, _ = apply_fill(self.portfolio, fill)
        held = self.portfolio.positions
        positions = {
            p.instrument: _adopted(held.get(p.instrument), p.instrument, p.quantity, p.cost, event.ts)
            for p in event.positions
            if p.quantity != 0
        }
        # What no fill explains (a deposit, rollover fees) is no result: peak and day move along.
        unexplained = event.cash - self.portfolio.cash
        self._day_open += unexplained
        peak = max(ZERO, self.portfolio.peak_equity + unexplained)
        self.portfolio = msgspec.structs.replace(
            self.portfolio, cash=event.cash, positions=positions, peak_equity=peak
        )
        self._adopt_orders(event)
        self.reconciled = True
        if not self._recovered:
            self._recovered = True
            equity = self.portfolio.equity(marks)
            self.portfolio = msgspec.structs.replace(self.portfolio, peak_equity=equity)
            self._day, self._day_open = event.ts // DAY, equity

    def on_time(self, ts: int, marks: Mapping[str, Decimal]) -> None:
        """Raise the high-water mark, and start a new day at 00:00 UTC."""
        self.portfolio = marked(self.portfolio, marks)
        if ts // DAY != self._day:
            self._day, self._day_open = ts // DAY, self.portfolio.equity(marks)

    # ---- answers ----

    def today(self, marks: Mapping[str, Decimal]) -> tuple[Decimal, float]:
        """Give the result since 00:00 UTC (or since the start, if later) and its fraction."""
        result = self.portfolio.equity(marks) - self._day_open
        return result, float(result / self._day_open) if self._day_open > 0 else 0.0

    def price_of(self, instrument: str, purpose: Purpose) -> Decimal | None:
        """Give the price of the working stop or target on an instrument."""
        for line in self.orders.values():
            if line.instrument == instrument and line.purpose is purpose:
                return line.trigger_price or line.limit_price
        return None

    def trader_of(self, instrument: str) -> str:
        """Name the trader who last entered the instrument."""
        return self.holders.get(instrument, "")

    # ---- inside ----

    def _record(self, fill: Fill) -> bool:
        if fill.exec_id in self._seen:
            return False
        _remember(self._seen, fill.exec_id, None)
        known = self._ours.get(fill.cl_ord_id)
        purpose = known.purpose if known else None
        self.fills.append(FillLine(fill, known.trader if known else "", purpose))
        self._fill_order(fill)
        return True

    def _fill_order(self, fill: Fill) -> None:
        line = self.orders.get(fill.cl_ord_id)
        if line is None:
            return
        done = sum((f.fill.quantity for f in self.fills if f.fill.cl_ord_id == fill.cl_ord_id), ZERO)
        if done >= line.quantity:
            del self.orders[fill.cl_ord_id]
        else:
            self.orders[fill.cl_ord_id] = msgspec.structs.replace(line, filled=max(done, line.filled))

    def _change(
        self,
        cl_ord_id: str,
        state: OrderState | None,
        quantity: Decimal | None = None,
        *prices: Decimal | None,
    ) -> None:
        line = self.orders.get(cl_ord_id)
        if line is None:
            return
        limit_price, trigger_price = prices or (None, None)
        self.orders[cl_ord_id] = msgspec.structs.replace(
            line,
            state=state or line.state,
            quantity=quantity or line.quantity,
            limit_price=limit_price or line.limit_price,
            trigger_price=trigger_price or line.trigger_price,
        )

    def _adopt_orders(self, event: Reconciled) -> None:
        told = {order.cl_ord_id or order.order_id: order for order in event.orders}
        # An own order that the question did not name is younger than the answer: it stays.
        self.orders = {
            k: v for k, v in self.orders.items() if k in self._ours and k not in told and k not in event.asked
        }
        for key, order in told.items():
            if not order.state.terminal:
                self.orders[key] = _line_of(key, order, self._ours.get(key), event.ts)


def _line_of(key: str, order: VenueOrder, known: OrderLine | None, ts: int) -> OrderLine:
    return OrderLine(
        cl_ord_id=key,
        trader=known.trader if known else "",
        instrument=order.instrument,
        side=order.side,
        quantity=order.quantity,
        order_type=known.order_type if known else None,
        purpose=known.purpose if known else None,
        state=order.state,
        created=known.created if known else ts,
        filled=order.filled,
        limit_price=order.limit_price,
        trigger_price=order.trigger_price,
        reason=order.reason,
    )


def _adopted(held: Position | None, instrument: str, quantity: Decimal, cost: Decimal, ts: int) -> Position:
    if held is None or held.quantity * quantity < 0:
        return Position(instrument, quantity, cost, ts)
    return msgspec.structs.replace(held, quantity=quantity, cost=cost)


def _remember(kept: OrderedDict[str, V], key: str, value: V) -> None:
    kept[key] = value
    while len(kept) > KEPT_IDS:
        kept.popitem(last=False)
