"""How much: the largest entry that every limit allows, with its stop and target.

Must not know opinions of other instruments, nor orders. Called by risk.bot once per candidate.
Everything is rounded toward less risk; more risk in any input never gives a larger size.
"""

from decimal import Decimal

import msgspec

from core.instrument import Instrument
from core.market import Quote
from core.orders import Refused
from core.signal import Direction
from risk.edge import Edge
from risk.policy import RiskPolicy, exact

ZERO = Decimal(0)
VENUE_LEVERAGE = 5
"""The venue's margin never exceeds five times, whatever a pair advertises (Kraken, 2025)."""
MARGIN_RESERVE = Decimal("0.9")
"""Share of free margin that entries may use: closing orders and fees need the rest."""


class Levels(msgspec.Struct, frozen=True):
    """Prices of one entry; `risk` is the loss per unit from the worst entry to the stop."""

    entry_limit: Decimal
    stop: Decimal
    take_profit: Decimal
    risk: Decimal
    worst: Decimal


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What the account still has room for, in quote currency; `drawdown` is a fraction."""

    equity: Decimal
    drawdown: Decimal
    gross: Decimal
    margin: Decimal


class Size(msgspec.Struct, frozen=True):
    """A quantity on the lot grid and the notional and margin it takes at the worst price."""

    quantity: Decimal
    notional: Decimal
    margin: Decimal


def levels(
    direction: Direction, quote: Quote, atr: float, *, instrument: Instrument, policy: RiskPolicy
) -> Levels | Refused:
    """Place the collar, the stop and the target around the touch; refuse a stop that would fire."""
    collar, distance = exact(policy.entry_collar), exact(policy.stop_atr) * exact(atr)
    reach = exact(policy.target_atr) * exact(atr)
    if direction is Direction.LONG:
        limit = instrument.price_down(quote.ask * (1 + collar))
        stop = instrument.price_up(quote.ask - distance)
        target = instrument.price_down(quote.ask + reach) if reach else ZERO
        possible = ZERO < stop < quote.bid <= quote.ask <= limit
    else:
        limit = instrument.price_up(quote.bid * (1 - collar))
        stop = instrument.price_down(quote.bid + distance)
        target = instrument.price_up(quote.bid - reach) if reach else ZERO
        possible = stop > quote.ask >= quote.bid >= limit > ZERO and target >= 0
    if not possible:
        return Refused("stop_distance", f"a stop at {stop} does not fit {quote.bid} / {quote.ask}")
    return Levels(limit, stop, target, abs(limit - stop), max(limit, quote.ask))


def size(
    prices: Levels, edge: Edge, *, room: Room, instrument: Instrument, policy: RiskPolicy
) -> Size | Refused:
    """Give the largest quantity within every limit, or the limit that leaves nothing.

    Without a lean to one side the size is zero, whatever the policy's own threshold says.
    """
    if edge.lean <= 0:
        return Refused("expected_value", "probabilities that lean to no side are worth no position")
    shrink = max(ZERO, 1 - room.drawdown / exact(policy.max_drawdown))
    if shrink == 0 or room.equity <= 0:
        return Refused("drawdown", f"{room.drawdown:.2%} below the peak leaves no risk to take")
    exposure = exact(policy.max_leverage) * room.equity - room.gross
    free = (MARGIN_RESERVE * room.equity - room.margin) * leverage(instrument)
    if exposure <= 0 or free <= 0:
        return Refused("max_exposure", f"gross {room.gross:.2f} on equity {room.equity:.2f} leaves no room")
    budget = exact(policy.risk_per_trade) * room.equity * shrink * exact(min(1.0, edge.confidence))
    single = exact(policy.max_position_notional) * room.equity
    by_notional = min(exposure, free, single) / prices.worst
    quantity = instrument.quantity_down(min(budget / prices.risk, by_notional))
    if not instrument.tradable(quantity, prices.entry_limit):
        return Refused("below_minimum", f"{quantity} {instrument.base} is under the venue's smallest order")
    notional = quantity * prices.worst
    return Size(quantity, notional, notional / leverage(instrument))


def leverage(instrument: Instrument) -> int:
    """Give how many times its margin a position on this instrument may be worth."""
    return min(max(1, instrument.max_leverage), VENUE_LEVERAGE)
