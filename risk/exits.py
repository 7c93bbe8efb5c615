"""Reasons to leave a position that come from time or from a changed opinion.

Must not know orders: stops and targets rest at the venue and need nothing from here. Called by
risk.bot.
"""

from decimal import Decimal

from core.orders import OrderIntent
from core.portfolio import Position
from core.signal import Direction
from risk.policy import ModelTerms, RiskPolicy, ns

ZERO = Decimal(0)


def overdue(position: Position, now: int, *, policy: RiskPolicy, terms: ModelTerms) -> str:
    """Give why a position has been held long enough, or nothing."""
    bars = policy.max_hold_bars or terms.horizon_bars
    limit = bars * terms.decision.ns
    return f"held for {bars} bars of {terms.decision.value}" if now - position.opened >= limit else ""


def opposes(direction: Direction, position: Position) -> bool:
    """Tell whether an opinion points against a position."""
    return direction.sign * position.quantity < 0


def too_young(position: Position, now: int, policy: RiskPolicy) -> bool:
    """Tell whether a position is younger than the time an opinion must leave it alone."""
    return now - position.opened < ns(policy.min_hold_s)


def close(trader: str, instrument: str, now: int, *, prediction_id: str, reason: str) -> OrderIntent:
    """Make the intent to be flat."""
    return OrderIntent(
        trader=trader,
        instrument=instrument,
        target=ZERO,
        stop=ZERO,
        take_profit=ZERO,
        entry_limit=ZERO,
        expires=now,
        prediction_id=prediction_id,
        reason=reason,
    )
