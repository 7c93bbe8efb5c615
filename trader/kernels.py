"""Feature kernels are compiled before anything trades, never while it does.

Must not know what they compute. Called by trader.assemble at the start and by `trader doctor`.
"""

import asyncio
import platform
from contextlib import suppress

import structlog

from core.clock import SECOND, Clock
from inference.features.kernel import CACHE
from inference.warm import warm

COMPLETE = f"complete-{platform.node()}"
"""Marks a cache that holds every kernel; compiled code of another machine may not run on this one."""

log = structlog.get_logger()


def cached() -> int:
    """Give how many kernels of exactly these sources lie in the cache."""
    return sum(1 for _ in CACHE.rglob("*.nbi"))


async def prepare(clock: Clock) -> None:
    """Compile every kernel that the cache lacks: a minute where it is cold, nothing where it is whole."""
    if (CACHE / COMPLETE).exists():
        return
    began, cold = clock.monotonic(), not cached()
    if cold:
        log.info("kernels_compiling", reason="none for this version yet", folder=str(CACHE))
    await asyncio.to_thread(warm, _say if cold else None)
    with suppress(OSError):  # a cache that only root writes, as in an image, is looked through each time
        (CACHE / COMPLETE).touch()
    log.info("kernels_ready", cold=cold, seconds=round((clock.monotonic() - began) / SECOND, 1))


def _say(number: int, of: int, name: str) -> None:
    log.info("kernel_compiling", kernel=name, number=number, of=of)
