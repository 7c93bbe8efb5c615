"""The one door of the engine: many senders, one order.

Must not know what events mean to the engine. Called by feed, gateways, predictor, control and
timer (put) and by the shell's engine loop (next). Stamps `ts` so that it never decreases.
Quotes are conflated per instrument; everything else is kept, and too much of it is fatal.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from core.clock import Clock
from core.errors import InternalError
from core.events import Event, Quotes
from core.market import Quote

CAPACITY = 20_000
"""Waiting events besides quotes. Executions are never dropped: a full door is a dead engine."""


class Entered(NamedTuple):
    """An event that came through, and whom to tell once its step is journaled."""

    event: Event
    journaled: Callable[[], None] | None


class Door:
    """A bounded inbox that hands out events one by one."""

    def __init__(self, clock: Clock, *, last_ts: int = 0) -> None:
        """Start empty; `last_ts` is the last stamp of an earlier session."""
        self._clock = clock
        self._last = last_ts
        self._events: deque[Entered] = deque()
        self._quotes: dict[str, Quote] = {}
        self._quoted = False
        self._wake = asyncio.Event()

    def put(self, event: Event, journaled: Callable[[], None] | None = None) -> None:
        """Add an event; its `ts` is replaced when it goes through."""
        if len(self._events) >= CAPACITY:
            msg = f"expected the engine to keep up, found {CAPACITY} events waiting"
            raise InternalError(msg)
        self._events.append(Entered(event, journaled))
        self._wake.set()

    def put_quote(self, quote: Quote) -> None:
        """Add a quote; a newer one of the same instrument replaces it."""
        self._quotes[quote.instrument] = quote
        self._wake.set()

    async def next(self) -> Entered:
        """Give the next event, stamped; quotes go first, for the rest is judged against them.

        Once, though: between two rounds of quotes one waiting event passes, or a fill would wait
        for as long as a burst lasts.
        """
        while not self._events and not self._quotes:
            self._wake.clear()
            await self._wake.wait()
        self._last = max(self._last, self._clock.now())
        if self._quotes and not (self._quoted and self._events):
            self._quoted = True
            quotes, self._quotes = tuple(self._quotes.values()), {}
            return Entered(Quotes(ts=self._last, quotes=quotes), None)
        self._quoted = False
        event, journaled = self._events.popleft()
        return Entered(msgspec.structs.replace(event, ts=self._last), journaled)
