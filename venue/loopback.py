"""The loopback venue: a Kraken of one's own on 127.0.0.1, fed by recorded bars or made-up pairs.

Must not know who connects; it shares only the clock's three numbers with the daemon. Called by
`trader loopback`. It encodes from its own templates, so that a misreading of the protocol in the
client cannot hide behind the same misreading here. Orders and positions live in this process:
they outlast any client.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import cast

import msgspec
import polars as pl
from aiohttp import web

from core.clock import HOUR, SECOND, Clock, ScaledClock
from core.errors import ConfigError, DataError, TemporaryError
from core.market import Timeframe, Trade
from core.text import iso
from venue.exchange import Exchange
from venue.exchange_listing import listed
from venue.exchange_orders import FeeSchedule
from venue.exchange_settings import KRAKEN, ExchangeRules
from venue.loopback_acts import Acts
from venue.loopback_changes import Changes
from venue.loopback_connection import Connection, converse
from venue.loopback_control import FaultControl
from venue.loopback_dialect import Varied, plain
from venue.loopback_door import Door, Faults
from venue.loopback_faults import Fault
from venue.loopback_keys import KeyRing, LoopbackAccount
from venue.loopback_level3 import Level3Desk
from venue.loopback_past import PastView
from venue.loopback_private import PrivateDesk
from venue.loopback_public import PublicDesk
from venue.loopback_rest import RestShell
from venue.loopback_rest_private import PrivateAnswers
from venue.loopback_rest_public import PublicAnswers
from venue.loopback_switches import (
    AS_SHOWN,
    DOCUMENTED,
    ORDINARY,
    AccessSwitches,
    PrivateSwitches,
    PublicSwitches,
)
from venue.market_model import Events, Happening, RecordedTape, SourceBars, Tape, happenings
from venue.synthetic_listing import synthetic
from venue.synthetic_market import SyntheticMarket

HOST = "127.0.0.1"
_PUMP_S = 0.01
_PUMP_ALL_S = 0.02  # with a whole venue: what falls together in a beat leaves as one frame a pair
_CATCH_UP = 6 * HOUR
_MILLISECOND = SECOND // 1000
_NUMBERS = ("open", "high", "low", "close", "volume")


class Synthetic(msgspec.Struct, frozen=True):
    """A venue of made-up pairs: how many, and how much trades on all of them together."""

    instruments: int
    trades_per_s: float


class LoopbackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the loopback serves. `market_epoch`, `wall_epoch` (ns) and `speed` make its clock.

    With `synthetic` there are made-up pairs, drawn from `seed`, and neither `lake` nor `symbols`
    matters; without it there are the recorded bars of `symbols`.
    """

    lake: Path = Path()
    symbols: tuple[str, ...] = ()
    synthetic: Synthetic | None = None
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
    public_switches: PublicSwitches = AS_SHOWN
    access_switches: AccessSwitches = ORDINARY
    varied: bool = False
    """Whether frames come with keys in changing order and with keys that nobody announced."""
    faults: tuple[Fault, ...] = ()


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

    @property
    def level3(self) -> str:
        """WS v2 of single orders."""
        return f"ws://{HOST}:{self.port}/v2-l3"


Due = Callable[[int, int], Iterable[Happening]]
"""Gives what happens on all tapes with (after, until]: each tape's happenings in time order."""


