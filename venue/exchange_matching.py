"""Matching and booking inside the exchange model: who fills, at what price, and what is told.

Must not know requests, latency or timers. Called by venue.exchange alone, which sets `now`.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal

from core.errors import InternalError
from core.events import Fill
from core.instrument import Instrument
from core.orders import OrderState
from venue import exchange_rules as rules
from venue.exchange_account import ExchangeAccount
from venue.exchange_market import Market
from venue.exchange_orders import (
    ZERO,
    Change,
    ChangeKind,
    ExchangeOrder,
    FeeSchedule,
    Report,
    identifier,
)

_FEE_GRID = Decimal("1E-8")
_CLOSING = {
    OrderState.FILLED: ChangeKind.FILLED,
    OrderState.CANCELED: ChangeKind.CANCELED,
    OrderState.EXPIRED: ChangeKind.EXPIRED,
}


class Matcher:
    """Markets, accounts and the reports that wait to be handed out. Mutable, one owner."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        fees: FeeSchedule,
        listener: Callable[[Change], None] | None,
        seed: int,
    ) -> None:
        self.now = 0
        self.instruments = dict(instruments)
        self.markets = {symbol: Market(instrument) for symbol, instrument in instruments.items()}
        self.accounts: dict[str, ExchangeAccount] = {}
        self.reports: list[Report] = []
        self._fees = fees
        self._listener = listener
        self._seed = seed
        self._last_id = 0

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
        self.account(order.submit.account).add(order)
        self.market(order.submit.instrument).orders.append(order)

    def close(self, order: ExchangeOrder, state: OrderState, reason: str = "", *, request: int = 0) -> None:
        """Take an order off the books for good."""
        order.state, order.reason, order.closed = state, reason, self.now
        self.account(order.submit.account).close(order)
        orders = self.markets[order.submit.instrument].orders
        del orders[next(i for i, other in enumerate(orders) if other is order)]
        self.tell(_CLOSING[state], order, request=request)

    def work(self, order: ExchangeOrder, market: Market, *, maker: bool) -> None:
        """Let an order meet the touch. `maker`: a limit order was here before the touch came."""
        if order.state is not OrderState.WORKING:
            return
        if order.waits_for_trigger:
            if not market.fires(order):
                return
            order.triggered = True
            self.tell(ChangeKind.TRIGGERED, order)
        touch = market.reachable(order)
        if touch is None:
            return
        limit = order.resting_limit
        passive = maker and limit is not None
        price = limit if maker and limit is not None else touch.price
        filled = self._fill(order, price, min(order.remaining, touch.quantity), maker=passive)
        market.consume(order.submit.side, filled)

    def print_through(self, order: ExchangeOrder, price: Decimal, printed: Decimal) -> Decimal:
        """Fill a resting limit order that a trade went through; give the quantity used up."""
        limit = order.resting_limit
        if limit is None or printed <= 0 or order.state is not OrderState.WORKING:
            return ZERO
        if (limit - price) * order.submit.side.sign <= 0:
            return ZERO  # at the price itself others may stand before us
        return self._fill(order, limit, min(order.remaining, printed), maker=True)

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
        fill = self._execution(order, price, quantity, maker=maker)
        account.apply(fill, self.instruments[submit.instrument], margin=submit.margin)
        order.filled += quantity
        order.cost += price * quantity
        order.fee += fill.fee
        order.exec_ids.append(fill.exec_id)
        self.tell(ChangeKind.TRADE, order, fill=fill)
        if order.remaining == 0:
            self.close(order, OrderState.FILLED)
        elif submit.reduce_only and account.closable(submit.instrument, submit.side) == 0:
            self.close(order, OrderState.CANCELED, rules.NO_POSITION)
        return quantity

    def _execution(self, order: ExchangeOrder, price: Decimal, quantity: Decimal, *, maker: bool) -> Fill:
        submit = order.submit
        rate = self._fees.maker if maker else self._fees.taker
        return Fill(
            ts=self.now,
            account=submit.account,
            exec_id=self.identifier("T"),
            cl_ord_id=submit.cl_ord_id,
            order_id=order.order_id,
            instrument=submit.instrument,
            side=submit.side,
            price=price,
            quantity=quantity,
            fee=(price * quantity * rate).quantize(_FEE_GRID),
            maker=maker,
            ts_event=self.now,
        )

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
            taker_fee=self._fees.taker,
        )

    def marks(self, account: ExchangeAccount) -> dict[str, Decimal]:
        """Give mid prices of the instruments that an account holds, where a quote is known."""
        marks = {}
        for symbol in account.portfolio.positions:
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
        fill: Fill | None = None,
        error: str = "",
    ) -> None:
        """Report one step of an order to its client and to the listener."""
        if self._listener is not None:
            self._listener(Change(self.now, kind, order.submit.account, request, order, fill, error))
        if fill is not None:
            self.reports.append(fill)
        elif kind is not ChangeKind.TRIGGERED:
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
