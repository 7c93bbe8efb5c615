"""ccxt.pro over WebSocket, a client that nobody here wrote, follows the market and its own account."""

import asyncio
import json
from decimal import Decimal
from functools import partial
from pathlib import Path

import ccxt
import ccxt.pro
import pytest

from tests.e2e.ccxt_client import pro_client
from tests.e2e.venue_thread import BTC, CASH, XRP, until, venue_thread

pytestmark = pytest.mark.e2e
BOUND = 20


@pytest.fixture
def world():
    with venue_thread() as running:
        yield running


async def news(watch, *, of, until):
    """Watch a list until its row of one id satisfies; ccxt forgets news that nobody waits for."""
    while True:
        for row in reversed(await watch()):
            if row["id"] == of and until(row):
                return row


async def closed(client, order_id):
    return (await client.fetch_order(order_id, XRP))["status"] == "closed"


async def test_ticker_trades_and_candles_follow_the_market(world):
    async with asyncio.timeout(BOUND), pro_client(world) as client:
        trades = await client.watch_trades(XRP)
        ids = [int(trade["id"]) for trade in trades]
        while len(ids) < 40:
            ids += [int(trade["id"]) for trade in await client.watch_trades(XRP)]
        assert sorted(set(ids)) == list(range(min(ids), max(ids) + 1))
        ticker = await client.watch_ticker(XRP)
        assert ticker["bid"] < ticker["ask"]
        assert ticker["low"] <= ticker["last"] <= ticker["high"]
        assert set(await client.watch_tickers([XRP, BTC])) <= {XRP, BTC}
        touch = (await client.watch_bids_asks([XRP]))[XRP]
        assert touch["bid"] < touch["ask"]
        candles = await client.watch_ohlcv(XRP, "5m")
        ts, opened, high, low, close, volume = candles[-1]
        assert ts % 300_000 == 0
        assert low <= min(opened, close) <= max(opened, close) <= high
        assert volume > 0


def same(kept, venue, depth):
    assert len(venue["bids"]) == depth
    return all([row[:2] for row in kept[side]] == venue[side] for side in venue)


@pytest.mark.parametrize("depth", [10, 25])
async def test_the_clients_book_is_the_venues_book(world, depth):
    async with asyncio.timeout(BOUND), pro_client(world) as client:
        for _ in range(60):
            book = await client.watch_order_book(XRP, depth)
            assert book["bids"][0][0] < book["asks"][0][0]
        await client.watch_order_book(BTC, depth)
        with world.still():
            for symbol in (XRP, BTC):
                await until(partial(same, client.orderbooks[symbol], world.book(symbol, depth), depth))


async def test_ccxts_own_checksum_cannot_be_computed_in_python():
    """It splits prices as text and holds them as floats: Kraken's documented frame fails as well."""
    sample = Path(__file__).parents[1] / "golden" / "kraken" / "ws_book_snapshot.json"
    async with ccxt.pro.kraken() as client:
        client.options["watchOrderBook"]["checksum"] = True
        with pytest.raises(AttributeError, match="split"):
            client.handle_order_book(client.client("ws://127.0.0.1/v2"), json.loads(sample.read_text()))


async def test_orders_are_placed_amended_and_cancelled_over_the_socket(world):
    async with asyncio.timeout(BOUND), pro_client(world) as client:
        price = round((await client.fetch_ticker(XRP))["bid"] * 0.9, 4)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(client.watch_orders(XRP))
            placed = await client.create_order_ws(XRP, "limit", "buy", 100.5, price)
        seen = first.result()[-1]
        assert (seen["id"], seen["status"], seen["price"]) == (placed["id"], "open", price)
        assert seen["amount"] == 100.5

        lower = round(price * 0.9, 4)
        async with asyncio.TaskGroup() as group:
            change = group.create_task(
                news(client.watch_orders, of=placed["id"], until=lambda o: o["price"] == lower)
            )
            await client.edit_order_ws(placed["id"], XRP, "limit", "buy", 90.25, lower)
        assert change.result()["amount"] == 90.25
        (listed,) = await client.fetch_open_orders(XRP)
        assert (listed["id"], listed["price"], listed["amount"]) == (placed["id"], lower, 90.25)

        async with asyncio.TaskGroup() as group:
            end = group.create_task(
                news(client.watch_orders, of=placed["id"], until=lambda o: o["status"] == "canceled")
            )
            await client.cancel_order_ws(placed["id"])
        assert end.result()["filled"] in (0, None)
        assert await client.fetch_open_orders(XRP) == []
        with pytest.raises(ccxt.ExchangeError, match="Unknown order"):
            await client.cancel_order_ws(placed["id"])
        await client.create_order_ws(XRP, "limit", "buy", 50.5, lower)
        await client.create_order_ws(XRP, "limit", "buy", 60.5, lower)
        assert (await client.cancel_all_orders_ws())["result"]["count"] == 2


async def test_fills_and_balances_arrive_as_they_are_booked(world):
    async with asyncio.timeout(BOUND), pro_client(world) as client:
        balance = await client.watch_balance()
        assert balance["USDT"]["total"] == float(CASH)
        ask = (await client.fetch_ticker(XRP))["ask"]
        async with asyncio.TaskGroup() as group:
            fills = group.create_task(client.watch_my_trades(XRP))
            await asyncio.sleep(0.2)  # its subscription comes before the order
            placed = await client.create_order_ws(
                XRP, "limit", "buy", 20.5, round(ask * 1.01, 4), {"time_in_force": "ioc"}
            )
        fill = fills.result()[-1]
        assert (fill["order"], fill["symbol"], fill["side"]) == (placed["id"], XRP, "buy")
        assert fill["takerOrMaker"] == "taker"
        await until(lambda: closed(client, placed["id"]))
        booked = await client.fetch_my_trades(XRP)
        assert sum(Decimal(repr(f["amount"])) for f in booked) == Decimal("20.5")
        assert {f["id"] for f in fills.result()} <= {f["id"] for f in booked}
        with world.still():
            told = (await client.fetch_balance())["USDT"]["total"]
            await until(lambda: client.balance["spot"]["USDT"]["total"] == told)
        assert client.balance["spot"]["XRP"]["total"] == 20.5


async def test_a_refused_order_says_why_and_the_socket_lives(world):
    async with asyncio.timeout(BOUND), pro_client(world) as client:
        with pytest.raises(ccxt.ExchangeError, match="EOrder:Insufficient funds"):
            await client.create_order_ws(XRP, "limit", "buy", 1_000_000.5, 0.4)
        with pytest.raises(ccxt.ExchangeError, match="EOrder:Order minimum not met"):
            await client.create_order_ws(XRP, "limit", "buy", 1.5, 0.4)
        assert (await client.create_order_ws(XRP, "limit", "buy", 50.5, 0.4))["id"]


async def test_a_key_without_the_right_gets_no_token(world):
    async with asyncio.timeout(BOUND), pro_client(world, key="socketless") as client:
        with pytest.raises(ccxt.PermissionDenied, match="EGeneral:Permission denied"):
            await client.watch_orders(XRP)
