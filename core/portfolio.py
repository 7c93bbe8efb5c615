"""An account as a fold of its fills.

Must not know orders, venues or why a fill happened. Called by the engine, reports and tests.
Every function is pure: it takes a portfolio and gives a new one. Positions net per instrument
(margin: cost is borrowed, profit and fees settle in the quote currency).
"""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from core.events import Fill

ZERO = Decimal(0)
_SHARE_GRID = Decimal("1E-12")
_SHARE_DIGITS = 15  # before the point; beyond, 28 digits would not hold the grid


class Position(msgspec.Struct, frozen=True):
    """A signed net position; `cost` is positive, what the open quantity was entered for."""

    instrument: str
    quantity: Decimal
    cost: Decimal
    opened: int
    fees: Decimal = ZERO

    @property
    def entry_price(self) -> Decimal:
        """Average price of the open quantity."""
        return self.cost / abs(self.quantity)

    def unrealised(self, mark: Decimal) -> Decimal:
        """Profit if closed at `mark`, before fees."""
        return self.quantity * mark - self.cost.copy_sign(self.quantity)


class RoundTrip(msgspec.Struct, frozen=True):
    """One position from flat to flat, or the part of it that a fill closed."""

    instrument: str
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    profit: Decimal
    opened: int
    closed: int


class Portfolio(msgspec.Struct, frozen=True):
    """Cash in quote currency, open positions, and what has been earned and paid so far."""

    cash: Decimal
    positions: dict[str, Position] = {}
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    peak_equity: Decimal = ZERO
    round_trips: int = 0

    def quantity(self, instrument: str) -> Decimal:
        """Signed position, 0 when flat."""
        position = self.positions.get(instrument)
        return position.quantity if position else ZERO

    def equity(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Cash plus unrealised profit; an instrument without a mark counts at its entry."""
        return self.cash + sum(
            (p.unrealised(marks[p.instrument]) for p in self.positions.values() if p.instrument in marks),
            ZERO,
        )

    def notional(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Gross exposure in quote currency."""
        return sum(
            (abs(p.quantity) * marks.get(p.instrument, p.entry_price) for p in self.positions.values()), ZERO
        )

    def drawdown(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Fraction below the highest equity seen, 0 at a new high."""
        if self.peak_equity <= 0:
            return ZERO
        return max(ZERO, 1 - self.equity(marks) / self.peak_equity)


def apply_fill(portfolio: Portfolio, fill: Fill) -> tuple[Portfolio, RoundTrip | None]:
    """Fold one fill in; the caller has made sure that its `exec_id` is new."""
    signed = fill.quantity * fill.side.sign
    held = portfolio.positions.get(fill.instrument)
    if held is None or held.quantity * signed > 0:
        return _opened(portfolio, held, fill, signed), None
    closing = min(abs(signed), abs(held.quantity))
    released = cost_share(held.cost, closing, abs(held.quantity))
    profit = (closing * fill.price - released) * (1 if held.quantity > 0 else -1)
    trip = RoundTrip(
        instrument=fill.instrument,
        quantity=closing.copy_sign(held.quantity),
        entry_price=held.entry_price,
        exit_price=fill.price,
        profit=profit,
        opened=held.opened,
        closed=fill.ts_event,
    )
    rest = held.quantity + closing.copy_sign(signed)
    positions = {k: v for k, v in portfolio.positions.items() if k != fill.instrument}
    if rest != 0:
        positions[fill.instrument] = msgspec.structs.replace(
            held, quantity=rest, cost=held.cost - released, fees=held.fees + fill.fee
        )
    closed = msgspec.structs.replace(
        portfolio,
        cash=portfolio.cash + profit - fill.fee,
        positions=positions,
        realised=portfolio.realised + profit,
        fees=portfolio.fees + fill.fee,
        round_trips=portfolio.round_trips + (rest == 0),
    )
    beyond = abs(signed) - closing
    if beyond == 0:
        return closed, trip
    # The fill was larger than the position: the rest opens the other way (never wanted, yet true).
    flipped = Position(fill.instrument, beyond.copy_sign(signed), beyond * fill.price, fill.ts_event)
    return msgspec.structs.replace(closed, positions={**positions, fill.instrument: flipped}), trip


def cost_share(cost: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Give the part's share of a cost; shares of all parts add up to the cost to the last digit.

    A share of less than the whole is rounded, so that what is left stays an exact number.
    """
    if part == whole:
        return cost
    share = cost * part / whole
    return share.quantize(_SHARE_GRID) if share.adjusted() < _SHARE_DIGITS else share


def marked(portfolio: Portfolio, marks: Mapping[str, Decimal]) -> Portfolio:
    """Raise the high-water mark if equity at these marks is a new high."""
    equity = portfolio.equity(marks)
    if equity <= portfolio.peak_equity:
        return portfolio
    return msgspec.structs.replace(portfolio, peak_equity=equity)


def _opened(portfolio: Portfolio, held: Position | None, fill: Fill, signed: Decimal) -> Portfolio:
    before = held or Position(fill.instrument, ZERO, ZERO, fill.ts_event)
    position = msgspec.structs.replace(
        before,
        quantity=before.quantity + signed,
        cost=before.cost + fill.quantity * fill.price,
        fees=before.fees + fill.fee,
    )
    return msgspec.structs.replace(
        portfolio,
        cash=portfolio.cash - fill.fee,
        positions={**portfolio.positions, fill.instrument: position},
        fees=portfolio.fees + fill.fee,
    )
