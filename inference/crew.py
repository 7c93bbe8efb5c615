"""A few threads that share one list of work while their caller waits and works along.

Must not know models. Called by inference.runner on the predictor's thread: a session of onnxruntime
gives up the interpreter lock while it runs, so a second thread has the second core.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable

Job = Callable[[], None]


class _Batch:
    """Work that is being done; the first thing that went wrong stops what has not begun."""

    def __init__(self, jobs: Iterable[Job], workers: int) -> None:
        self._jobs = deque(jobs)
        self._busy = threading.Semaphore(0)
        self._workers = workers
        self._wrong: BaseException | None = None

    def work(self) -> None:
        try:
            while (job := self._next()) is not None:
                job()
        except BaseException as wrong:  # noqa: BLE001 - edge of a thread: `finish` raises it
            self._wrong = self._wrong or wrong
            self._jobs.clear()
        finally:
            self._busy.release()

    def _next(self) -> Job | None:
        try:
            return self._jobs.popleft()
        except IndexError:  # another took the last one
            return None

    def finish(self) -> None:
        for _ in range(self._workers):
            self._busy.acquire()
        if self._wrong is not None:
            raise self._wrong


class Crew:
    """The caller and `helpers` daemon threads, which start with the first work and wait between times."""

    def __init__(self, helpers: int) -> None:
        self._helpers = helpers
        self._calls: list[deque[_Batch]] = []
        self._bells: list[threading.Semaphore] = []

    def run(self, jobs: Iterable[Job]) -> None:
        """Do all jobs, taken in order by whoever is free; raises what the first failing one raised."""
        batch = _Batch(jobs, self._helpers + 1)
        if not self._bells:
            self._start()
        for calls, bell in zip(self._calls, self._bells, strict=True):
            calls.append(batch)
            bell.release()
        batch.work()
        batch.finish()

    def _start(self) -> None:
        for number in range(self._helpers):
            self._calls.append(deque())
            self._bells.append(threading.Semaphore(0))
            threading.Thread(
                target=self._wait, args=(number,), name=f"predictor-{number + 2}", daemon=True
            ).start()

    def _wait(self, number: int) -> None:
        while True:
            self._bells[number].acquire()
            self._calls[number].popleft().work()
