"""The loopback venue: a Kraken of one's own on 127.0.0.1, fed by recorded bars.

Must not know who connects; it shares only the clock's three numbers with the daemon. Called by
`trader loopback`. It encodes from its own templates, so that a misreading of the protocol in the
client cannot hide behind the same misreading here. Orders and positions live in this process:
they outlast any client.
"""

import asyncio
from collections.abc import Callable, Iterator
from heapq import merge
from itertools import count
from pathlib import Path

import msgspec
import polars as pl
from aiohttp import web

from core.clock import SECOND, Clock, ScaledClock
from core.errors import ConfigError, DataError, TemporaryError
from core.instrument import Instrument
from core.market import Timeframe
from core.text import iso
from venue.exchange import Exchange
from venue.exchange_listing import listed
from venue.exchange_orders import FeeSchedule
from venue.exchange_settings import KRAKEN, ExchangeRules
from venue.loopback_changes import Changes
from venue.loopback_connection import Desk, converse
from venue.loopback_keys import KeyRing, LoopbackAccount
from venue.loopback_private import PrivateDesk
from venue.loopback_public import PublicDesk
from venue.loopback_rest import RestShell
from venue.loopback_rest_private import PrivateAnswers
from venue.loopback_rest_public import PublicAnswers
from venue.loopback_switches import DOCUMENTED, PrivateSwitches
from venue.market_model import Events, SourceBars, Tape

HOST = "127.0.0.1"
_PUMP_S = 0.01
_MILLISECOND = SECOND // 1000
_NUMBERS = ("open", "high", "low", "close", "volume")


class LoopbackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the loopback serves. `market_epoch`, `wall_epoch` (ns) and `speed` make its clock."""

    lake: Path
    symbols: tuple[str, ...]
    accounts: dict[str, LoopbackAccount]
    market_epoch: int
    wall_epoch: int
    fees: FeeSchedule
    venue: str = "binance"
    timeframe: Timeframe = Timeframe.M5
    host: str = HOST
    port: int = 0
    speed: float = 1.0
    seed: int = 1
    latency_ns: int = 5_000_000
    rules: ExchangeRules = KRAKEN
    switches: PrivateSwitches = DOCUMENTED


class LoopbackPorts(msgspec.Struct, frozen=True):
    """Where the loopback listens."""

    port: int

    @property
    def rest(self) -> str:
        """Base of REST, without the `/0`."""
        return f"http://{HOST}:{self.port}"

    @property
    def public(self) -> str:
        """WS v2 of market data."""
        return f"ws://{HOST}:{self.port}/v2"

    @property
    def private(self) -> str:
        """WS v2 of accounts and orders."""
        return f"ws://{HOST}:{self.port}/v2-auth"


class Loopback:
    """The venue without its server: desks around one exchange, driven by `pump`."""

    def __init__(
        self,
        instruments: dict[str, Instrument],
        tapes: dict[str, Tape],
        settings: LoopbackSettings,
        clock: Clock,
    ) -> None:
        self._tapes = tapes
        self._clock = clock
        self._seen = clock.now()
        changes, keys = Changes(), KeyRing(settings.accounts, clock)
        self.exchange = Exchange(
            instruments,
            fees=settings.fees,
            latency_ns=settings.latency_ns,
            seed=settings.seed,
            rules=settings.rules,
            listener=changes.on_change,
        )
        for name, account in settings.accounts.items():
            self.exchange.open_account(name, account.cash)
        self.work = asyncio.Event()
        self.public = PublicDesk(self.exchange.instruments, tapes, clock)
        self.private = PrivateDesk(self.exchange, changes, keys, clock, self.work.set, settings.switches)
        self.rest = RestShell(
            PublicAnswers(self.exchange.instruments, tapes, settings.fees, clock, lambda: self.public.mode),
            PrivateAnswers(self.exchange, changes, keys, clock, self.work.set),
            keys,
        )
        self._open_markets()

    def pump(self) -> None:
        """Let everything happen that is due: market events in time order, then arrivals."""
        now = self._clock.now()
        streams = [self._due(symbol, now) for symbol in self._tapes]
        for _, symbol, at, events in merge(*streams, key=lambda row: row[:2]):
            tape = self._tapes[symbol]
            trade = tape.trade(events, at) if events.lots[at] else None
            if trade is not None:
                self.exchange.on_trade(trade)
            self.exchange.on_quote(tape.quote(events, at))
            self.public.on_event(symbol, events, at, trade)
        self._seen = max(self._seen, now)
        self.exchange.advance(now)

    def pause(self) -> float:
        """Give the wall seconds until the next thing is due, bounded by the pump's own beat."""
        due = self.exchange.next_due()
        if due is None:
            return _PUMP_S
        return min(_PUMP_S, max(0.0, self._clock.wall_seconds(due - self._clock.now())))

    def _due(self, symbol: str, now: int) -> Iterator[tuple[int, str, int, Events]]:
        for events, at in self._tapes[symbol].between(self._seen, now):
            yield int(events.ts[at]), symbol, at, events

    def _open_markets(self) -> None:
        for symbol, tape in self._tapes.items():
            found = tape.at(self._seen)
            end = int(tape.ts[-1]) + tape.length
            if found is None or end <= self._seen:
                span = f"{iso(int(tape.ts[0]))} to {iso(end)}"
                raise DataError(
                    f"expected bars of {symbol} at the market time {iso(self._seen)}, found {span}"
                )
            self.exchange.on_quote(tape.quote(*found))


