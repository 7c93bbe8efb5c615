"""The live feed and the venue gateway against the loopback venue, over real sockets."""

import asyncio
import base64
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from core.clock import SECOND, LiveClock, ScaledClock
from core.events import Fill, LinkChange, OrderUpdate, Reconciled, RequestReconcile
from core.market import TIMEFRAMES, Timeframe
from core.orders import (
    AmendOrder,
    CancelOrder,
    OrderState,
    OrderType,
    Purpose,
    Side,
    SubmitOrder,
    TimeInForce,
)
from core.text import parse_iso
from execution.live import VenueGateway, VenueUrls
from feeds.bars import BarBuilder
from feeds.live import LiveFeed
from tests.feeds.live_story import Ears
from tests.venue.fake_kraken import running, told
from venue.client import Credentials, PublicRest
from venue.exchange_orders import FeeSchedule
from venue.loopback import LoopbackSettings, serve
from venue.loopback_keys import LoopbackAccount

pytestmark = pytest.mark.e2e
LAKE = Path(__file__).parents[2] / "configs" / "market"
SECRET = base64.b64encode(b"a secret of the loopback venue").decode()
SYMBOLS = ("BTC/USDT", "XRP/USDT")
BTC, XRP = SYMBOLS
EPOCH = parse_iso("2024-06-14T12:00:00Z")


@asynccontextmanager
async def loopback(speed):
    wall = LiveClock().now()
    settings = LoopbackSettings(
        lake=LAKE,
        symbols=SYMBOLS,
        accounts={"main": LoopbackAccount("key", SECRET, Decimal(10_000))},
        market_epoch=EPOCH,
        wall_epoch=wall,
        speed=speed,
        fees=FeeSchedule(maker=Decimal("0.0025"), taker=Decimal("0.004")),
    )
    ports = asyncio.Queue()
    clock = ScaledClock(market_epoch=EPOCH, wall_epoch=wall, speed=speed)
    async with asyncio.timeout(60), running(serve(settings, ready=ports.put_nowait)):
        yield await ports.get(), clock


def kind(*types, **fields):
    def fits(item):
        return isinstance(item, types) and all(getattr(item, k) == v for k, v in fields.items())

    return fits


async def test_feed_makes_the_venues_own_bars_and_keeps_every_book():
    async with loopback(speed=120.0) as (ports, clock), PublicRest(ports.rest) as rest:
        ears = Ears()
        builder = BarBuilder()
        feed = LiveFeed(ports.public, SYMBOLS, clock, builder, ears)
        async with running(feed.run()):
            listed = (await told(ears.heard, lambda item: item[0] == "instruments"))[1]
            assert {one.symbol: one for one in listed} == await rest.asset_pairs()
            assert (await told(ears.heard, lambda item: item[0] == "link"))[1]
            for symbol in SYMBOLS:
                history = {timeframe: await rest.ohlc(symbol, timeframe) for timeframe in TIMEFRAMES}
                builder.warm(symbol, history)
            made = []
            while not any(bar.timeframe is Timeframe.M5 for bar in made):
                made += (await told(ears.heard, lambda item: item[0] == "bars"))[2]
        served = {
            (symbol, timeframe): {bar.ts_open: bar for bar in await rest.ohlc(symbol, timeframe)}
            for symbol in SYMBOLS
            for timeframe in (Timeframe.M1, Timeframe.M5)
        }
    assert {bar.instrument for bar in made} == set(SYMBOLS)
    for bar in made:
        other = served[bar.instrument, bar.timeframe][bar.ts_open]
        assert (bar.open, bar.high, bar.low, bar.close) == (other.open, other.high, other.low, other.close)
        assert bar.volume == pytest.approx(other.volume, rel=1e-6)
        assert bar.trades == other.trades
    assert builder.late == 0
    assert [name for name in feed.connections[0].session.counters if name != "repeated trade"] == []


