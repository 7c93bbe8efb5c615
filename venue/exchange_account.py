"""One account at the exchange model: money, positions, margin, order history.

Must not know quotes, matching or time. Called by the exchange; the loopback reads it for REST.
Margin positions net per instrument (core.portfolio); plain spot orders move balances instead.
"""

from collections import deque
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from core.events import Fill
from core.instrument import Instrument
from core.orders import OrderState, Side
from core.portfolio import Portfolio, apply_fill
from venue.exchange_orders import ZERO, ExchangeOrder

MARGIN_LEVERAGE_CAP = 5  # what Kraken's `margin: true` borrows at most, whatever the pair offers
HISTORY = 10_000
"""Closed orders and fills kept per account for queries; older ones are forgotten."""


class ExchangeAccount:
    """Money and orders of one client. Mutable, owned by the exchange."""

    def __init__(self, name: str, portfolio: Portfolio, *, history: int = HISTORY) -> None:
        self.name = name
        self.portfolio = portfolio
        self.assets: dict[str, Decimal] = {}  # spot holdings other than the quote currency
        self.open: dict[str, ExchangeOrder] = {}  # by order id, oldest first
        self.closed: deque[ExchangeOrder] = deque(maxlen=history)
        self.fills: deque[Fill] = deque(maxlen=history)
        self.switch: int | None = None  # when the dead man's switch fires
        self._index: dict[str, ExchangeOrder] = {}

    def find(self, key: str) -> ExchangeOrder | None:
        """Give the newest order with this client or order id, open or closed."""
        return self._index.get(key)

    def add(self, order: ExchangeOrder) -> None:
        """Take a new open order in; a client id may be used again once its order is closed."""
        self.open[order.order_id] = order
        self._index[order.order_id] = order
        if order.submit.cl_ord_id:
            self._index[order.submit.cl_ord_id] = order

    def close(self, order: ExchangeOrder) -> None:
        """Move an order that reached a terminal state to the history."""
        del self.open[order.order_id]
        if len(self.closed) == self.closed.maxlen:
            oldest = self.closed[0]
            for key in (oldest.order_id, oldest.submit.cl_ord_id):
                if self._index.get(key) is oldest:
                    del self._index[key]
        self.closed.append(order)

    def uses(self, cl_ord_id: str) -> bool:
        """Tell whether an open order has this client id (unique over open orders only)."""
        found = self._index.get(cl_ord_id)
        return found is not None and found.state is OrderState.WORKING

    def closable(self, instrument: str, side: Side) -> Decimal:
        """Give how much a fill on this side would shrink the position, at most."""
        held = self.portfolio.quantity(instrument)
        return abs(held) if held * side.sign < 0 else ZERO

    def used_margin(self, instruments: Mapping[str, Instrument]) -> Decimal:
        """Give the collateral that open positions tie up: cost over leverage."""
        held = self.portfolio.positions.values()
        return sum((p.cost / leverage(instruments[p.instrument]) for p in held), ZERO)

    def free_margin(self, instruments: Mapping[str, Instrument], marks: Mapping[str, Decimal]) -> Decimal:
        """Give equity less used margin."""
        return self.portfolio.equity(marks) - self.used_margin(instruments)

    def holds(self, asset: str, instruments: Mapping[str, Instrument]) -> Decimal:
        """Give what open spot orders reserve of an asset."""
        total = ZERO
        for order in self.open.values():
            instrument = instruments[order.submit.instrument]
            if order.submit.margin:
                continue
            if order.submit.side is Side.SELL and instrument.base == asset:
                total += order.remaining
            elif order.submit.side is Side.BUY and instrument.quote == asset and order.limit_price:
                total += order.remaining * order.limit_price
        return total

    def apply(self, fill: Fill, instrument: Instrument, *, margin: bool) -> None:
        """Book a fill: on margin it moves the position, on spot it exchanges two balances."""
        self.fills.append(fill)
        if margin:
            self.portfolio, _ = apply_fill(self.portfolio, fill)
            return
        sign = fill.side.sign
        self.assets[instrument.base] = self.assets.get(instrument.base, ZERO) + fill.quantity * sign
        self.portfolio = msgspec.structs.replace(
            self.portfolio,
            cash=self.portfolio.cash - fill.quantity * fill.price * sign - fill.fee,
            fees=self.portfolio.fees + fill.fee,
        )


def leverage(instrument: Instrument) -> int:
    """Give the leverage of a margin order on this instrument."""
    return max(1, min(instrument.max_leverage, MARGIN_LEVERAGE_CAP))