class Loopback:
    """The venue without its server: desks around one exchange, driven by `pump`."""

    def __init__(
        self,
        tapes: Mapping[str, Tape],
        due: Due,
        settings: LoopbackSettings,
        clock: Clock,
    ) -> None:
        instruments = {symbol: tape.instrument for symbol, tape in tapes.items()}
        self.beat_s = _PUMP_ALL_S if settings.synthetic else _PUMP_S
        self._tapes = tapes
        self._due = due
        self._clock = clock
        self._seen = clock.now()
        changes, keys = Changes(), KeyRing(settings.accounts, clock, settings.access_switches)
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
        self.connection = partial(
            Connection,
            dialect=Varied(settings.seed) if settings.varied else plain,
            quiet_heartbeat=settings.access_switches.quiet_heartbeat,
        )
        self.public = PublicDesk(self.exchange.instruments, tapes, clock, settings.public_switches)
        self.level3 = Level3Desk(self.exchange.instruments, tapes, keys, clock)
        self.private = PrivateDesk(self.exchange, changes, keys, clock, self.work.set, settings.switches)
        self.faults = Faults(clock, settings.seed, accounts=settings.accounts, symbols=tapes)
        self.faults.arm(settings.faults)
        self._past = PastView(self.exchange, self.faults.schedule, settings.accounts, clock)
        changes.listen(self._past.on_change)
        self.public_door = Door("public", self.public, self.faults, self.exchange)
        self.private_door = Door("private", self.private, self.faults, self.exchange)
        self.level3_door = Door("level3", self.level3, self.faults, self.exchange)
        doors = (self.public_door, self.private_door, self.level3_door)
        self._acts = Acts(self.faults, doors, self.exchange, tapes, self.public.on_instruments)
        self.rest = RestShell(
            PublicAnswers(self.exchange, tapes, clock),
            PrivateAnswers(cast("Exchange", self._past), changes, keys, clock, self.work.set),
            keys,
            self.faults,
        )
        self._open_markets()

    def pump(self) -> None:
        """Let everything happen that is due: what the market does, and arrivals in between."""
        now = self._clock.now()
        self._acts.run(now)
        self._past.watch(now)
        self.faults.release(now)
        while (arrival := self.exchange.next_due()) is not None and arrival <= now:
            self._move_to(arrival)
            self.exchange.advance(arrival)
        self._move_to(now)
        self.exchange.advance(now)

    def pause(self) -> float:
        """Give the wall seconds until the next thing is due, bounded by the pump's own beat."""
        due = self.exchange.next_due()
        if due is None:
            return self.beat_s
        return min(self.beat_s, max(0.0, self._clock.wall_seconds(due - self._clock.now())))

    def _move_to(self, ts: int) -> None:
        if ts <= self._seen:
            return
        for symbol, events, first, end in self._due(self._seen, ts):
            tape = self._tapes[symbol]
            trades = tape.prints(events, first, end)
            self._tell_exchange(tape, events, (first, end), trades)
            self.public.on_events(symbol, events, end - 1, trades)
            self.level3.on_events(symbol, events, end - 1)
        self._seen = ts

    def _tell_exchange(
        self, tape: Tape, events: Events, span: tuple[int, int], trades: Sequence[Trade]
    ) -> None:
        """Tell the exchange event by event; where no order waits, the newest of each is all it keeps."""
        first, end = span
        if not self.exchange.watches(tape.instrument.symbol):
            first, trades = end - 1, trades[-1:]
            if trades:
                self.exchange.on_trade(trades[0])
            self.exchange.on_quote(tape.quote(events, first))
            return
        prints = iter(trades)
        for position in range(first, end):
            if events.lots[position]:
                self.exchange.on_trade(next(prints))
            self.exchange.on_quote(tape.quote(events, position))

    def _open_markets(self) -> None:
        for symbol, tape in self._tapes.items():
            begin, end = tape.span
            found = tape.at(self._seen)
            if found is None or end <= self._seen:
                raise DataError(
                    f"expected bars of {symbol} at the market time {iso(self._seen)}, "
                    f"found {iso(begin)} to {iso(end)}"
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
    """Make the tapes and wire the venue; CPU-bound, some ten milliseconds a recorded symbol."""
    if settings.synthetic is None:
        tapes = {
            symbol: RecordedTape(instrument, read_bars(settings, symbol), seed=settings.seed)
            for symbol, instrument in listed(settings.symbols).items()
        }
        return Loopback(tapes, partial(happenings, tapes), settings, clock)
    market = SyntheticMarket(
        synthetic(settings.synthetic.instruments, settings.seed),
        trades_per_s=settings.synthetic.trades_per_s,
        since=_beginning(settings, clock.now()),
        seed=settings.seed,
    )
    return Loopback(market.tapes, market.due, settings, clock)


def _beginning(settings: LoopbackSettings, now: int) -> int:
    """Give when a synthetic tape begins: at the epoch, unless that is hours of trades ago."""
    return settings.market_epoch if 0 <= now - settings.market_epoch <= _CATCH_UP else now


def application(venue: Loopback) -> web.Application:
    """Give the aiohttp application of a venue."""
    numbers = count(1)

    async def websocket(request: web.Request, door: Door) -> web.StreamResponse:
        if not door.admits():
            return web.Response(status=429, text="Too many connections")
        return await converse(request, door, venue.connection(next(numbers)))

    async def public(request: web.Request) -> web.StreamResponse:
        return await websocket(request, venue.public_door)

    async def private(request: web.Request) -> web.StreamResponse:
        return await websocket(request, venue.private_door)

    async def level3(request: web.Request) -> web.StreamResponse:
        return await websocket(request, venue.level3_door)

    control = FaultControl(venue.faults, venue.exchange)
    app = web.Application()
    app.router.add_get("/control/faults", control.read)
    app.router.add_post("/control/faults", control.write)
    app.router.add_get("/v2", public)
    app.router.add_get("/v2-auth", private)
    app.router.add_get("/v2-l3", level3)
    app.router.add_get("/auth/v2", private)  # for clients that put the version at the end themselves
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
        async with asyncio.timeout(venue.beat_s):
            await venue.work.wait()
    except TimeoutError:
        return
    await asyncio.sleep(venue.pause())


async def _beat(venue: Loopback) -> None:
    while True:
        venue.public.heartbeat()
        venue.private.heartbeat()
        venue.level3.heartbeat()
        await asyncio.sleep(1.0)
