"""What leaves for one account, in order, after it was journaled.

Must not know the engine. Called by the live shell; talks to one execution gateway. Orders never
wait behind questions: reconciliation is asked by a task of its own.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from core.errors import InternalError
from core.events import RequestReconcile
from core.orders import VenueCommand
from execution.gateway import Gateway

CAPACITY = 5_000


class Outbox:
    """A bounded, ordered queue in front of a gateway."""

    def __init__(self, gateway: Gateway, *, watch: Callable[[], Callable[[], None]] | None = None) -> None:
        """Take the gateway over: `run` runs it.

        `watch` is called as a batch begins to wait, and what it gave once the gateway has taken it.
        """
        self._gateway = gateway
        self._watch = watch
        self._taken: Callable[[], None] | None = None
        self._commands: deque[VenueCommand] = deque()
        self._question: RequestReconcile | None = None
        self._wake = asyncio.Event()
        self._asked = asyncio.Event()

    def put(self, command: VenueCommand | RequestReconcile) -> None:
        """Add a command; a newer question replaces one that has not been asked yet."""
        if isinstance(command, RequestReconcile):
            self._question = command
            self._asked.set()
            return
        if len(self._commands) >= CAPACITY:
            msg = f"expected the gateway to keep up, found {CAPACITY} commands waiting"
            raise InternalError(msg)
        if self._watch is not None and not self._commands:
            self._taken = self._watch()
        self._commands.append(command)
        self._wake.set()

    async def run(self) -> None:
        """Run the gateway and send what comes, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._gateway.run())
                group.create_task(self._send())
                group.create_task(self._ask())
        finally:
            await self._gateway.close()

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch = tuple(self._commands)
            self._commands.clear()
            taken, self._taken = self._taken, None
            await self._gateway.send(batch)
            if taken is not None:
                taken()

    async def _ask(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            question, self._question = self._question, None
            if question is not None:
                await self._gateway.reconcile(question)
