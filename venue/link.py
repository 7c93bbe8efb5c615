"""One WebSocket connection kept alive for ever: the only place that opens a socket to the venue.

Must not know what a session's frames mean.
Called by feeds.live and execution.live, which hand in a session and receive its events.
"""

import asyncio
from collections.abc import Awaitable, Callable
from random import SystemRandom
from typing import Any, Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from core.clock import SECOND, Clock
from core.errors import LinkLost, Recoverable
from venue.limits import ConnectionBudget
from venue.session import Dead, Ready, SystemStatus

TICK_S = 0.25
OPEN_S = 10.0
SETTLED = 60 * SECOND
"""A connection that was ready for this long earns a quick reconnect again."""
DELAYS_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""A drop is answered at once, an outage not faster than every five seconds (the venue's advice)."""
MAINTENANCE_S = 5.0
"""After maintenance no reconnect comes faster than this (Kraken, "Spot WebSocket introduction")."""


_jitter = SystemRandom().random


class Session(Protocol):
    """What a link drives; see venue.session."""

    def connected(self, now: int) -> None:
        """Start from nothing on a fresh connection."""

    def receive(self, frame: bytes, now: int) -> list[Any]:
        """Give what a frame means."""

    def outgoing(self) -> list[bytes]:
        """Give and forget the frames to send."""

    def on_time(self, now: int) -> list[Any]:
        """Give what the passing of time means."""


async def _nothing() -> None:
    return None


class Link:
    """Connect, drive the session, and after every loss do it again with growing, jittered pauses.

    `on_event` gets the session's events, `on_down` the reason of each loss (also of an attempt
    that failed). `prepare` runs before each attempt (a fresh token); only Recoverable errors of
    it are survived. A session's Dead event cuts the connection. `budget` is shared by all links of
    a process; `spare` places of it this link leaves to others.
    """

    def __init__(
        self,
        url: str,
        session: Session,
        clock: Clock,
        *,
        on_event: Callable[[Any], None],
        on_down: Callable[[str], None],
        prepare: Callable[[], Awaitable[None]] = _nothing,
        budget: ConnectionBudget | None = None,
        spare: int = 0,
        delays_s: tuple[float, ...] = DELAYS_S,
        jitter: Callable[[], float] = _jitter,
    ) -> None:
        self.url = url
        self.session = session
        self.clock = clock
        self.on_event = on_event
        self.on_down = on_down
        self.prepare = prepare
        self.delays_s = delays_s
        self.jitter = jitter
        self.budget = budget or ConnectionBudget()
        self.spare = spare
        self._maintenance = False
        self._failures = 0
        self._ready_at: int | None = None
        self._wanted = asyncio.Event()

    def flush(self) -> None:
        """Say that the session has something to send."""
        self._wanted.set()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            await asyncio.sleep(self.budget.take(self.clock.monotonic(), spare=self.spare))
            reason = await self._once()
            now = self.clock.monotonic()
            if self._ready_at is not None and now - self._ready_at > SETTLED:
                self._failures = 0
            self._ready_at = None
            self.on_down(reason)
            await asyncio.sleep(self._pause_s())

    def _pause_s(self) -> float:
        """Give the pause after one more loss: growing, jittered, never short after maintenance."""
        pause = self.delays_s[min(self._failures, len(self.delays_s) - 1)] * (0.5 + self.jitter())
        self._failures += 1
        return max(pause, MAINTENANCE_S) if self._maintenance else pause

    async def _once(self) -> str:
        """Live through one connection; gives why it ended."""
        reasons: list[str] = []
        try:
            await self.prepare()
            async with (
                asyncio.timeout(OPEN_S) as opening,
                connect(
                    self.url,
                    ping_interval=None,  # the application's heartbeat is the watchdog
                    compression=None,
                    close_timeout=1.0,
                    max_size=2**24,
                    open_timeout=None,
                    proxy=None if urlsplit(self.url).hostname == "127.0.0.1" else True,
                ) as socket,
            ):
                opening.reschedule(None)
                await self._drive(socket)
        except* (Recoverable, WebSocketException, OSError) as group:
            reasons += [str(error) or type(error).__name__ for error in _leaves(group)]
        return reasons[0] if reasons else "connection ended"

    async def _drive(self, socket: ClientConnection) -> None:
        self.session.connected(self.clock.monotonic())
        self._wanted.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write(socket))
            group.create_task(self._tick())
            group.create_task(self._read(socket))

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            frame = await socket.recv(decode=False)
            self._deliver(self.session.receive(frame, self.clock.monotonic()))

    async def _write(self, socket: ClientConnection) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            for frame in self.session.outgoing():
                async with asyncio.timeout(OPEN_S):
                    await socket.send(frame, text=True)  # the venue reads text frames only

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._deliver(self.session.on_time(self.clock.monotonic()))
            self._wanted.set()

    def _deliver(self, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, Dead):
                raise LinkLost(event.reason)
            if isinstance(event, SystemStatus):
                self._maintenance = event.system == "maintenance"
            if isinstance(event, Ready):
                self._ready_at = self.clock.monotonic()
            self.on_event(event)
        if events:
            self._wanted.set()


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]