def submit(clock, number, side, quantity, **more):
    defaults = {
        "account": "main",
        "trader": "a",
        "cl_ord_id": f"SMaae2e{number}",
        "instrument": XRP,
        "side": side,
        "quantity": Decimal(quantity),
        "order_type": OrderType.LIMIT,
        "purpose": Purpose.ENTRY,
        "time_in_force": TimeInForce.IOC,
        "deadline": clock.now() + 30 * SECOND,
    }
    return SubmitOrder(**{**defaults, **more})


def stop_order(clock, number, quantity, trigger):
    return submit(
        clock,
        number,
        Side.SELL,
        quantity,
        order_type=OrderType.STOP_LOSS,
        purpose=Purpose.STOP,
        time_in_force=TimeInForce.GTC,
        trigger_price=trigger,
        reduce_only=True,
    )


async def test_protected_entry_amendment_exit_and_the_whole_truth():
    async with loopback(speed=1.0) as (ports, clock):
        reports, ears = asyncio.Queue(), Ears()
        urls = VenueUrls(private=ports.private, rest=ports.rest)
        gateway = VenueGateway("main", urls, Credentials("key", SECRET), clock, reports.put_nowait)
        feed = LiveFeed(ports.public, SYMBOLS, clock, BarBuilder(), ears)
        async with running(feed.run()), running(gateway.run()):
            await told(reports, kind(LinkChange, up=True))
            (_, quote) = await told(ears.heard, lambda item: item[0] == "quote" and item[1].instrument == XRP)
            tick = Decimal("0.0001")
            below, above = (
                (quote.bid * Decimal("0.95")).quantize(tick),
                (quote.ask * Decimal("1.01")).quantize(tick),
            )
            stop = stop_order(clock, 1, "20", below)
            await gateway.send(
                [stop, submit(clock, 2, Side.BUY, "20", limit_price=above, after=stop.cl_ord_id)]
            )
            working = await told(reports, kind(OrderUpdate, cl_ord_id=stop.cl_ord_id))
            assert working.state is OrderState.WORKING
            bought = await told(reports, kind(Fill))
            assert (bought.cl_ord_id, bought.side) == ("SMaae2e2", Side.BUY)
            await told(reports, kind(OrderUpdate, cl_ord_id="SMaae2e2", state=OrderState.FILLED))

            moved = AmendOrder(
                "main", "a", stop.cl_ord_id, XRP, clock.now() + 30 * SECOND, trigger_price=below + tick
            )
            await gateway.send([moved])
            await told(reports, kind(OrderUpdate, trigger_price=below + tick, state=OrderState.WORKING))

            await gateway.reconcile(RequestReconcile("main", (stop.cl_ord_id, "SMaae2e2", "SMnever"), EPOCH))
            truth = await told(reports, kind(Reconciled))
            assert {o.cl_ord_id: o.state for o in truth.orders} == {
                stop.cl_ord_id: OrderState.WORKING,
                "SMaae2e2": OrderState.FILLED,
            }
            assert [(p.instrument, p.quantity) for p in truth.positions] == [(XRP, Decimal(20))]
            assert [(f.exec_id, f.cl_ord_id, f.fee) for f in truth.fills] == [
                (bought.exec_id, "SMaae2e2", bought.fee)
            ]
            assert truth.cash == 10_000 - bought.fee

            leave = submit(
                clock,
                3,
                Side.SELL,
                "20",
                purpose=Purpose.EXIT,
                limit_price=below + 2 * tick,
                reduce_only=True,
            )
            await gateway.send([leave])
            assert (await told(reports, kind(Fill))).side is Side.SELL
            await gateway.send([CancelOrder("main", "a", stop.cl_ord_id, XRP)])
            await told(reports, kind(OrderUpdate, cl_ord_id=stop.cl_ord_id, state=OrderState.CANCELED))
            await gateway.send([submit(clock, 4, Side.BUY, "9000000", limit_price=above)])
            refused = await told(reports, kind(OrderUpdate, cl_ord_id="SMaae2e4"))
            assert refused.state is OrderState.REJECTED
            assert "nsufficient" in refused.reason
