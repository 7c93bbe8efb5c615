"""One of the connections that the market's symbols are dealt to.

Must not know bars, verdicts or the other connections. Owned by feeds.live, which hears everything
that happens on it together with who it was.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from random import SystemRandom

from core.clock import SECOND, Clock
from venue.limits import SPARE, ConnectionBudget
from venue.link import Link
from venue.public import PublicEvent, PublicSession

_jitter = SystemRandom().random


class Connection:
    """A session, its link, and whether it works; `told` is the newest time that the venue spoke of."""

    def __init__(
        self,
        url: str,
        session: PublicSession,
        clock: Clock,
        *,
        on_event: Callable[["Connection", PublicEvent], None],
        on_down: Callable[["Connection", str], None],
        budget: ConnectionBudget,
        delays_s: tuple[float, ...],
    ) -> None:
        self.session = session
        self.up = False
        self.told = 0
        self._clock = clock
        self._link = Link(
            url,
            session,
            clock,
            on_event=lambda event: on_event(self, event),
            on_down=lambda reason: on_down(self, reason),
            budget=budget,
            spare=SPARE,  # the account's link may always try
            delays_s=delays_s,
        )

    async def run(self, after_s: float) -> None:
        """Connect after a pause (jittered, so that a fleet does not come as one), stay until cancelled."""
        await asyncio.sleep(after_s * (0.5 + _jitter()))
        await self._link.run()

    def hear(self, ts_event: int) -> None:
        """Note a time that the venue spoke of; one from the future says no more than now."""
        if ts_event > self.told:
            self.told = max(self.told, min(ts_event, self._clock.now()))

    def play(self, symbols: Iterable[str]) -> None:
        """Keep verified books of these symbols."""
        self.session.play(symbols)
        self._link.flush()

    @property
    def silent_s(self) -> float:
        """Give the seconds since the last frame."""
        return (self._clock.monotonic() - self.session.heard) / SECOND


def deal(symbols: Sequence[str], most: int) -> list[tuple[str, ...]]:
    """Deal symbols, the most liquid first, to as few connections as possible.

    In turn, so that each gets its share of busy ones: a connection of quiet symbols alone could not
    be told from a dead one.
    """
    count = -(-len(symbols) // most)
    return [tuple(symbols[at::count]) for at in range(count)]
