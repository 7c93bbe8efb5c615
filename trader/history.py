"""Between the feed and the opinion source: history first, then what is live, in one order.

Must not know the engine or the venue's protocol. Called by the live shell. While history is being
fetched (at start and after every gap) live bars are held back; requests are answered "warming up".
"""

import asyncio
from collections.abc import Callable

from core.clock import MINUTE
from core.errors import VenueUnavailable
from core.events import Prediction, RequestOpinion, unanswered
from core.market import Bar
from inference.predictor import PredictorThread
from trader import warmup
from trader.assemble import Parts

WARMING = "features are warming up"
RETRY_S = 5.0
SERVED_S = 0.5
"""Wall time after which the venue serves a minute that has ended."""


class HistoryGate:
    """Feeds one opinion source; `warm` tells whether it has seen history without a hole."""

    def __init__(self, parts: Parts, *, deliver: Callable[[Prediction], None]) -> None:
        """Wire up; nothing happens before the first `on_link_up`."""
        self._parts = parts
        self._deliver = deliver
        self._thread: PredictorThread | None = None
        self._held: list[tuple[int, tuple[Bar, ...]]] = []
        self._fed = 0
        self._due = asyncio.Event()
        self.warm = False

    def on_link_up(self) -> None:
        """Take note that the feed is complete from now on: what came before has to be fetched."""
        self.warm = False
        self._due.set()

    def on_bars(self, ts_close: int, bars: tuple[Bar, ...]) -> None:
        """Pass closed bars on, or hold them until history is in."""
        if self.warm and self._thread is not None:
            self._thread.on_bars(ts_close, bars)
            self._fed = ts_close
        else:
            self._held.append((ts_close, bars))

    def request(self, request: RequestOpinion) -> None:
        """Pass a request on; before history is in the answer is an error at once."""
        if self.warm and self._thread is not None:
            self._thread.request(request)
            return
        self._deliver(unanswered(request, WARMING))

    def stop(self) -> None:
        """End the worker thread."""
        if self._thread is not None:
            self._thread.stop()

    async def run(self) -> None:
        """Fetch history whenever it is due."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self._warm_up()
            except VenueUnavailable:
                if self._thread is None:
                    raise
                await asyncio.sleep(RETRY_S)
                self._due.set()

    async def _minute_over(self) -> None:
        """Wait until the minute in which the feed began is history: live trades tell only half of it."""
        clock = self._parts.clock
        now = clock.now()
        await asyncio.sleep(clock.wall_seconds(MINUTE - now % MINUTE) + SERVED_S)

    async def _warm_up(self) -> None:
        parts = self._parts
        await self._minute_over()
        fetched = await warmup.fetch(parts.rest, parts.symbols, parts.timeframes)
        if self._due.is_set():
            return  # the link fell and rose meanwhile: this history has a hole already
        for symbol, history in fetched.items():
            live = [bar for _, bars in self._held for bar in bars if bar.instrument == symbol]
            fetched[symbol] = warmup.complete(history, live)
            if symbol in parts.builder.watched:  # the venue may refuse to stream what it lists
                parts.builder.warm(symbol, history)
        held, self._held = self._held, []
        groups = warmup.by_close(fetched.values())
        parts.read_model.on_history(bar for _, bars in groups for bar in bars)
        if self._thread is None:
            await asyncio.to_thread(parts.learn_history, groups)
            self._thread = PredictorThread(
                parts.source,
                budget_ns=parts.budget_ns,
                clock=parts.clock,
                deliver=self._deliver,
            )
        else:
            for ts_close, bars in groups:
                if ts_close > self._fed:
                    self._thread.on_bars(ts_close, bars)
        for ts_close, bars in [*held, *self._held]:
            self._thread.on_bars(ts_close, bars)
            self._fed = ts_close
        self._held = []
        self.warm = True
