"""The exchange model: every fill assumption of paper, backtest and loopback in one place.

Must not know who trades on it, wire formats, or wall time. Called by execution.paper, by
trader.backtest and by venue.loopback. Pure: the same calls give the same reports, bit for bit.

What it assumes: a request travels for a while (venue.exchange_latency). A taker gets the touch up to
its quantity; the rest of an IOC order is cancelled, of a limit order rests, of a market order
waits for the next quote. A resting limit order fills as maker when a trade prints strictly
through it, up to the printed quantity, or when a quote crosses it; where the rules keep a queue also at
its own price, behind what stood there first. Where they know impact, a large taker pays more than the
touch. Clients never meet each other.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from heapq import heappop, heappush
from typing import Final, assert_never

import msgspec

from core.events import Reconciled, VenuePosition
from core.instrument import Instrument
from core.market import Quote, Trade
from core.orders import AmendOrder, CancelOrder, Order, OrderState, SubmitOrder
from core.portfolio import Portfolio, Position
from venue.exchange_account import ExchangeAccount
from venue.exchange_latency import Latency
from venue.exchange_margin import Lender
from venue.exchange_market import Market
from venue.exchange_matching import Matcher
from venue.exchange_orders import Change, ChangeKind, ExchangeOrder, FeeSchedule, Report, restored
from venue.exchange_positions import MarginPosition, TradeBalance
from venue.exchange_requests import EditOrder, NewOrder, Requests
from venue.exchange_settings import PLAIN_RULES, ExchangeRules
from venue.exchange_terms import PLAIN, Terms

NOBODY: Final = frozenset[str]()


class _Amend(msgspec.Struct, frozen=True):
    change: AmendOrder
    terms: Terms


class _Batch(msgspec.Struct, frozen=True):
    orders: tuple[NewOrder, ...]
    numbers: tuple[int, ...]


class _CancelAll(msgspec.Struct, frozen=True):
    account: str


class _CancelAllAfter(msgspec.Struct, frozen=True):
    account: str
    timeout_ns: int


class _SwitchFires(msgspec.Struct, frozen=True):
    account: str


class _Starts(msgspec.Struct, frozen=True):
    account: str
    order_id: str


class _Expires(msgspec.Struct, frozen=True):
    account: str
    order_id: str


class _Rolls(msgspec.Struct, frozen=True):
    account: str
    position_id: str


_Request = NewOrder | _Batch | _Amend | EditOrder | CancelOrder | _CancelAll | _CancelAllAfter
_Timer = _SwitchFires | _Starts | _Expires | _Rolls
_Happening = _Request | _Timer


class Exchange:
    """A single-threaded exchange. `listener` sees every Change at the moment it happens."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        *,
        fees: FeeSchedule,
        latency_ns: int = 5_000_000,
        latency_sigma: float = 0.0,
        seed: int = 1,
        rules: ExchangeRules = PLAIN_RULES,
        listener: Callable[[Change], None] | None = None,
    ) -> None:
        self.fees = fees
        self.rules = rules
        self._core = Matcher(instruments, fees, rules, listener, seed)
        self._requests = Requests(self._core, self._timed)
        self._lender = None if rules.margin is None else Lender(self._core, rules.margin, self._rolls)
        self._latency = Latency(latency_ns, latency_sigma, seed)
        self._agenda: list[tuple[int, int, _Happening]] = []
        self._posted = 0

    @property
    def now(self) -> int:
        """Market time as far as the exchange has heard."""
        return self._core.now

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """What is listed now."""
        return self._core.instruments

    @property
    def system(self) -> str:
        """The trading mode of the whole exchange, as the status channel tells it."""
        return self._core.system

    # ---- accounts ----

    def open_account(self, account: str, cash: Decimal) -> None:
        """Create an account with `cash` of the quote currency."""
        self._core.open_account(account, Portfolio(cash=cash, peak_equity=cash))

    def adopt(
        self,
        account: str,
        cash: Decimal,
        positions: Iterable[VenuePosition],
        orders: Iterable[Order],
        ts: int = 0,
    ) -> None:
        """Restore an account that lived in an earlier process, at `ts`; `orders` are the working ones.

        Its positions roll over a whole period from now, for nobody remembers when they last did.
        """
        self._core.now, positions = max(self._core.now, ts), tuple(positions)
        held = {p.instrument: Position(p.instrument, p.quantity, p.cost, self._core.now) for p in positions}
        book = self._core.open_account(account, Portfolio(cash=cash, positions=held))
        if self._lender is not None:
            self._lender.adopt(book, positions)
        for order in orders:
            restored_order = restored(order, order.order_id or self._core.identifier("O"))
            self._core.enter(restored_order)
            self._timed(restored_order)

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
        fills = () if since is None else book.fills_since(since)
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

    def trade_balance(self, account: str) -> TradeBalance:
        """Give an account's margin figures at the present quotes."""
        book = self.account(account)
        return book.trade_balance(self._core.instruments, self._core.marks(book))

    def margin_called(self, account: str) -> bool:
        """Tell whether an account is under margin call; never without margin rules."""
        return self._lender is not None and self._lender.called(self.account(account))

    # ---- requests: each gives the number that its Change will carry ----

    def submit(self, order: SubmitOrder, ts: int, terms: Terms = PLAIN) -> int:
        """Send a new order at `ts`; the answer is among the reports once time has passed."""
        return self._send(NewOrder(order, terms), ts, order.cl_ord_id)

    def submit_together(self, orders: Sequence[NewOrder], ts: int) -> tuple[int, ...]:
        """Send a batch of new orders on one instrument; each has an answer of its own."""
        numbers = tuple(self._number() for _ in orders)
        first = orders[0].submit.cl_ord_id if orders else ""
        self._send(_Batch(tuple(orders), numbers), ts, first)
        return numbers

    def check(self, order: SubmitOrder, terms: Terms = PLAIN) -> str:
        """Give the error text that an order would meet now, and place nothing (`validate`)."""
        return self._requests.trial(NewOrder(order, terms))

    def amend(self, change: AmendOrder, ts: int, terms: Terms = PLAIN) -> int:
        """Send new prices or a new total quantity for a working order."""
        return self._send(_Amend(change, terms), ts, f"amend {change.cl_ord_id}")

    def edit(self, change: EditOrder, ts: int) -> int:
        """Send the replacement of a working order by a new one."""
        return self._send(change, ts, f"edit {change.key}")

    def cancel(self, cancel: CancelOrder, ts: int) -> int:
        """Send a cancel by client order id or order id."""
        return self._send(cancel, ts, f"cancel {cancel.cl_ord_id}")

    def cancel_all(self, account: str, ts: int) -> int:
        """Send a cancel of every open order of an account."""
        return self._send(_CancelAll(account), ts, f"cancel all {account}")

    def cancel_all_after(self, account: str, timeout_ns: int, ts: int) -> int:
        """Set the dead man's switch; 0 clears it."""
        return self._send(_CancelAllAfter(account, timeout_ns), ts, f"switch {account}")

    def set_system(self, mode: str) -> None:
        """Change the mode of the whole exchange: online, cancel_only, post_only or maintenance.

        Nothing matches unless it is online. A switch that lapsed during maintenance fires when
        the engine is back: https://docs.kraken.com/api/docs/websocket-v2/cancel_after.
        """
        self._core.system = mode
        if mode != "maintenance":
            for book in self._core.accounts.values():
                if book.switch is not None and book.switch <= self._core.now:
                    self._fire(book)

    # ---- time and market ----

    def next_due(self) -> int | None:
        """Give the market time of the next arrival, expiry or switch, if one is planned."""
        return self._agenda[0][0] if self._agenda else None

    def watches(self, instrument: str) -> bool:
        """Tell whether an open order waits for what the market of an instrument does.

        Loans do not: the newest quote tells whether they must be liquidated.
        """
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

    def on_quote(self, quote: Quote, later: frozenset[str] = NOBODY) -> list[Report]:
        """Take a new touch, after everything that was due before it.

        Targets of the accounts `later` do not fill at it: inside a bar their bad extreme comes first.
        """
        reports = self.advance(quote.ts_event)
        core = self._core
        market = core.market(quote.instrument)
        market.take_quote(quote)
        if market.orders and core.system == "online":
            for order in market.by_priority():
                if later and order.limited and order.submit.reduce_only and order.submit.account in later:
                    continue
                core.work(order, market, maker=True)
                if self.rules.queue and order.state is OrderState.WORKING:
                    market.queue(order, anew=False)
            if core.owed or core.opened:
                self._follow_up()
        if self._lender is not None and core.system == "online":
            self._lender.watch(quote.instrument)
        if core.reports:
            reports += core.drain()
        return reports

    def dry_up(self, instrument: str) -> None:
        """Know that nobody trades an instrument any more: nothing fills until its next quote."""
        self._core.market(instrument).dry_up()

    def on_trade(self, trade: Trade) -> list[Report]:
        """Take a print: it fires triggers and fills what it went through."""
        reports = self.advance(trade.ts_event)
        core = self._core
        market = core.market(trade.instrument)
        market.last = trade.price
        if market.orders and core.system == "online":
            left = trade.quantity
            for order in market.by_priority():
                if order.waits_for_trigger:
                    core.work(order, market, maker=False)
                else:
                    left -= core.print_through(order, trade, left)
            if core.owed or core.opened:
                self._follow_up()
        if core.reports:
            reports += core.drain()
        return reports

    def list_instrument(self, instrument: Instrument) -> None:
        """List an instrument, or replace its grid, minimum or status."""
        self._core.instruments[instrument.symbol] = instrument
        self._core.markets.setdefault(instrument.symbol, Market(instrument)).instrument = instrument

    def marks(self, account: str) -> dict[str, Decimal]:
        """Give mid prices of what an account holds, where a quote is known."""
        return self._core.marks(self.account(account))

    # ---- what happens at the exchange ----

    def _perform(self, happening: _Happening, number: int) -> None:
        if isinstance(happening, _Timer):
            self._ring(happening)
        else:
            self._serve(happening, number)
        self._follow_up()

    def _serve(self, request: _Request, number: int) -> None:
        match request:
            case NewOrder():
                self._requests.arrive(request, number)
            case _Batch(orders, numbers):
                self._requests.arrive_together(orders, numbers)
            case _Amend(change, terms):
                self._requests.amend(change, terms, number)
            case EditOrder():
                self._requests.edit(request, number)
            case CancelOrder():
                self._requests.cancel(request, number)
            case _CancelAll(account):
                self._requests.cancel_everything(account, "User requested", number)
            case _CancelAllAfter():
                self._arm(request, number)
            case _:
                assert_never(request)

    def _ring(self, timer: _Timer) -> None:
        book = self.account(timer.account)
        match timer:
            case _SwitchFires():
                if book.switch == self._core.now:  # else it was re-armed or cleared meanwhile
                    self._fire(book)
            case _Starts(_, order_id):
                if (order := book.open.get(order_id)) is not None:
                    self._requests.start(order)
            case _Expires(_, order_id):
                if (order := book.open.get(order_id)) is not None:
                    self._core.close(order, OrderState.EXPIRED, "Expired")
            case _Rolls(_, position_id):
                if self._lender is not None:
                    self._lender.roll(book, position_id)
            case _:
                assert_never(timer)

    def _follow_up(self) -> None:
        """Do what fills ask for: close orders, and rollovers of new positions."""
        if self._core.owed:
            self._requests.answer_fills()
        if self._lender is not None:
            self._lender.plan()

    def _fire(self, book: ExchangeAccount) -> None:
        if self._core.system != "maintenance":
            book.switch = None
            self._requests.cancel_everything(book.name, "CancelAllOrdersAfter Timeout", 0)

    def _arm(self, wish: _CancelAllAfter, number: int) -> None:
        book = self.account(wish.account)
        book.switch = self._core.now + wish.timeout_ns if wish.timeout_ns else None
        if book.switch is not None:
            self._post(_SwitchFires(wish.account), book.switch)
        self._core.notify(Change(self._core.now, ChangeKind.ARMED, wish.account, number))

    def _timed(self, order: ExchangeOrder) -> None:
        account, terms = order.submit.account, order.terms
        if order.dormant and terms.starts is not None:
            self._post(_Starts(account, order.order_id), terms.starts)
        if order.submit.expires is not None:
            self._post(_Expires(account, order.order_id), order.submit.expires)

    def _rolls(self, account: str, position: MarginPosition) -> None:
        self._post(_Rolls(account, position.position_id), position.rolls)

    def _send(self, request: _Request, ts: int, name: str) -> int:
        return self._post(request, ts + self._latency.of(name, ts))

    def _post(self, happening: _Happening, due: int) -> int:
        number = self._number()
        heappush(self._agenda, (due, number, happening))
        return number

    def _number(self) -> int:
        self._posted += 1
        return self._posted
