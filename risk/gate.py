"""The account's gate: how many positions and how much exposure there is still room for.

Must not know probabilities' origin or orders. Made by risk.bot for one instant; candidates come in
order of merit and what one of them takes is gone for the next.
"""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from core.instrument import Instrument
from core.orders import Refused
from core.signal import Opinion
from risk import breakers, sizing
from risk.edge import Edge
from risk.policy import RiskPolicy, exact
from risk.state import RiskState
from risk.view import AccountView


class Entry(msgspec.Struct, frozen=True):
    """An entry that fits: a positive quantity and its prices."""

    quantity: Decimal
    prices: sizing.Levels


class Gate:
    """Room of one account at one instant. An instrument that is busy counts as a full position."""

    def __init__(
        self,
        view: AccountView,
        state: RiskState,
        *,
        policy: RiskPolicy,
        instruments: Mapping[str, Instrument],
    ) -> None:
        self._view = view
        self._policy = policy
        self._instruments = instruments
        self._drawdown = breakers.drawdown(state, view.equity)
        marks = view.marks
        taken = {
            s: abs(p.quantity) * marks.get(s, p.entry_price) for s, p in view.portfolio.positions.items()
        }
        full = exact(policy.max_position_notional) * max(view.equity, sizing.ZERO)
        # What is in flight may be filled already: it counts as the largest it can have been.
        # Sorted: sums of long decimals depend on their order, and a set has none that replay knows.
        taken |= {s: max(full, taken.get(s, sizing.ZERO)) for s in sorted(view.busy)}
        self._open = len(taken)
        self._gross = sum(taken.values(), sizing.ZERO)
        self._margin = sum((n / self._leverage(s) for s, n in taken.items()), sizing.ZERO)

    def offer(self, opinion: Opinion, edge: Edge) -> Entry | Refused:
        """Size one candidate, or name the limit that it meets; what it takes is gone."""
        if self._open >= self._policy.max_open_positions:
            return Refused("max_positions", f"{self._open} of {self._policy.max_open_positions}")
        instrument = self._instruments[opinion.instrument]
        quote = self._view.quotes[opinion.instrument]
        prices = sizing.levels(edge.direction, quote, opinion.atr, instrument=instrument, policy=self._policy)
        if isinstance(prices, Refused):
            return prices
        room = sizing.Room(
            equity=self._view.equity, drawdown=self._drawdown, gross=self._gross, margin=self._margin
        )
        size = sizing.size(prices, edge, room=room, instrument=instrument, policy=self._policy)
        if isinstance(size, Refused):
            return size
        self._open += 1
        self._gross += size.notional
        self._margin += size.margin
        return Entry(size.quantity, prices)

    def _leverage(self, symbol: str) -> int:
        instrument = self._instruments.get(symbol)
        return sizing.leverage(instrument) if instrument else 1
