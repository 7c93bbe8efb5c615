"""A loopback venue in a thread of its own: clients that block must not stop the venue."""

import asyncio
import base64
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from aiohttp import web

from core.clock import DAY, SECOND, ManualClock
from core.text import parse_iso
from venue.exchange_orders import FeeSchedule
from venue.loopback import HOST, Loopback, LoopbackPorts, LoopbackSettings, application, build
from venue.loopback_faults import Fault
from venue.loopback_keys import ApiKey, LoopbackAccount
from venue.market_model import Ladder, Level

XRP, BTC = "XRP/USDT", "BTC/USDT"
SECRET = base64.b64encode(b"a secret of the loopback venue").decode()
READER = ApiKey(key="reader", secret=SECRET, name="reader", permissions=("query-funds",))
SOCKETLESS = ApiKey(
    key="socketless", secret=SECRET, name="socketless", permissions=("query-funds", "modify-trades")
)
START = parse_iso("2024-06-14T12:00:00Z") + DAY
CASH = Decimal(10_000)
MAKER, TAKER = Decimal("0.0025"), Decimal("0.004")
_STEP = 2 * SECOND  # of market time for every step below
_STEP_S = 0.01
_BEAT_STEPS = 30  # heartbeats come often, so that clients that wait for one do not wait long


class VenueThread:
    """The venue's loop and its manual clock, which runs two hundred times as fast as the wall."""

    def __init__(self, **settings: Any) -> None:
        self.clock = ManualClock(START)
        self.settings = LoopbackSettings(
            lake=Path(__file__).parents[2] / "configs" / "market",
            symbols=(XRP, BTC),
            accounts={"paper": LoopbackAccount("key", SECRET, CASH, (READER, SOCKETLESS))},
            market_epoch=START,
            wall_epoch=0,
            fees=FeeSchedule(maker=MAKER, taker=TAKER),
            **settings,
        )
        self.venue: Loopback = build(self.settings, self.clock)
        self.ports = LoopbackPorts(port=0)
        self._running = threading.Event()
        self._running.set()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._done = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10), "the venue did not come up"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(10)
        self._loop.close()

    @contextmanager
    def still(self) -> Iterator[None]:
        """Stop market time: nothing moves and no order arrives until it goes on."""
        self.run(self._running.clear)
        try:
            yield
        finally:
            self._running.set()

    def run(self, act: Callable[..., Any], *values: object) -> Any:
        """Call something of the venue on its own loop."""

        async def acted() -> Any:
            return act(*values)

        return asyncio.run_coroutine_threadsafe(acted(), self._loop).result(10)

    def arm(self, **fault: Any) -> None:
        """Arm a fault of the loopback."""
        self.run(self.venue.faults.schedule.add, [Fault(**fault)], self.clock.now())

    def book(self, symbol: str, depth: int = 10) -> dict[str, list[list[float]]]:
        """Give the best levels that the venue last published, as a client without decimals has them."""
        pair, ladder = self.venue.exchange.instruments[symbol], self.run(self._ladder, symbol)

        def rows(levels: Iterable[Level]) -> list[list[float]]:
            sizes = 10**pair.price_precision, 10**pair.quantity_precision
            return [[level.ticks / sizes[0], level.lots / sizes[1]] for level in levels]

        return {"bids": rows(ladder.bids[:depth]), "asks": rows(ladder.asks[:depth])}

    def _ladder(self, symbol: str) -> Ladder:
        return self.venue.public._ladder(symbol, self.clock.now())

    async def _serve(self) -> None:
        runner = web.AppRunner(application(self.venue), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        self.ports = LoopbackPorts(port=runner.addresses[0][1])
        self._ready.set()
        steps = 0
        while not self._done.is_set():
            steps += 1
            if self._running.is_set():
                self.clock.advance_to(self.clock.now() + _STEP)
                self.venue.pump()
            if steps % _BEAT_STEPS == 0:
                self.venue.public.heartbeat()
                self.venue.private.heartbeat()
            await asyncio.sleep(_STEP_S)
        await runner.cleanup()


@contextmanager
def venue_thread(**settings: Any) -> Iterator[VenueThread]:
    world = VenueThread(**settings)
    world.start()
    try:
        yield world
    finally:
        world.stop()


async def until(look: Callable[[], Any], *, bound: float = 10.0) -> Any:
    """Look, or call and wait, again and again until the answer is true; give the answer."""
    async with asyncio.timeout(bound):
        while True:
            found = look()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.01)
