"""One account of a backtest as its fills tell it: equity, drawdown, round trips.

Must not know the desk, the exchange or files. Filled by trader.backtest.world.
"""

from decimal import Decimal

from core.events import Fill
from core.portfolio import ZERO, Portfolio, apply_fill


class Ledger:
    """One account as its fills tell it: round trips from flat to flat, after fees."""

    def __init__(self, cash: Decimal) -> None:
        self.start = cash
        self.equity = cash
        self.peak = cash
        self.drawdown = 0.0
        self.fills = 0
        self.wins = 0
        self.closed = 0
        self._portfolio = Portfolio(cash=cash)
        self._running: dict[str, Decimal] = {}

    @property
    def portfolio(self) -> Portfolio:
        """The account as of the last fill."""
        return self._portfolio

    def on_fill(self, fill: Fill) -> None:
        """Fold one fill in; a position that reaches flat is one round trip."""
        self.fills += 1
        self._portfolio, trip = apply_fill(self._portfolio, fill)
        result = self._running.get(fill.instrument, ZERO) - fill.fee + (trip.profit if trip else ZERO)
        if self._portfolio.quantity(fill.instrument) == 0:
            self.closed += 1
            self.wins += result > 0
            result = ZERO
        self._running[fill.instrument] = result

    def on_marks(self, marks: dict[str, Decimal]) -> None:
        """Mark the account and keep the deepest drawdown."""
        self.equity = self._portfolio.equity(marks)
        self.peak = max(self.peak, self.equity)
        self.drawdown = max(self.drawdown, float(1 - self.equity / self.peak))
