"""Several runs over one lake, side by side: every pair alone, every fee schedule, whatever configurations.

Must not know why they are made or what becomes of them. Called by `trader backtest run` and by training.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from trader.backtest.budget import MEMORY_MB
from trader.backtest.parallel import each
from trader.backtest.result import BacktestResult
from trader.backtest.run import run
from trader.config import Config


class Variant(NamedTuple):
    """One configuration to run, under a name that progress and errors carry."""

    name: str
    config: Config


class _Job(NamedTuple):
    variant: Variant
    lake: Path
    start: int
    end: int
    cache: Path | None
    memory_mb: int
    keep_signals: bool


def run_each(
    variants: Sequence[Variant],
    lake: Path,
    start: int,
    end: int,
    *,
    workers: int = 1,
    cache: Path | None = None,
    memory_mb: int = MEMORY_MB,
    keep_signals: bool = False,
    on_done: Callable[[str], None] | None = None,
) -> list[BacktestResult]:
    """Run every variant over [start, end) as `run` does; results in order, the same for any `workers`.

    `memory_mb` is for all of them together. Raises as `run` and `each` do, the variant's name first.
    """
    at_once = max(1, min(workers, len(variants)))
    jobs = [_Job(one, lake, start, end, cache, memory_mb // at_once, keep_signals) for one in variants]
    told = None if on_done is None else (lambda job: on_done(job.variant.name))
    return each(_run, jobs, workers=at_once, on_done=told, name=_name)


def _run(job: _Job) -> BacktestResult:
    return run(
        job.variant.config,
        job.lake,
        job.start,
        job.end,
        cache=job.cache,
        memory_mb=job.memory_mb,
        keep_signals=job.keep_signals,
    )


def _name(job: _Job) -> str:
    return job.variant.name
