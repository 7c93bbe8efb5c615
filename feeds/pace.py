"""The pace of public REST calls: one budget for everybody in the process who asks.

Must not know what is asked. Shared by feeds.repair, feeds.witness and trader.history.
"""

import asyncio

from core.clock import SECOND, Clock
from venue.limits import RestBudget

BURST, RATE = 20.0, 1.0
"""Calls at once and per second that an address may make; the venue's pages name no exact figure."""


class Pace:
    """Lets callers through one by one; counts in market time, as the venue's counter does."""

    def __init__(self, clock: Clock, *, burst: float = BURST, rate: float = RATE) -> None:
        self._clock = clock
        self._budget = RestBudget(burst, rate)

    async def turn(self) -> None:
        """Wait until another call fits; who comes first goes first."""
        now = self._clock.now()
        wait_s = self._budget.wait_s(1.0, now)
        self._budget.charge(1.0, now)
        if wait_s > 0:
            await asyncio.sleep(self._clock.wall_seconds(round(wait_s * SECOND)))
