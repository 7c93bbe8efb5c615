"""The matching engine's limits of one account: a counter per pair, and how many orders may rest.

Must not know orders' contents, sockets or clocks: ages and `now` are passed in. Called by the
exchange model alone; the daemon counts for itself in venue.limits, from its own reading of
https://docs.kraken.com/api/docs/guides/spot-ratelimits.
"""

from decimal import Decimal

import msgspec

from core.clock import SECOND

RATE_LIMIT = "EOrder:Rate limit exceeded"
ORDERS_LIMIT = "EOrder:Orders limit exceeded"

_ADD = 1
_AMEND = ((5, 3), (10, 2), (15, 1))
_EDIT = ((5, 6), (10, 5), (15, 4), (45, 2), (90, 1))
_CANCEL = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))


class EngineTier(msgspec.Struct, frozen=True):
    """What one verification tier may do: counter, its decay per second, open orders per pair."""

    threshold: int
    decay: Decimal
    open_orders: int


TIERS = {
    "starter": EngineTier(60, Decimal(1), 60),
    "intermediate": EngineTier(125, Decimal("2.34"), 80),
    "pro": EngineTier(180, Decimal("3.75"), 225),
}


def add_cost() -> Decimal:
    """Give the price of one new order."""
    return Decimal(_ADD)


def batch_cost(orders: int) -> Decimal:
    """Give the price of a batch of new orders: half of what they cost one by one."""
    return Decimal(orders) / 2


def amend_cost(age_ns: int) -> Decimal:
    """Give the price of an amend; age counts from creation or the last amend."""
    return Decimal(1 + _by_age(_AMEND, age_ns))


def edit_cost(age_ns: int) -> Decimal:
    """Give the price of an edit."""
    return Decimal(1 + _by_age(_EDIT, age_ns))


def cancel_cost(age_ns: int) -> Decimal:
    """Give the price of a cancel, which has no fixed part; a batch costs the sum."""
    return Decimal(_by_age(_CANCEL, age_ns))


def _by_age(table: tuple[tuple[int, int], ...], age_ns: int) -> int:
    return next((cost for seconds, cost in table if age_ns < seconds * SECOND), 0)


class EngineCounter:
    """One account's counters. Mutable, owned by the exchange."""

    def __init__(self, tier: EngineTier) -> None:
        self.tier = tier
        self._levels: dict[str, tuple[Decimal, int]] = {}

    def level(self, pair: str, now: int) -> Decimal:
        """Give a pair's counter as it has decayed until now."""
        value, at = self._levels.get(pair, (Decimal(0), now))
        return max(Decimal(0), value - Decimal(now - at) / SECOND * self.tier.decay)

    def charge(self, pair: str, cost: Decimal, now: int) -> str:
        """Count a request; give the error text instead if it does not fit under the threshold."""
        level = self.level(pair, now) + cost
        if level > self.tier.threshold:
            return RATE_LIMIT
        self._levels[pair] = (level, now)
        return ""

    def force(self, pair: str, cost: Decimal, now: int) -> None:
        """Count a request that is never refused: cancels pass whatever the counter says."""
        self._levels[pair] = (self.level(pair, now) + cost, now)
