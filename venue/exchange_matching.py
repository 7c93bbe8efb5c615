"""Matching and booking inside the exchange model: who fills, at what price, and what is told.

Must not know requests, latency or timers. Called by the other parts of the exchange, which set
`now`. Fills of orders with a conditional close are left in `owed`, new positions in `opened`.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal

from core.errors import InternalError
from core.events import Fill
from core.instrument import Instrument
from core.market import Trade
from core.orders import OrderState
from core.portfolio import Portfolio
from venue import exchange_rules as rules
from venue.exchange_account import ExchangeAccount
from venue.exchange_limits import EngineCounter
from venue.exchange_market import Market
from venue.exchange_orders import (
    ZERO,
    Change,
    ChangeKind,
    ExchangeOrder,
    Execution,
    FeeSchedule,
    FeeTier,
    LedgerLine,
    Report,
    identifier,
)
from venue.exchange_positions import FEE_GRID, MarginPosition
from venue.exchange_prices import follow, set_trailing_limit
from venue.exchange_settings import ExchangeRules

_CLOSING = {
    OrderState.FILLED: ChangeKind.FILLED,
    OrderState.CANCELED: ChangeKind.CANCELED,
    OrderState.EXPIRED: ChangeKind.EXPIRED,
}
_UNREPORTED = frozenset({ChangeKind.TRIGGERED, ChangeKind.MOVED, ChangeKind.REFILLED, ChangeKind.STARTED})


class Matcher:
    """Markets, accounts and the reports that wait to be handed out. Mutable, one owner."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        fees: FeeSchedule,
        rules: ExchangeRules,
        listener: Callable[[Change], None] | None,
        seed: int,
    ) -> None:
        self.now = 0
        self.system = "online"
        self.instruments = dict(instruments)
        self.markets = {symbol: Market(instrument) for symbol, instrument in instruments.items()}
        self.accounts: dict[str, ExchangeAccount] = {}
        self.reports: list[Report] = []
        self.owed: list[tuple[ExchangeOrder, Fill]] = []
        self.opened: list[tuple[str, MarginPosition]] = []
        self.rules = rules
        self._fees = fees
        self._listener = listener
        self._seed = seed
        self._last_id = 0

    def open_account(self, name: str, portfolio: Portfolio) -> ExchangeAccount:
        """Create or replace an account."""
        tier = self.rules.tier
        counter = EngineCounter(tier) if tier is not None else None
        account = ExchangeAccount(name, portfolio, margin=self.rules.margin, counter=counter)
        self.accounts[name] = account
        return account

    def account(self, account: str) -> ExchangeAccount:
        """Give an account; raises InternalError if nobody opened it."""
        found = self.accounts.get(account)
        if found is None:
            raise InternalError(f"expected an open account, found {account!r} at the exchange model")
        return found

    def market(self, symbol: str) -> Market:
        """Give a market; raises InternalError for an instrument that is not listed."""
        found = self.markets.get(symbol)
        if found is None:
            raise InternalError(f"expected a listed instrument, found {symbol!r} at the exchange model")
        return found

    def enter(self, order: ExchangeOrder) -> None:
        """Put an order on the books of its account and market."""
        if order.display is not None:
            order.shown = min(order.display, order.remaining)
        self.account(order.submit.account).add(order)
        self.market(order.submit.instrument).orders.append(order)

    def close(self, order: ExchangeOrder, state: OrderState, reason: str = "", *, request: int = 0) -> None:
        """Take an order off the books for good."""
        order.state, order.reason, order.closed = state, reason, self.now
        self.account(order.submit.account).close(order)
        self.markets[order.submit.instrument].leave(order)
        self.tell(_CLOSING[state], order, request=request)

    def work(self, order: ExchangeOrder, market: Market, *, maker: bool) -> None:
        """Let an order meet the touch; nothing does unless the exchange is online.

        `maker`: a limit order was here before the touch came.
        """
        if order.state is not OrderState.WORKING or order.dormant or self.system != "online":
            return
        if order.conditional and not order.triggered and not self._trigger(order, market):
            return
        touch = market.reachable(order)
        if touch is None:
            return
        limit = order.resting_limit
        if maker and limit is not None:
            filled = self._make(order, limit, touch.quantity)
        else:
            if self.rules.impact:
                touch = market.beyond(order, touch, self.rules.impact)
                if touch.quantity == 0:
                    return
            filled = self._fill(order, touch.price, min(order.remaining, touch.quantity), maker=False)
        market.consume(order.submit.side, filled)

    def trail(self, order: ExchangeOrder) -> bool:
        """Let a trailing trigger follow the market; tell whether it moved."""
        if not order.trailing:
            return False
        market = self.markets[order.submit.instrument]
        reference = market.reference(order)
        return reference is not None and follow(order, reference, market.instrument)

    def _trigger(self, order: ExchangeOrder, market: Market) -> bool:
        """Tell whether the trigger is reached, after it has followed the market."""
        if order.trailing and self.trail(order):
            self.tell(ChangeKind.MOVED, order)
        if not market.fires(order):
            return False
        order.triggered = True
        set_trailing_limit(order, market.instrument)
        self.tell(ChangeKind.TRIGGERED, order)
        return True

    def rest(self, order: ExchangeOrder) -> None:
        """Let an order that has just come to its price stand behind those that are there."""
        if self.rules.queue and order.state is OrderState.WORKING:
            self.markets[order.submit.instrument].queue(order, anew=True)

    def print_through(self, order: ExchangeOrder, trade: Trade, left: Decimal) -> Decimal:
        """Fill a resting limit order that a trade went through, or whose turn it was at its price.

        `left` is what earlier orders left of the trade; gives the quantity used up.
        """
        limit, side = order.resting_limit, order.submit.side
        if limit is None or left <= 0 or order.state is not OrderState.WORKING or order.dormant:
            return ZERO
        through = (limit - trade.price) * side.sign
        if through > 0:
            order.ahead = None if order.ahead is None else ZERO
            return self._make(order, limit, left)
        if through < 0 or order.ahead is None or trade.side is side:
            return ZERO  # at the price itself others may stand before us
        before = min(order.ahead, left)
        order.ahead -= before
        return self._make(order, limit, left - before)

    def _make(self, order: ExchangeOrder, limit: Decimal, available: Decimal) -> Decimal:
        """Fill a resting order at its own price; an iceberg fills part by part, refilled between."""
        used = ZERO
        while used < available and order.state is OrderState.WORKING:
            part = min(order.remaining, available - used)
            filled = self._fill(
                order, limit, part if order.shown is None else min(part, order.shown), maker=True
            )
            if filled == 0:
                break
            used += filled
        return used

    def _fill(self, order: ExchangeOrder, price: Decimal, quantity: Decimal, *, maker: bool) -> Decimal:
        submit, account = order.submit, self.account(order.submit.account)
        if submit.reduce_only:
            quantity = min(quantity, account.closable(submit.instrument, submit.side))
            error = rules.NO_POSITION if quantity == 0 else ""
        else:
            error = self.unaffordable(order, price, quantity)
        if error:
            self.close(order, OrderState.CANCELED, error)
            return ZERO
        execution = self._execution(order, price, quantity, maker=maker)
        execution, lines = account.book(execution, self.instruments[submit.instrument])
        fill = execution.fill
        order.filled += quantity
        order.cost += price * quantity
        order.fee += fill.fee
        order.exec_ids.append(fill.exec_id)
        self.tell(ChangeKind.TRADE, order, execution=execution, ledger=lines)
        if execution.opened is not None:
            self.opened.append((submit.account, execution.opened))
        if order.terms.close is not None:
            self.owed.append((order, fill))
        if order.remaining == 0:
            self.close(order, OrderState.FILLED)
        elif submit.reduce_only and account.closable(submit.instrument, submit.side) == 0:
            self.close(order, OrderState.CANCELED, rules.NO_POSITION)
        elif order.shown is not None and order.display is not None:
            self._show(order, quantity, order.display)
        return quantity

    def _show(self, order: ExchangeOrder, taken: Decimal, display: Decimal) -> None:
        """Let an iceberg show its next part once the shown one is gone; it queues again."""
        left = max(ZERO, (order.shown or ZERO) - taken)
        order.shown = min(left, order.remaining) or min(display, order.remaining)
        if left == 0:
            self.markets[order.submit.instrument].step_back(order)
            self.rest(order)
            self.tell(ChangeKind.REFILLED, order)

    def _execution(
        self, order: ExchangeOrder, price: Decimal, quantity: Decimal, *, maker: bool
    ) -> Execution:
        submit, account = order.submit, self.account(order.submit.account)
        instrument, rates = self.instruments[submit.instrument], self.rates(account)
        cost = price * quantity
        fee = (cost * (rates.maker if maker else rates.taker)).quantize(FEE_GRID)
        lending = ZERO
        if submit.margin and account.margin is not None:
            opening = quantity - min(quantity, account.closable(submit.instrument, submit.side))
            rate = account.margin.rate(rules.lent(submit.side, instrument))
            lending = (opening * price * rate).quantize(FEE_GRID)
        fill = Fill(
            ts=self.now,
            account=submit.account,
            exec_id=self.identifier("T"),
            cl_ord_id=submit.cl_ord_id,
            order_id=order.order_id,
            instrument=submit.instrument,
            side=submit.side,
            price=price,
            quantity=quantity,
            fee=fee + lending,
            maker=maker,
            ts_event=self.now,
        )
        leverage = rules.ratio(submit, instrument) if submit.margin else 0
        mid = self.markets[submit.instrument].mid
        return Execution(fill, order, leverage, lending=lending, mid=mid)

    def rates(self, account: ExchangeAccount) -> FeeSchedule | FeeTier:
        """Give the maker and taker rates of an account."""
        return self._fees.at(account.volume.total(self.now)) if self._fees.tiers else self._fees

    def unaffordable(self, order: ExchangeOrder, price: Decimal, quantity: Decimal) -> str:
        """Give the error text if margin or balances do not allow this fill."""
        account = self.account(order.submit.account)
        return rules.unaffordable(
            order,
            account,
            price,
            quantity,
            instruments=self.instruments,
            marks=self.marks(account),
            taker_fee=self.rates(account).taker,
        )

    def marks(self, account: ExchangeAccount) -> dict[str, Decimal]:
        """Give mid prices of what an account holds, positions and assets, where a quote is known."""
        symbols = list(account.portfolio.positions)
        if account.assets:
            symbols += [name for name, one in self.instruments.items() if account.assets.get(one.base)]
        marks = {}
        for symbol in symbols:
            market = self.markets[symbol]
            if market.bid is not None and market.ask is not None:
                marks[symbol] = (market.bid + market.ask) / 2
        return marks

    def tell(
        self,
        kind: ChangeKind,
        order: ExchangeOrder,
        *,
        request: int = 0,
        execution: Execution | None = None,
        error: str = "",
        ledger: tuple[LedgerLine, ...] = (),
    ) -> None:
        """Report one step of an order to its client and to the listener."""
        if self._listener is not None:
            account = order.submit.account
            self._listener(
                Change(self.now, kind, account, request, order, execution, error=error, ledger=ledger)
            )
        if execution is not None:
            self.reports.append(execution.fill)
        elif kind not in _UNREPORTED:
            self.reports.append(order.update(self.now, error))

    def notify(self, change: Change) -> None:
        """Show a change to the listener only."""
        if self._listener is not None:
            self._listener(change)

    def drain(self) -> list[Report]:
        """Hand out the reports made since the last call."""
        reports, self.reports = self.reports, []
        return reports

    def identifier(self, prefix: str) -> str:
        """Make an id that no earlier process of the same account has used: time only goes on."""
        self._last_id = max(self._last_id + 1, self.now)
        return identifier(prefix, self._last_id + self._seed)
