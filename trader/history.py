"""Between the feed and the opinion source: each instrument's history first, then what is live.

Must not know the engine or the venue's protocol. Called by the live shell. Instruments become ready
one by one, the most liquid first; bars of one whose history is being fetched (at the start, after a
hole) are held back, and the others go on.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import structlog

from core.clock import MINUTE, SECOND, Clock
from core.errors import Recoverable
from core.events import Prediction, RequestOpinion, unanswered
from core.market import Bar, Timeframe
from feeds.bars import BarBuilder
from feeds.pace import Pace
from inference.predictor import PredictorThread
from trader import warmup
from trader.warmup import BarSource, History

WARMING = "features are warming up"
RETRY_S = 5.0
SERVED_S = 0.5
"""Wall time after which the venue serves a minute that has ended."""
CLOSING_S = 4.0
"""Wall time in which the feed closes a minute that history tells of already; it is patient for less."""
AT_ONCE = 4
KEPT = 128
"""Held bars of one instrument; what is older is in the history by the time it comes."""

log = structlog.get_logger()


class Wanted(NamedTuple):
    """What history is fetched of: instruments in order of liquidity, and which timeframes."""

    instruments: Sequence[str]
    timeframes: frozenset[Timeframe]


class Told(Protocol):
    """Who learns what became of it."""

    def on_history(self, instrument: str, bars: Sequence[Bar]) -> None:
        """Take the history of an instrument, in time order: it is ready now."""

    def on_readiness(self, ready: int, wanted: int, cold_start_s: float | None) -> None:
        """Take how many instruments are ready; the time of the first start once all are."""


class HistoryGate:
    """Feeds one opinion source. An instrument is cold until its history without a hole is in."""

    def __init__(
        self,
        wanted: Wanted,
        rest: BarSource,
        thread: PredictorThread,
        *,
        builder: BarBuilder,
        pace: Pace,
        clock: Clock,
        told: Told,
        deliver: Callable[[Prediction], None],
    ) -> None:
        """Wire up; nothing happens before the first `on_hole`."""
        self._rank = {instrument: rank for rank, instrument in enumerate(wanted.instruments)}
        self._timeframes = wanted.timeframes
        self._rest = rest
        self._thread = thread
        self._builder = builder
        self._pace = pace
        self._clock = clock
        self._told = told
        self._deliver = deliver
        self._cold = set(wanted.instruments)
        self._left_out: set[str] = set()
        self._due: dict[str, int] = {}
        self._not_before: dict[str, int] = {}
        self._held: dict[str, deque[Bar]] = {}
        self._wake = asyncio.Event()
        self._closed = asyncio.Event()
        self._began = clock.monotonic()
        self.retry_s = RETRY_S
        self.closing_s = CLOSING_S
        self.cold_start_s: float | None = None

    @property
    def warm(self) -> bool:
        """Tell whether any instrument can be decided on."""
        return len(self._cold) < len(self._rank)

    @property
    def cold(self) -> frozenset[str]:
        """Give the instruments whose history is not in."""
        return frozenset(self._cold)

    def on_hole(self, instruments: Iterable[str]) -> None:
        """Take note that bars of these begin, or go on after a hole: what came before is to be fetched."""
        now = self._clock.now()
        for instrument in instruments:
            if instrument in self._rank:
                self._left_out.discard(instrument)
                self._cold.add(instrument)
                self._due[instrument] = now
        self._wake.set()

    def leave_out(self, instrument: str) -> None:
        """Wait no longer for an instrument that the venue refuses to stream."""
        if instrument in self._cold and instrument not in self._due:
            self._left_out.add(instrument)
            self._tell()

    def on_bars(self, ts_close: int, bars: tuple[Bar, ...]) -> None:
        """Pass closed bars on, or hold those of instruments whose history is still to come."""
        self._closed.set()
        if self._cold:
            for bar in bars:
                if bar.instrument in self._cold:
                    self._held.setdefault(bar.instrument, deque(maxlen=KEPT)).append(bar)
            bars = tuple(bar for bar in bars if bar.instrument not in self._cold)
        if bars and not self._thread.on_bars(ts_close, bars):
            self.on_hole({bar.instrument for bar in bars})

    def request(self, request: RequestOpinion) -> None:
        """Pass a request on; before any history is in the answer is an error at once."""
        if self.warm:
            self._thread.request(request)
        else:
            self._deliver(unanswered(request, WARMING))

    def stop(self) -> None:
        """End the worker thread."""
        self._thread.stop()

    async def run(self) -> None:
        """Fetch history whenever it is due."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._work())

    # ---- inside ----

    async def _work(self) -> None:
        while True:
            instrument = self._next()
            if instrument is None:
                await self._something_due()
                continue
            due = self._due.pop(instrument)
            self._not_before.pop(instrument, None)
            try:
                history = await warmup.fetch(self._rest, self._pace, instrument, self._timeframes)
            except Recoverable as error:
                log.warning("history_not_served", instrument=instrument, reason=str(error))
                self._due.setdefault(instrument, due)
                self._not_before[instrument] = self._clock.now() + self._market_ns(self.retry_s)
                continue  # the next in rank has its turn: what is not served holds up nobody
            await self._overtaken(instrument, history)
            if instrument not in self._due:  # a new hole: this history has one already
                self._take(instrument, history)

    async def _overtaken(self, instrument: str, history: History) -> None:
        """Let the feed close the minutes that history tells of first: nobody tells of them afterwards."""
        newest = max((bar.ts_close for series in history.values() for bar in series), default=0)
        try:
            async with asyncio.timeout(self.closing_s):
                while instrument in self._builder.watched and self._builder.closed_until(instrument) < newest:
                    self._closed.clear()
                    await self._closed.wait()
        except TimeoutError:
            pass  # that minute is being repaired, or the feed is gone: history alone tells of it

    def _next(self) -> str | None:
        """Give the most liquid instrument whose beginning minute is over: live trades tell half of it."""
        now = self._clock.now()
        over = [name for name in self._due if now >= self._over(name)]
        return min(over, key=self._rank.__getitem__, default=None)

    def _over(self, instrument: str) -> int:
        """Give when an instrument may be asked for: its minute is served, and it was not refused just now."""
        due = self._due[instrument]
        served = due - due % MINUTE + MINUTE + self._market_ns(SERVED_S)
        return max(served, self._not_before.get(instrument, 0))

    def _market_ns(self, wall_s: float) -> int:
        return round(wall_s * SECOND / self._clock.wall_seconds(SECOND))

    async def _something_due(self) -> None:
        self._wake.clear()
        first = min(map(self._over, self._due), default=None)
        wait_s = None if first is None else self._clock.wall_seconds(first - self._clock.now())
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            pass  # it is due now

    def _take(self, instrument: str, fetched: History) -> None:
        """Join history and what closed meanwhile; from here on bars pass through."""
        held = self._held.pop(instrument, ())
        history = warmup.complete(fetched, held)
        if instrument in self._builder.watched:
            self._builder.warm(instrument, history)
        bars = sorted(
            (bar for series in (*history.values(), held) for bar in series),
            key=lambda bar: (bar.ts_close, bar.timeframe.ns),
        )
        self._cold.discard(instrument)  # first: the thread asks what is cold when it keeps features
        if not self._thread.warm(tuple(bars)):
            self.on_hole([instrument])
            return
        self._told.on_history(instrument, bars)
        self._tell()

    def _tell(self) -> None:
        missing = self._cold - self._left_out
        if not missing and self.cold_start_s is None:
            self.cold_start_s = (self._clock.monotonic() - self._began) / SECOND
            log.info("cold_start", seconds=round(self.cold_start_s, 1), instruments=len(self._rank))
        ready = len(self._rank) - len(self._cold)
        self._told.on_readiness(ready, len(self._rank), self.cold_start_s)
