"""The exchange model: every fill assumption of paper, backtest and loopback in one place.

Must not know who trades on it, wire formats, or wall time. Called by execution.paper, by
trader.backtest and by venue.loopback. Pure: the same calls give the same reports, bit for bit.

What it assumes: a request arrives `latency_ns` after it was sent. A taker gets the touch up to
its quantity; the rest of an IOC order is cancelled, of a limit order rests, of a market order
waits for the next quote. A resting limit order fills as maker when a trade prints strictly
through it, up to the printed quantity, or when a quote crosses it. Clients never meet each other.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from heapq import heappop, heappush
from typing import assert_never

import msgspec

from core.events import OrderUpdate, Reconciled, VenuePosition
from core.instrument import Instrument
from core.market import Quote, Trade
from core.orders import AmendOrder, CancelOrder, Order, OrderState, SubmitOrder, TimeInForce
from core.portfolio import Portfolio, Position
from venue import exchange_rules as rules
from venue.exchange_account import ExchangeAccount
from venue.exchange_market import Market
from venue.exchange_matching import Matcher
from venue.exchange_orders import (
    Change,
    ChangeKind,
    ExchangeOrder,
    FeeSchedule,
    Report,
    record,
    restored,
)


class _CancelAll(msgspec.Struct, frozen=True):
    account: str


class _CancelAllAfter(msgspec.Struct, frozen=True):
    account: str
    timeout_ns: int


class _SwitchFires(msgspec.Struct, frozen=True):
    account: str


class _Expires(msgspec.Struct, frozen=True):
    account: str
    order_id: str


_Happening = SubmitOrder | AmendOrder | CancelOrder | _CancelAll | _CancelAllAfter | _SwitchFires | _Expires


class Exchange:
    """A single-threaded exchange. `listener` sees every Change at the moment it happens."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        *,
        fees: FeeSchedule,
        latency_ns: int = 5_000_000,
        seed: int = 1,
        reduce_only_needs_position: bool = False,
        listener: Callable[[Change], None] | None = None,
    ) -> None:
        self.fees = fees
        self._core = Matcher(instruments, fees, listener, seed)
        self._latency_ns = latency_ns
        self._reduce_only_needs_position = reduce_only_needs_position
        self._agenda: list[tuple[int, int, _Happening]] = []
        self._requests = 0

    @property
    def now(self) -> int:
        """Market time as far as the exchange has heard."""
        return self._core.now

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """What is listed now."""
        return self._core.instruments

    # ---- accounts ----

    def open_account(self, account: str, cash: Decimal) -> None:
        """Create an account with `cash` of the quote currency."""
        self._core.accounts[account] = ExchangeAccount(account, Portfolio(cash=cash, peak_equity=cash))

    def adopt(
        self,
        account: str,
        cash: Decimal,
        positions: Iterable[VenuePosition],
        orders: Iterable[Order],
    ) -> None:
        """Restore an account that lived in an earlier process; `orders` are the working ones."""
        held = {p.instrument: Position(p.instrument, p.quantity, p.cost, self._core.now) for p in positions}
        self._core.accounts[account] = ExchangeAccount(account, Portfolio(cash=cash, positions=held))
        for order in orders:
            self._enter(restored(order, order.order_id or self._core.identifier("O")))

    def account(self, account: str) -> ExchangeAccount:
        """Give an account to read; raises InternalError if nobody opened it."""
        return self._core.account(account)

    def reconcile(self, account: str, asked: Sequence[str] = (), since: int | None = None) -> Reconciled:
        """Answer a RequestReconcile; without `since` no fills are listed."""
        book = self.account(account)
        orders = {order.order_id: order.view() for order in book.open.values()}
        for cl_ord_id in asked:
            if (found := book.find(cl_ord_id)) is not None:
                orders[found.order_id] = found.view()
        fills = () if since is None else tuple(f for f in book.fills if f.ts_event >= since)
        held = book.portfolio.positions.values()
        return Reconciled(
            ts=self._core.now,
            account=account,
            cash=book.portfolio.cash,
            positions=tuple(VenuePosition(p.instrument, p.quantity, p.cost) for p in held),
            orders=tuple(orders.values()),
            fills=fills,
        )

    def snapshot(self, account: str) -> Reconciled:
        """Give cash, positions and open orders as they are now."""
        return self.reconcile(account)

    # ---- requests: each gives the number that its Change will carry ----

    def submit(self, order: SubmitOrder, ts: int) -> int:
        """Send a new order at `ts`; the answer is among the reports once time has passed."""
        return self._post(order, ts + self._latency_ns)

    def amend(self, change: AmendOrder, ts: int) -> int:
        """Send new prices or a new total quantity for a working order."""
        return self._post(change, ts + self._latency_ns)

    def cancel(self, cancel: CancelOrder, ts: int) -> int:
        """Send a cancel by client order id."""
        return self._post(cancel, ts + self._latency_ns)

    def cancel_all(self, account: str, ts: int) -> int:
        """Send a cancel of every open order of an account."""
        return self._post(_CancelAll(account), ts + self._latency_ns)

    def cancel_all_after(self, account: str, timeout_ns: int, ts: int) -> int:
        """Set the dead man's switch; 0 clears it."""
        return self._post(_CancelAllAfter(account, timeout_ns), ts + self._latency_ns)

    # ---- time and market ----

    def next_due(self) -> int | None:
        """Give the market time of the next arrival, expiry or switch, if one is planned."""
        return self._agenda[0][0] if self._agenda else None

    def watches(self, instrument: str) -> bool:
        """Tell whether an open order waits for what the market of an instrument does."""
        return bool(self._core.market(instrument).orders)

    def advance(self, ts: int) -> list[Report]:
        """Let time pass up to and including `ts`; a `ts` in the past changes nothing."""
        agenda = self._agenda
        while agenda and agenda[0][0] <= ts:
            due, number, happening = heappop(agenda)
            self._core.now = max(self._core.now, due)
            self._perform(happening, number)
        self._core.now = max(self._core.now, ts)
        return self._core.drain()

    def on_quote(self, quote: Quote) -> list[Report]:
        """Take a new touch, after everything that was due before it."""
        reports = self.advance(quote.ts_event)
        market = self._core.market(quote.instrument)
        market.take_quote(quote)
        if market.orders:
            for order in market.by_priority():
                self._core.work(order, market, maker=True)
            reports += self._core.drain()
        return reports

    def on_trade(self, trade: Trade) -> list[Report]:
        """Take a print: it fires triggers and fills what it went through."""
        reports = self.advance(trade.ts_event)
        market = self._core.market(trade.instrument)
        market.last = trade.price
        if market.orders:
            left = trade.quantity
            for order in market.by_priority():
                if order.waits_for_trigger:
                    self._core.work(order, market, maker=False)
                else:
                    left -= self._core.print_through(order, trade.price, left)
            reports += self._core.drain()
        return reports

    def list_instrument(self, instrument: Instrument) -> None:
        """List an instrument, or replace its grid, minimum or status."""
        self._core.instruments[instrument.symbol] = instrument
        self._core.markets.setdefault(instrument.symbol, Market(instrument)).instrument = instrument

    # ---- what happens at the exchange ----

    def _perform(self, happening: _Happening, number: int) -> None:
        match happening:
            case SubmitOrder():
                self._arrive(happening, number)
            case AmendOrder():
                self._amend(happening, number)
            case CancelOrder():
                self._cancel(happening, number)
            case _CancelAll(account):
                self._cancel_everything(account, "User requested", number)
            case _CancelAllAfter():
                self._arm(happening, number)
            case _SwitchFires(account):
                book = self.account(account)
                if book.switch == self._core.now:  # else it was re-armed or cleared meanwhile
                    book.switch = None
                    self._cancel_everything(account, "CancelAllOrdersAfter Timeout", 0)
            case _Expires(account, order_id):
                if (order := self.account(account).open.get(order_id)) is not None:
                    self._core.close(order, OrderState.EXPIRED, "Expired")
            case _:
                assert_never(happening)

    def _arrive(self, submit: SubmitOrder, number: int) -> None:
        order = record(submit, self._core.identifier("O"), self._core.now)
        error = self._refusal(order)
        if error:
            order.state, order.reason = OrderState.REJECTED, error
            self._core.tell(ChangeKind.REJECTED, order, request=number, error=error)
            return
        self._enter(order)
        self._core.tell(ChangeKind.ACCEPTED, order, request=number)
        market = self._core.markets[submit.instrument]
        if submit.post_only and market.reachable(order) is not None:
            self._core.close(order, OrderState.CANCELED, "Post only order")
            return
        self._core.work(order, market, maker=False)
        if order.state is OrderState.WORKING and submit.time_in_force is TimeInForce.IOC:
            self._core.close(order, OrderState.CANCELED, "Immediate or cancel")

    def _refusal(self, order: ExchangeOrder) -> str:
        submit, account = order.submit, self.account(order.submit.account)
        instrument = self.instruments.get(submit.instrument)
        if instrument is None:
            return rules.UNKNOWN_PAIR
        if self._core.now > submit.deadline:
            return rules.DEADLINE
        if submit.cl_ord_id and account.uses(submit.cl_ord_id):
            return "EGeneral:Invalid arguments:cl_ord_id"
        touch = self._core.markets[submit.instrument].touch(submit.side)
        price = submit.limit_price or submit.trigger_price or (touch.price if touch else None)
        error = (
            rules.malformed(submit, instrument)
            or rules.market_closed(submit, instrument.status)
            or rules.too_small(submit, submit.quantity, price, instrument)
        )
        if error:
            return error
        if submit.reduce_only:
            flat = account.closable(submit.instrument, submit.side) == 0
            return rules.NO_POSITION if self._reduce_only_needs_position and flat else ""
        return "" if price is None else self._core.unaffordable(order, price, submit.quantity)

    def _amend(self, amend: AmendOrder, number: int) -> None:
        order = self.account(amend.account).find(amend.cl_ord_id)
        error = self._amend_refusal(amend, order)
        if order is None or error:
            self._refuse(amend.account, amend.cl_ord_id, order, number, error)
            return
        order.quantity = amend.quantity if amend.quantity is not None else order.quantity
        order.limit_price = amend.limit_price if amend.limit_price is not None else order.limit_price
        order.trigger_price = amend.trigger_price if amend.trigger_price is not None else order.trigger_price
        order.amended = True
        self._core.tell(ChangeKind.AMENDED, order, request=number)
        if order.remaining <= 0:  # documented: below what is filled, the rest is cancelled
            self._core.close(order, OrderState.CANCELED, "User requested")
            return
        market = self._core.markets[order.submit.instrument]
        if order.submit.post_only and market.reachable(order) is not None:
            self._core.close(order, OrderState.CANCELED, "Post only order")
            return
        self._core.work(order, market, maker=False)

    def _amend_refusal(self, amend: AmendOrder, order: ExchangeOrder | None) -> str:
        if order is None or order.state is not OrderState.WORKING:
            return rules.UNKNOWN_ORDER
        if self._core.now > amend.deadline:
            return rules.DEADLINE
        if (amend.limit_price is not None and order.limit_price is None) or (
            amend.trigger_price is not None and not order.waits_for_trigger
        ):
            return "EGeneral:Invalid arguments:price"
        instrument = self.instruments[order.submit.instrument]
        quantity = order.quantity if amend.quantity is None else amend.quantity
        price = amend.limit_price or amend.trigger_price or order.limit_price or order.trigger_price
        error = rules.off_grid(amend.limit_price, amend.trigger_price, instrument)
        if error or quantity <= order.filled:
            return error
        return rules.too_small(order.submit, quantity, price, instrument)

    def _cancel(self, cancel: CancelOrder, number: int) -> None:
        order = self.account(cancel.account).find(cancel.cl_ord_id)
        if order is None or order.state is not OrderState.WORKING:
            self._refuse(cancel.account, cancel.cl_ord_id, order, number, rules.UNKNOWN_ORDER)
            return
        self._core.close(order, OrderState.CANCELED, "User requested", request=number)

    def _refuse(
        self, account: str, cl_ord_id: str, order: ExchangeOrder | None, number: int, error: str
    ) -> None:
        core = self._core
        if order is not None:
            core.tell(ChangeKind.REFUSED, order, request=number, error=error)
            return
        core.notify(Change(core.now, ChangeKind.REFUSED, account, number, error=error))
        core.reports.append(OrderUpdate(core.now, account, cl_ord_id, OrderState.REJECTED, reason=error))

    def _cancel_everything(self, account: str, reason: str, number: int) -> None:
        orders = list(self.account(account).open.values())
        for order in orders:
            self._core.close(order, OrderState.CANCELED, reason)
        self._core.notify(Change(self._core.now, ChangeKind.CANCELED_ALL, account, number, count=len(orders)))

    def _arm(self, wish: _CancelAllAfter, number: int) -> None:
        book = self.account(wish.account)
        book.switch = self._core.now + wish.timeout_ns if wish.timeout_ns else None
        if book.switch is not None:
            self._post(_SwitchFires(wish.account), book.switch)
        self._core.notify(Change(self._core.now, ChangeKind.ARMED, wish.account, number))

    def marks(self, account: str) -> dict[str, Decimal]:
        """Give mid prices of the instruments that an account holds, where a quote is known."""
        return self._core.marks(self.account(account))

    def _enter(self, order: ExchangeOrder) -> None:
        self._core.enter(order)
        if order.submit.expires is not None:
            self._post(_Expires(order.submit.account, order.order_id), order.submit.expires)

    def _post(self, happening: _Happening, due: int) -> int:
        self._requests += 1
        heappush(self._agenda, (due, self._requests, happening))
        return self._requests
