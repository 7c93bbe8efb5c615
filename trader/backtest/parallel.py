"""Independent jobs over several processes: results in the order of the jobs, whoever was done first.

Must not know what a job does. Called for pairs and schedules by trader.commands.backtest_run, for folds
by training. A job gets everything that it needs as its argument and starts in a fresh process (spawn: no
thread or lock of ours is copied half-way), so its result cannot depend on how many work beside it.
"""

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from core.errors import InternalError, SeamarkError

J = TypeVar("J")
R = TypeVar("R")

_AWAKE_S = 0.25
"""How often the process that waits looks for an interrupt."""


def each(
    function: Callable[[J], R],
    jobs: Sequence[J],
    *,
    workers: int,
    on_done: Callable[[J], None] | None = None,
    name: Callable[[J], str] = str,
) -> list[R]:
    """Give `function(job)` for every job; `function` is one that a module names.

    `on_done` is told, here, of each job that has ended. One worker is this process. The first job that
    fails stops the rest: its own SeamarkError with the job's `name` before the words, InternalError for
    any other exception and for a process that died. An interrupt ends all workers at once.
    """
    if workers <= 1 or len(jobs) <= 1:
        return [_here(function, job, on_done, name) for job in jobs]
    pool = ProcessPoolExecutor(
        min(workers, len(jobs)), mp_context=multiprocessing.get_context("spawn"), initializer=_deaf
    )
    try:
        futures = {pool.submit(function, job): number for number, job in enumerate(jobs)}
        results = _gathered(futures, jobs, on_done, name)
    except BaseException:
        # No public way before Python 3.14: an interrupt must not wait for minutes of work.
        for process in list((pool._processes or {}).values()):  # noqa: SLF001
            process.terminate()
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()
    return [results[number] for number in range(len(jobs))]


def _gathered(
    futures: dict[Future[R], int],
    jobs: Sequence[J],
    on_done: Callable[[J], None] | None,
    name: Callable[[J], str],
) -> dict[int, R]:
    results: dict[int, R] = {}
    pending = set(futures)
    while pending:
        # Not without a limit: a signal may go to a library's own thread, and nothing then wakes this one.
        done, pending = wait(pending, timeout=_AWAKE_S, return_when=FIRST_COMPLETED)
        for future in done:
            number = futures[future]
            try:
                results[number] = future.result()
            except Exception as error:  # named by its job, and raised
                raise _named(error, name(jobs[number])) from error
            if on_done is not None:
                on_done(jobs[number])
    return results


def _here(
    function: Callable[[J], R], job: J, on_done: Callable[[J], None] | None, name: Callable[[J], str]
) -> R:
    try:
        result = function(job)
    except Exception as error:  # named by its job, and raised
        raise _named(error, name(job)) from error
    if on_done is not None:
        on_done(job)
    return result


def _named(error: Exception, job: str) -> SeamarkError:
    words = " ".join(str(error).split())
    if isinstance(error, SeamarkError):
        return type(error)(f"{job}: {words}")
    if isinstance(error, BrokenProcessPool):
        return InternalError(f"{job}: expected a result; found that a worker process died (out of memory?)")
    return InternalError(f"{job}: expected a result; found {type(error).__name__}: {words}")


def _deaf() -> None:
    """Leave an interrupt to the process that waits: a worker would only print where it was."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
