"""ccxt, a client that nobody here wrote, trades on the loopback venue over REST and WebSocket."""

import asyncio
import base64
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from core.clock import DAY, LiveClock
from core.text import parse_iso
from venue.exchange_orders import FeeSchedule
from venue.loopback import LoopbackPorts, LoopbackSettings, serve
from venue.loopback_keys import LoopbackAccount

pytestmark = pytest.mark.e2e

LAKE = Path(__file__).parents[2] / "configs" / "market"
SECRET = base64.b64encode(b"a secret of the loopback venue").decode()
SYMBOL = "XRP/USDT"


@asynccontextmanager
async def loopback() -> AsyncIterator[LoopbackPorts]:
    settings = LoopbackSettings(
        lake=LAKE,
        symbols=(SYMBOL, "BTC/USDT"),
        accounts={"paper": LoopbackAccount("key", SECRET, Decimal(10_000))},
        market_epoch=parse_iso("2024-06-14T12:00:00Z") + DAY,
        wall_epoch=LiveClock().now(),
        speed=60.0,
        fees=FeeSchedule(maker=Decimal("0.0025"), taker=Decimal("0.004")),
    )
    ready: asyncio.Queue[LoopbackPorts] = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        server = group.create_task(serve(settings, ready=ready.put_nowait))
        yield await ready.get()
        server.cancel()


@asynccontextmanager
async def kraken(ports: LoopbackPorts) -> AsyncIterator:
    ccxt = pytest.importorskip("ccxt.pro", reason="ccxt is not installed")
    client = ccxt.kraken({"apiKey": "key", "secret": SECRET, "enableRateLimit": False})
    client.urls["api"]["public"] = client.urls["api"]["private"] = ports.rest
    client.urls["api"]["ws"] = {
        "public": ports.public,
        "publicV2": ports.public,
        "private": ports.private,
        "privateV2": ports.private,
        "beta": ports.public,
    }
    try:
        yield client
    finally:
        await client.close()


async def test_ccxt_reads_the_market_and_trades_over_rest():
    async with asyncio.timeout(60), loopback() as ports, kraken(ports) as client:
        markets = await client.load_markets()
        assert set(markets) == {SYMBOL, "BTC/USDT"}
        assert markets[SYMBOL]["precision"]["price"] == 0.0001

        candles = await client.fetch_ohlcv(SYMBOL, "15m")
        assert len(candles) == 720
        assert [b[0] - a[0] for a, b in itertools.pairwise(candles)] == [900_000] * 719

        book = await client.fetch_order_book(SYMBOL)
        bid, ask = book["bids"][0][0], book["asks"][0][0]
        assert bid < ask

        order = await client.create_order(SYMBOL, "limit", "buy", 100, round(bid * 0.9, 4))
        assert [o["id"] for o in await client.fetch_open_orders(SYMBOL)] == [order["id"]]
        assert (await client.fetch_balance())["USDT"]["total"] == 10_000
        await client.cancel_order(order["id"], SYMBOL)
        assert await client.fetch_open_orders(SYMBOL) == []
        assert (await client.fetch_order(order["id"], SYMBOL))["status"] == "canceled"

        await client.create_order(SYMBOL, "market", "buy", 20)
        fills = await client.fetch_my_trades(SYMBOL)
        assert sum(fill["amount"] for fill in fills) == 20
        balance = await client.fetch_balance()
        paid = sum(fill["cost"] + fill["fee"]["cost"] for fill in fills)
        assert balance["XRP"]["total"] == 20
        assert balance["USDT"]["total"] == pytest.approx(10_000 - paid, abs=1e-7)


async def test_ccxt_follows_trades_book_and_its_own_orders_over_websocket():
    async with asyncio.timeout(60), loopback() as ports, kraken(ports) as client:
        await client.load_markets()
        trades = await client.watch_trades(SYMBOL)
        assert {trade["symbol"] for trade in trades} == {SYMBOL}
        for _ in range(30):
            book = await client.watch_order_book(SYMBOL, 10)
            assert book["bids"][0][0] < book["asks"][0][0]

        placed = await client.create_order_ws(
            SYMBOL, "limit", "buy", 100.0, round(book["bids"][0][0] * 0.9, 4)
        )
        seen = await client.watch_orders(SYMBOL)
        assert seen[-1]["id"] == placed["id"]
        assert seen[-1]["status"] == "open"
        async with asyncio.TaskGroup() as group:  # ccxt forgets news that nobody waits for
            group.create_task(client.cancel_order_ws(placed["id"]))
            seen = await client.watch_orders()
        assert (seen[-1]["id"], seen[-1]["status"]) == (placed["id"], "canceled")
