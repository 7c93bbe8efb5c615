"""The venue's rate limits as counters, so that we never run into them.

Must not know requests, sockets or clocks: `now` is passed in.
Called by venue.link (connections), venue.client (REST) and execution.live (orders).
"""

from bisect import bisect_right, insort

from core.clock import SECOND

# Added to the cost of changing an order younger than these ages (seconds); Kraken's page
# "Spot trading rate limits", read 2026-11.
_AMEND_AGES, _AMEND_COSTS = (5, 10, 15), (3, 2, 1, 0)
_CANCEL_AGES, _CANCEL_COSTS = (5, 10, 15, 45, 90, 300), (8, 6, 5, 4, 2, 1, 0)
_DECAY = {60: 1.0, 125: 2.34, 180: 3.75}
RESERVE = 0.25
"""Share of the engine counter that entries may not touch: stops and cancels need it."""


def amend_cost(age_s: float) -> int:
    """Give the price of amending an order of this age."""
    return 1 + _AMEND_COSTS[bisect_right(_AMEND_AGES, age_s)]


def cancel_cost(age_s: float) -> int:
    """Give the price of cancelling an order of this age."""
    return _CANCEL_COSTS[bisect_right(_CANCEL_AGES, age_s)]


class _Decaying:
    """A counter that loses `rate` per second and never falls below zero."""

    def __init__(self) -> None:
        self._value = 0.0
        self._at = 0

    def level(self, now: int, rate: float) -> float:
        return max(0.0, self._value - max(0, now - self._at) / SECOND * rate)

    def add(self, cost: float, now: int, rate: float) -> None:
        self._value = self.level(now, rate) + cost
        self._at = now


class EngineCounter:
    """The matching engine's counter of one account: per pair, shared by all connections."""

    def __init__(self, threshold: int = 60) -> None:
        self.threshold = threshold
        self._pairs: dict[str, _Decaying] = {}

    @property
    def decay(self) -> float:
        """What the counter loses per second on this account's tier."""
        return _DECAY.get(self.threshold, 1.0)

    def level(self, pair: str, now: int) -> float:
        """Give the counter of one pair."""
        counter = self._pairs.get(pair)
        return counter.level(now, self.decay) if counter else 0.0

    def entry_allowed(self, pair: str, now: int) -> bool:
        """Tell whether an entry leaves the reserve untouched."""
        return self.level(pair, now) + 1 <= self.threshold * (1 - RESERVE)

    def exceeded(self, pair: str, now: int) -> None:
        """Believe the venue that the counter of a pair is full."""
        self.charge(pair, max(0.0, self.threshold - self.level(pair, now)), now)

    def charge(self, pair: str, cost: float, now: int) -> None:
        """Count one request, sent whatever the level: protection is never held back."""
        self._pairs.setdefault(pair, _Decaying()).add(cost, now, self.decay)


_REST_TIERS = {60: (15.0, 0.33), 125: (20.0, 0.5), 180: (20.0, 1.0)}
"""REST counter and decay by the engine threshold that `maxratecount` reveals: one tier, one row."""


class RestBudget:
    """The REST counter of one key; the defaults are the poorest tier's."""

    def __init__(self, maximum: float = 15.0, decay: float = 0.33) -> None:
        self.maximum = maximum
        self.decay = decay
        self._counter = _Decaying()

    def adopt(self, threshold: int) -> None:
        """Take over the tier that an engine threshold belongs to; an unlisted one changes nothing."""
        self.maximum, self.decay = _REST_TIERS.get(threshold, (self.maximum, self.decay))

    def wait_s(self, cost: float, now: int) -> float:
        """Give the seconds until a call of this cost fits."""
        over = self._counter.level(now, self.decay) + cost - self.maximum
        return max(0.0, over / self.decay)

    def charge(self, cost: float, now: int) -> None:
        """Count one call."""
        self._counter.add(cost, now, self.decay)

    def exceeded(self, now: int) -> None:
        """Believe the venue that the counter is full."""
        self.charge(max(0.0, self.maximum - self._counter.level(now, self.decay)), now)


SPARE = 30
"""Attempts that links which only watch leave to those that trade: more than one makes in a window."""


class ConnectionBudget:
    """Connection attempts in a rolling window: one budget for all links of a process.

    The venue bans an address above 150 in 10 minutes (its page "Spot WebSocket introduction");
    ten are left for tools beside the daemon.
    """

    def __init__(self, maximum: int = 140, window_s: int = 600) -> None:
        self.maximum = maximum
        self.window = window_s * SECOND
        self._attempts: list[int] = []  # when each is made, the earliest first; some are to come

    def take(self, now: int, *, spare: int = 0) -> float:
        """Count one attempt and give the seconds until it may be made; `spare` places stay free."""
        del self._attempts[: bisect_right(self._attempts, now - self.window)]
        most = max(1, self.maximum - spare)
        at = now
        if len(self._attempts) >= most:
            at = max(now, self._attempts[-most] + self.window)
        insort(self._attempts, at)
        return (at - now) / SECOND
