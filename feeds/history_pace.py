"""Politeness: how often a host is asked, and how long to wait after it refused.

Must not know HTTP nor any venue: a call either answers or raises LinkLost. Called by the history
sources. Pauses are wall time, for they are about the machine at the other end.
"""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

import msgspec

from core.clock import SECOND, Clock
from core.errors import LinkLost, VenueUnavailable

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]


class AskLater(LinkLost):
    """A refusal that says how long to wait."""

    def __init__(self, text: str, wait_s: float) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class Manners(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds between two calls of one lane, and between the tries of one call.

    A refusal doubles the lane's pause up to `pause_most_s`; each answer takes a tenth back.
    """

    pause_s: float = 0.2
    jitter_s: float = 0.1
    pause_most_s: float = 4.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    tries: int = 10


class Refusal(msgspec.Struct, frozen=True):
    """One try that failed and will be repeated after `wait_s`."""

    what: str
    reason: str
    wait_s: float


class Polite:
    """Makes calls one by one in lanes; a lane is a host, whatever instruments it is asked for."""

    def __init__(
        self,
        clock: Clock,
        *,
        random: Random,
        sleep: Sleep = asyncio.sleep,
        manners: Manners | None = None,
        on_refusal: Callable[[Refusal], None] = lambda _: None,
    ) -> None:
        self.requests = 0
        self.retries = 0
        self._clock = clock
        self._random = random
        self._sleep = sleep
        self._manners = manners or Manners()
        self._on_refusal = on_refusal
        self._free_at: dict[str, int] = {}
        self._pause: dict[str, float] = {}

    async def ask(self, lane: str, what: str, call: Callable[[], Awaitable[T]]) -> T:
        """Call until there is an answer.

        LinkLost is worth another try, bounded; then VenueUnavailable says what was found last.
        Every other error passes.
        """
        tries = self._manners.tries
        for failed in range(1, tries + 1):
            await self._turn(lane)
            self.requests += 1
            try:
                answer = await call()
            except LinkLost as refused:
                self._slow_down(lane)
                if failed == tries:
                    msg = f"{what}: expected an answer in {tries} tries, found: {refused}"
                    raise VenueUnavailable(msg) from refused
                await self._wait(what, refused, failed)
            else:
                self._speed_up(lane)
                return answer
        raise AssertionError

    async def _turn(self, lane: str) -> None:
        """Wait until the lane is free, and take it."""
        wait = self._free_at.get(lane, 0) - self._clock.monotonic()
        if wait > 0:
            await self._sleep(wait / SECOND)
        pause = self._pause.get(lane, self._manners.pause_s) + self._random.uniform(0, self._manners.jitter_s)
        self._free_at[lane] = self._clock.monotonic() + round(pause * SECOND)

    async def _wait(self, what: str, refused: LinkLost, failed: int) -> None:
        """Wait twice as long after each failure; a random half keeps two callers out of step."""
        ceiling = min(self._manners.longest_wait_s, self._manners.first_wait_s * 2 ** (failed - 1))
        wait = ceiling * self._random.uniform(0.5, 1.0)
        if isinstance(refused, AskLater):
            wait = min(self._manners.longest_wait_s, max(wait, refused.wait_s))
        self.retries += 1
        self._on_refusal(Refusal(what, str(refused), wait))
        await self._sleep(wait)

    def _slow_down(self, lane: str) -> None:
        pause = self._pause.get(lane, self._manners.pause_s)
        self._pause[lane] = min(self._manners.pause_most_s, pause * 2)

    def _speed_up(self, lane: str) -> None:
        self._pause[lane] = max(self._manners.pause_s, self._pause.get(lane, 0.0) * 0.9)