async def serve(settings: LoopbackSettings, *, ready: Callable[[LoopbackPorts], None]) -> None:
    """Serve until cancelled; `ready` is called once, when clients may connect.

    Raises ConfigError for any address but 127.0.0.1, TemporaryError for a port that is taken and
    DataError for bars that cannot be used.
    """
    if settings.host != HOST:
        raise ConfigError(f"expected host {HOST} for the loopback venue, found {settings.host!r}")
    clock = ScaledClock(
        market_epoch=settings.market_epoch, wall_epoch=settings.wall_epoch, speed=settings.speed
    )
    venue = build(settings, clock)
    runner = web.AppRunner(application(venue), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except OSError as error:
            raise TemporaryError(f"expected {HOST}:{settings.port} to be free; found: {error}") from error
        ready(LoopbackPorts(port=runner.addresses[0][1]))
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(venue))
            group.create_task(_beat(venue))
    finally:
        await runner.cleanup()


def build(settings: LoopbackSettings, clock: Clock) -> Loopback:
    """Load bars and wire the venue; CPU-bound, some ten milliseconds a symbol."""
    instruments = listed(settings.symbols)
    tapes = {
        symbol: Tape(instrument, read_bars(settings, symbol), seed=settings.seed)
        for symbol, instrument in instruments.items()
    }
    return Loopback(instruments, tapes, settings, clock)


def application(venue: Loopback) -> web.Application:
    """Give the aiohttp application of a venue."""
    numbers = count(1)

    async def websocket(request: web.Request, desk: Desk) -> web.WebSocketResponse:
        return await converse(request, desk, lambda: next(numbers))

    async def public(request: web.Request) -> web.WebSocketResponse:
        return await websocket(request, venue.public)

    async def private(request: web.Request) -> web.WebSocketResponse:
        return await websocket(request, venue.private)

    app = web.Application()
    app.router.add_get("/v2", public)
    app.router.add_get("/v2-auth", private)
    app.router.add_route("*", "/0/public/{method}", venue.rest.public)
    app.router.add_post("/0/private/{method}", venue.rest.private)
    return app


def read_bars(settings: LoopbackSettings, symbol: str) -> SourceBars:
    """Read one series of the lake; the floors keep `feeds` out of reach from here."""
    name = f"{symbol.replace('/', '-')}/{settings.timeframe.value}.parquet"
    path = settings.lake / "ohlcv" / settings.venue / name
    if not path.is_file():
        raise DataError(f"expected bars of {symbol} in the lake, found no file {path}")
    try:
        frame = pl.read_parquet(path, columns=["ts", *_NUMBERS])
        if not frame["ts"].dtype.is_integer() or not all(frame[name].dtype.is_numeric() for name in _NUMBERS):
            raise DataError(f"{path}: expected numbers, found {dict(frame.schema)}")
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: expected Parquet with ts, {', '.join(_NUMBERS)}; found: {error}") from error
    numbers = (frame[name].to_numpy() for name in _NUMBERS)
    return SourceBars(settings.timeframe.ns, frame["ts"].to_numpy() * _MILLISECOND, *numbers)


async def _pump(venue: Loopback) -> None:
    while True:
        venue.work.clear()
        venue.pump()
        await _rest(venue)


async def _rest(venue: Loopback) -> None:
    """Sleep for a beat, or less when a request waits for its latency to pass."""
    try:
        async with asyncio.timeout(_PUMP_S):
            await venue.work.wait()
    except TimeoutError:
        return
    await asyncio.sleep(venue.pause())


async def _beat(venue: Loopback) -> None:
    while True:
        venue.public.heartbeat()
        venue.private.heartbeat()
        await asyncio.sleep(1.0)
