"""The predictor's thread as the event loop sees it: work goes over, results come back.

Must not know what the work is. Called by what the live shell does with models besides trading:
questions, swaps, checks, saving. All of it runs between bars and requests, on the one thread that
owns the source, so nothing here needs a lock.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TypeVar

from core.errors import TemporaryError

PATIENCE_S = 10.0
UNDER_WAY_S = 60.0
T = TypeVar("T")


class Thread(Protocol):
    """Who works; inference.predictor.PredictorThread."""

    def do(self, work: Callable[[], None]) -> bool: ...

    def when_idle(self, work: Callable[[], None]) -> bool: ...


class Worker:
    """Runs functions on the thread and waits for them on the loop that made it."""

    def __init__(self, thread: Thread, *, patience_s: float = PATIENCE_S) -> None:
        self._thread = thread
        self._patience_s = patience_s
        self._loop = asyncio.get_running_loop()

    async def run(self, work: Callable[[], T], *, idle: bool = False) -> T:
        """Give what `work` gives, or raise what it raises; `idle` lets all trading work go first.

        Raises TemporaryError when the thread has no room, or has not come to it in time; then it is never
        done. What has begun is waited for: its caller must not take it for undone and have it done.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        claim = threading.Lock()

        def done() -> None:
            if not claim.acquire(blocking=False):
                return  # nobody waits any more; it need not be done
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - edge of a thread: raised again where it was asked
                self._loop.call_soon_threadsafe(_fail, future, error)
            else:
                self._loop.call_soon_threadsafe(_end, future, result)

        if not (self._thread.when_idle(done) if idle else self._thread.do(done)):
            raise TemporaryError("expected room at the models; found them busy")
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience_s):
                    return await asyncio.shield(future)
            if claim.acquire(blocking=False):
                raise TemporaryError(
                    f"expected an answer of the models within {self._patience_s:g} s; found none"
                )
            with suppress(TimeoutError):
                async with asyncio.timeout(UNDER_WAY_S):
                    return await asyncio.shield(future)
            raise TemporaryError("expected the models to end what they had begun; found them at it still")
        finally:
            claim.acquire(blocking=False)  # whoever is cancelled wants it no more
            future.cancel()


def _end(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
