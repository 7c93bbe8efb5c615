"""What an opinion is worth: direction, confidence and expected value after costs.

Must not know accounts or sizes. Called by risk.bot for every opinion, traded or not.
"""

import math
from decimal import Decimal

import msgspec

from core.market import Quote
from core.signal import Direction, Opinion
from risk.policy import ModelTerms


class Edge(msgspec.Struct, frozen=True):
    """One opinion in money terms: `expected_value` is a fraction of notional after costs.

    `lean` is how much likelier the chosen side is than the other, 0 for HOLD.
    """

    direction: Direction
    confidence: float
    lean: float
    expected_value: float


NONE = Edge(Direction.HOLD, 0.0, 0.0, 0.0)


def usable(opinion: Opinion) -> str:
    """Give why an opinion cannot be used, or nothing: not ready, not finite, no scale."""
    if not opinion.ready:
        return opinion.reason or "features are not ready"
    figures = (opinion.p_down, opinion.p_hold, opinion.p_up, opinion.atr, opinion.close)
    if not all(math.isfinite(figure) for figure in figures):
        return "the opinion holds a number that is not finite"
    if opinion.atr <= 0 or opinion.close <= 0:
        return f"expected a positive ATR and close, found {opinion.atr} and {opinion.close}"
    if not all(0.0 <= p <= 1.0 for p in figures[:3]):
        return f"expected probabilities, found {figures[:3]}"
    return ""


def read(opinion: Opinion, quote: Quote | None, *, terms: ModelTerms, taker_fee: float) -> Edge:
    """Weigh a usable opinion: win and lose one barrier, pay two taker fees and the spread.

    EV(long) = (p_up - p_down) * k * ATR / price - (2 * fee + spread); short is its mirror. A move
    that ends at neither barrier counts as zero, so `p_hold` lowers the value and adds no cost.
    """
    price = float(quote.mid) if quote else opinion.close
    payoff = terms.barrier_atr * opinion.atr / price
    cost = 2 * taker_fee + (float(spread(quote)) if quote else 0.0)
    lean = opinion.p_up - opinion.p_down
    if lean == 0.0:
        return Edge(Direction.HOLD, opinion.p_hold, 0.0, -cost)
    direction = Direction.LONG if lean > 0 else Direction.SHORT
    return Edge(direction, max(opinion.p_up, opinion.p_down), abs(lean), abs(lean) * payoff - cost)


def spread(quote: Quote) -> Decimal:
    """Give ask minus bid as a fraction of the mid."""
    return (quote.ask - quote.bid) / quote.mid
