"""Feature kernels are compiled before anything trades, never while it does.

Must not know what they compute. Called by trader.assemble at the start and by `trader doctor`.
"""

import asyncio

import structlog

from core.clock import SECOND, Clock
from inference.features.kernel import CACHE
from inference.warm import warm

log = structlog.get_logger()


def cached() -> int:
    """Give how many kernels of exactly these sources lie in the cache."""
    return sum(1 for _ in CACHE.rglob("*.nbi"))


async def prepare(clock: Clock) -> None:
    """Load every kernel into this process; where the cache is cold, compile it, which takes a minute."""
    began, cold = clock.monotonic(), not cached()
    if cold:
        log.info("kernels_compiling", reason="none for this version yet", folder=str(CACHE))
    await asyncio.to_thread(warm, _say if cold else None)
    log.info("kernels_ready", cold=cold, seconds=round((clock.monotonic() - began) / SECOND, 1))


def _say(number: int, of: int, name: str) -> None:
    log.info("kernel_compiling", kernel=name, number=number, of=of)
