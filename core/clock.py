"""Clocks: the only reader of wall time.

Must not know who asks. Called by the shells that stamp events; pure code takes time from events.
Which durations are market time and which are wall time is settled in docs/adr/0004.
"""

import time
from typing import Protocol

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock(Protocol):
    """Market time for decisions, monotonic time for durations of the machine."""

    def now(self) -> int:
        """Give market time: ns since 1970 UTC."""
        ...

    def monotonic(self) -> int:
        """Give machine time in ns for durations; never steps back."""
        ...

    def wall_seconds(self, market_ns: int) -> float:
        """Give how many real seconds a market duration lasts on this clock."""
        ...


class LiveClock:
    """Market time is the machine's UTC clock."""

    def now(self) -> int:
        return time.time_ns()

    def monotonic(self) -> int:
        return time.monotonic_ns()

    def wall_seconds(self, market_ns: int) -> float:
        return market_ns / SECOND


class ScaledClock:
    """Market time runs `speed` times faster than the wall from a common anchor.

    Two processes with the same three numbers share one market time, which is how the daemon and
    the loopback venue agree without talking about it.
    """

    def __init__(self, *, market_epoch: int, wall_epoch: int, speed: float) -> None:
        self.market_epoch = market_epoch
        self.wall_epoch = wall_epoch
        self.speed = speed

    def now(self) -> int:
        return self.market_epoch + int((time.time_ns() - self.wall_epoch) * self.speed)

    def monotonic(self) -> int:
        return time.monotonic_ns()

    def wall_seconds(self, market_ns: int) -> float:
        return market_ns / SECOND / self.speed


class ManualClock:
    """Time moves only when told to: tests, replay and backtests."""

    def __init__(self, now: int = 0) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def monotonic(self) -> int:
        return self._now

    def wall_seconds(self, market_ns: int) -> float:
        return market_ns / SECOND

    def advance_to(self, now: int) -> None:
        """Move forward; moving back is a caller's bug."""
        if now < self._now:
            msg = f"clock was asked to go back from {self._now} to {now}"
            raise ValueError(msg)
        self._now = now
