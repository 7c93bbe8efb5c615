"""An outage of every public connection, on real sockets: each bar is the venue's own all the same."""

import asyncio
from contextlib import asynccontextmanager, suppress
from decimal import Decimal

import pytest

from core.clock import MINUTE, LiveClock, ScaledClock
from core.market import Timeframe
from feeds.bars import BarBuilder
from feeds.live import FeedLimits, LiveFeed
from tests.e2e.test_live_loopback import EPOCH, LAKE
from tests.feeds.live_story import Ears
from tests.venue.fake_kraken import running, told
from venue.client import PublicRest
from venue.exchange_orders import FeeSchedule
from venue.loopback import LoopbackSettings, serve

pytestmark = pytest.mark.e2e
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT", "DOGE/USDT", "AVAX/USDT")
SPEED = 30.0


class Wire:
    """A TCP relay on 127.0.0.1 that can be cut."""

    def __init__(self, port):
        self._port = port
        self._ends = set()

    async def relay(self, reader, writer):
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._ends |= {writer, far_writer}
            async with asyncio.TaskGroup() as group:
                group.create_task(pump(reader, far_writer))
                group.create_task(pump(far_reader, writer))

    def cut(self):
        ends, self._ends = self._ends, set()
        for end in ends:
            end.transport.abort()
        return len(ends) // 2


async def pump(reader, writer):
    with suppress(OSError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def venue():
    """A loopback venue, its REST, and a wire to its public address."""
    wall = LiveClock().now()
    settings = LoopbackSettings(
        lake=LAKE,
        symbols=SYMBOLS,
        accounts={},
        market_epoch=EPOCH,
        wall_epoch=wall,
        speed=SPEED,
        fees=FeeSchedule(maker=Decimal("0.0025"), taker=Decimal("0.004")),
    )
    ports = asyncio.Queue()
    async with asyncio.timeout(90), running(serve(settings, ready=ports.put_nowait)):
        port = (await ports.get()).port
        wire = Wire(port)
        server = await asyncio.start_server(wire.relay, "127.0.0.1", 0)
        async with server, PublicRest(f"http://127.0.0.1:{port}") as rest:
            relayed = server.sockets[0].getsockname()[1]
            clock = ScaledClock(market_epoch=EPOCH, wall_epoch=wall, speed=SPEED)
            yield f"ws://127.0.0.1:{relayed}/v2", clock, rest, wire
            wire.cut()


async def test_bars_of_an_outage_are_made_of_the_trades_that_were_missed():
    async with venue() as (url, clock, rest, wire):
        ears, builder = Ears(), BarBuilder((Timeframe.M1,))
        limits = FeedLimits(per_connection=2, booked=2)
        feed = LiveFeed(url, SYMBOLS, clock, builder, ears, limits=limits, rest=rest, delays_s=(1.5,))
        made = []

        async def until_minute(ts):
            """Collect bars until every instrument has told of the minute that ends at `ts`."""
            while len({b.instrument for b in made if b.ts_close == ts}) < len(SYMBOLS):
                made.extend((await told(ears.heard, lambda item: item[0] == "bars"))[2])

        async with running(feed.run()):
            followed = set()
            while followed != set(SYMBOLS):
                followed.update((await told(ears.heard, lambda item: item[0] == "hole"))[1])
            first = Timeframe.M1.floor(clock.now()) + 2 * MINUTE
            await until_minute(first)
            assert wire.cut() == 3
            await until_minute(first + 4 * MINUTE)
            assert [feed.quality.verdicts(symbol) for symbol in SYMBOLS] == [()] * len(SYMBOLS)
        served = {
            (symbol, bar.ts_open): bar for symbol in SYMBOLS for bar in await rest.ohlc(symbol, Timeframe.M1)
        }
    for symbol in SYMBOLS:
        closes = [bar.ts_close for bar in made if bar.instrument == symbol and bar.ts_close >= first]
        assert closes == list(range(first, first + 5 * MINUTE, MINUTE))
    for bar in made:
        other = served[bar.instrument, bar.ts_open]
        assert (bar.open, bar.high, bar.low, bar.close, bar.trades) == (
            *(other.open, other.high, other.low, other.close),
            other.trades,
        )
        assert bar.volume == pytest.approx(other.volume, rel=1e-6)
