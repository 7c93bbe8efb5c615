"""What the models' thread does between decisions: live features are checked, and kept on disk.

Must not know how either is done. Called by the live shell. A check that fails stops entries at once,
by an operator's event, so that it is in the journal and only `trader resume` ends it. The history of what
differed is fetched anew, and from then on nothing of this process' features is kept for a restart.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

import structlog

from core.clock import MINUTE, SECOND, Clock
from core.errors import DataError, TemporaryError
from core.events import Notice, Operator, Severity, Verb
from inference.features.parity import Mismatch
from trader import feature_state
from trader.heap import give_back
from trader.parity_watch import WatchedSource
from trader.tables import Inference
from trader.worker import Worker

ACTOR = "parity"
CALM = MINUTE // 3
"""Market time after a close, before the state is kept and unused memory given back: of a thousand pairs
the first takes a second, and no request may have to wait for either.
"""
NAMED = 3
"""Differing columns that are told of one by one."""

log = structlog.get_logger()


class Board(Protocol):
    """Who shows what was found; the read model."""

    def on_notice(self, notice: Notice) -> None: ...

    def on_parity(self, values: int, differing: int) -> None: ...


class Upkeep:
    """Works after closes, when nothing else waits; `cold` names, on any thread, whose history is due."""

    def __init__(
        self,
        source: WatchedSource,
        worker: Worker,
        path: Path,
        *,
        table: Inference,
        clock: Clock,
        board: Board,
        cold: Callable[[], Collection[str]],
        repair: Callable[[Collection[str]], None],
        put: Callable[[Operator], None],
    ) -> None:
        self._source = source
        self._worker = worker
        self._path = path
        self._table = table
        self._clock = clock
        self._board = board
        self._cold = cold
        self._repair = repair
        self._put = put
        self._closes = 0
        self._closed = asyncio.Event()
        self._kept_at = clock.monotonic()
        self._wrong = asyncio.Event()
        self._keeping = asyncio.Lock()
        self.calm = CALM

    def on_bars(self) -> None:
        """Note that bars closed."""
        self._closes += 1
        self._closed.set()

    async def run(self) -> None:
        """Check and keep whenever it is due, until cancelled."""
        while True:
            await self._closed.wait()
            self._closed.clear()
            try:
                if self._closes >= self._table.parity_every_closes:
                    self._closes = 0
                    await self.check()
                if self._clock.monotonic() - self._kept_at >= self._table.save_every_s * SECOND:
                    await asyncio.sleep(self._clock.wall_seconds(self.calm))
                    await self.keep()
                    await self._worker.run(give_back, idle=True)
            except TemporaryError as busy:
                log.warning("upkeep_put_off", reason=str(busy))

    async def check(self) -> None:
        """Compare the sample's live features with an offline computation; stop entries if they differ."""
        found = await self._worker.run(self._source.check, idle=True)
        self._board.on_parity(self._source.checked, len(found))
        if found:
            self._distrust(found)

    async def keep(self) -> None:
        """Write the state of features down, unless they are known to be wrong."""
        self._kept_at = self._clock.monotonic()
        if self._wrong.is_set():
            return
        try:
            async with self._keeping:  # a stop may come meanwhile, and both write to one place
                state = await self._worker.run(lambda: self._source.save(self._cold), idle=True)
                await asyncio.to_thread(feature_state.write, self._path, state, self._clock.now())
                if self._wrong.is_set():  # found out meanwhile
                    feature_state.forget(self._path)
                    return
        except DataError as error:
            log.warning("features_not_kept", reason=str(error))
        else:
            log.info("features_kept", bytes=len(state))

    def _distrust(self, found: Sequence[Mismatch]) -> None:
        self._wrong.set()
        feature_state.forget(self._path)
        text = _sentence(found)
        log.error("features_differ", reason=text)
        self._board.on_notice(
            Notice(Severity.CRITICAL, "features_differ", text, instrument=found[0].instrument)
        )
        self._put(Operator(0, Verb.PAUSE, ACTOR, text))
        self._repair({one.instrument for one in found})


def _sentence(found: Sequence[Mismatch]) -> str:
    more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return "; ".join(map(_words, found[:NAMED])) + more


def _words(one: Mismatch) -> str:
    column = f"{one.instrument} {one.timeframe.value}.{one.column}"
    return f"{column} is {one.live:.9g} live and {one.offline:.9g} offline"
