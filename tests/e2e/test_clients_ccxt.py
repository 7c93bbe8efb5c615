"""ccxt over REST, a client that nobody here wrote, reads the market and trades on the loopback."""

import asyncio
import itertools
from decimal import Decimal

import ccxt
import pytest

from core.clock import MINUTE, SECOND
from tests.e2e.ccxt_client import rest_client
from tests.e2e.venue_thread import BTC, CASH, MAKER, START, TAKER, XRP, until, venue_thread
from venue.loopback_keys import LOCKOUT_AFTER

pytestmark = pytest.mark.e2e
BOUND = 20


@pytest.fixture
def world():
    with venue_thread() as running:
        yield running


def on_grid(price, step):
    return Decimal(repr(price)) % Decimal(step) == 0


async def closed(client, order_id):
    order = await client.fetch_order(order_id, XRP)
    return order if order["status"] == "closed" else None


async def reports(client, status):
    return (await client.fetch_status())["status"] == status


async def test_markets_assets_status_and_time(world):
    async with asyncio.timeout(BOUND), rest_client(world) as client:
        markets = await client.load_markets()
        assert set(markets) == {XRP, BTC}
        xrp = markets[XRP]
        assert (xrp["id"], xrp["precision"]) == ("XRPUSDT", {"price": 1e-4, "amount": 1e-8})
        assert (xrp["limits"]["amount"]["min"], xrp["limits"]["cost"]["min"]) == (1.65, 0.5)
        assert xrp["limits"]["leverage"]["max"] == 5
        assert (xrp["taker"], xrp["maker"]) == (float(TAKER), float(MAKER))
        assert [len(xrp["info"][name]) for name in ("fees", "fees_maker")] == [10, 10]
        currencies = client.currencies
        assert {"XRP", "BTC", "USDT"} <= set(currencies)
        assert currencies["BTC"]["id"] == "XXBT"
        assert (await client.fetch_status())["status"] == "ok"
        assert abs(await client.fetch_time() * 10**6 - world.clock.now()) < MINUTE

        world.arm(name="mode", system="maintenance")
        await until(lambda: reports(client, "maintenance"))
        with pytest.raises(ccxt.ExchangeNotAvailable, match="EService:Unavailable"):
            await client.create_order(XRP, "limit", "buy", 100.5, 0.4)


async def test_tickers_candles_book_and_trades_tell_one_story(world):
    async with asyncio.timeout(BOUND), rest_client(world) as client:
        await client.load_markets()
        with world.still():
            ticker = await client.fetch_ticker(XRP)
            tickers = await client.fetch_tickers()
            book = await client.fetch_order_book(XRP, 10)
            trades = await client.fetch_trades(XRP, limit=1000)
            candles = await client.fetch_ohlcv(XRP, "15m")
            day = await client.fetch_ohlcv(XRP, "1d")
        assert set(tickers) == {XRP, BTC}
        assert ticker["last"] == trades[-1]["price"] == candles[-1][4] == tickers[XRP]["last"]
        assert (ticker["bid"], ticker["ask"]) == (book["bids"][0][0], book["asks"][0][0])
        assert ticker["low"] <= ticker["bid"] < ticker["ask"]
        assert all(on_grid(price, "0.0001") for price in (ticker["bid"], ticker["ask"], trades[0]["price"]))
        assert len(book["bids"]) == len(book["asks"]) == 10
        assert [r[0] for r in book["bids"]] == sorted((r[0] for r in book["bids"]), reverse=True)
        assert [r[0] for r in book["asks"]] == sorted(r[0] for r in book["asks"])

        assert len(candles) == 720
        assert [b[0] - a[0] for a, b in itertools.pairwise(candles)] == [900_000] * 719
        today = [row for row in candles if row[0] >= day[-1][0]]
        assert sum(row[5] for row in today) == pytest.approx(day[-1][5])
        assert (max(r[2] for r in today), min(r[3] for r in today)) == tuple(day[-1][2:4])

        ids = [int(trade["id"]) for trade in trades]
        assert ids == list(range(ids[0], ids[0] + 1000))
        assert {trade["side"] for trade in trades} == {"buy", "sell"}
        assert {trade["type"] for trade in trades} == {"market", "limit"}


async def test_paging_by_the_cursor_loses_and_repeats_nothing(world):
    async with asyncio.timeout(BOUND), rest_client(world) as client:
        await client.load_markets()
        since, ids = str(START - 60 * MINUTE), []
        for _ in range(4):
            answer = await client.public_get_trades({"pair": "XRPUSDT", "since": since, "count": 37})
            ids += [int(row[6]) for row in answer["result"]["XRPUSDT"]]
            since = answer["result"]["last"]
        assert ids == list(range(ids[0], ids[0] + 4 * 37))
        spread = (await client.public_get_spread({"pair": "XRPUSDT"}))["result"]["XRPUSDT"]
        assert len(spread) == 200
        assert all(Decimal(bid) < Decimal(ask) for _, bid, ask in spread)


async def test_an_order_is_placed_amended_and_cancelled(world):
    async with asyncio.timeout(BOUND), rest_client(world) as client:
        await client.load_markets()
        bid = (await client.fetch_ticker(XRP))["bid"]
        price = round(bid * 0.9, 4)
        order = await client.create_order(XRP, "limit", "buy", 100.5, price, {"clientOrderId": "mine-1"})
        (listed,) = await client.fetch_open_orders(XRP)
        assert (listed["id"], listed["clientOrderId"]) == (order["id"], "mine-1")
        assert (listed["price"], listed["amount"], listed["status"]) == (price, 100.5, "open")
        assert (await client.fetch_balance())["USDT"]["total"] == float(CASH)
        held = (await client.fetch_balance())["USDT"]["used"]
        assert held >= 100.5 * price

        lower = round(bid * 0.8, 4)
        await client.edit_order(order["id"], XRP, "limit", "buy", 90.25, lower)
        (amended,) = await client.fetch_open_orders(XRP)
        assert (amended["id"], amended["price"], amended["amount"]) == (order["id"], lower, 90.25)

        await client.cancel_order(order["id"], XRP)
        assert await client.fetch_open_orders(XRP) == []
        assert (await client.fetch_order(order["id"], XRP))["status"] == "canceled"
        (closed,) = await client.fetch_closed_orders(XRP)
        assert (closed["id"], closed["status"]) == (order["id"], "canceled")
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order(order["id"], XRP)


async def test_many_orders_at_once(world):
    async with asyncio.timeout(BOUND), rest_client(world) as client:
        await client.load_markets()
        bid = (await client.fetch_ticker(XRP))["bid"]
        wanted = [
            {"symbol": XRP, "type": "limit", "side": "buy", "amount": 50.5, "price": round(bid * share, 4)}
            for share in (0.9, 0.8, 0.7)
        ]
        placed = await client.create_orders(wanted)
        listed = {o["id"]: o["price"] for o in await client.fetch_open_orders(XRP)}
        assert listed == {o["id"]: w["price"] for o, w in zip(placed, wanted, strict=True)}
        await client.cancel_orders([placed[0]["id"], placed[1]["id"]])
        assert [o["id"] for o in await client.fetch_open_orders(XRP)] == [placed[2]["id"]]
        await client.cancel_all_orders_after(86_000_000)
        assert (await client.cancel_all_orders())[0]["info"]["result"]["count"] == 1
        assert await client.fetch_open_orders(XRP) == []


async def test_fills_orders_and_balances_agree_to_the_last_digit(world):
    async with asyncio.timeout(BOUND), rest_client(world) as client:
        await client.load_markets()
        order = await client.create_order(XRP, "market", "buy", 20.5)
        done = await until(lambda: closed(client, order["id"]))
        fills = await client.fetch_my_trades(XRP)
        assert {fill["order"] for fill in fills} == {order["id"]}
        assert sum(fill["amount"] for fill in fills) == done["filled"] == 20.5
        paid = sum(fill["cost"] + fill["fee"]["cost"] for fill in fills)
        assert done["cost"] == pytest.approx(sum(fill["cost"] for fill in fills), abs=1e-8)
        assert all(f["fee"]["cost"] == pytest.approx(f["cost"] * float(TAKER), abs=1e-7) for f in fills)
        assert done["average"] == pytest.approx(done["cost"] / done["filled"], rel=1e-8)
        balance = await client.fetch_balance()
        assert balance["XRP"]["total"] == 20.5
        assert balance["USDT"]["total"] == pytest.approx(float(CASH) - paid, abs=1e-7)
        fee = await client.fetch_trading_fee(XRP)
        assert (fee["maker"], fee["taker"]) == (float(MAKER), float(TAKER))
        ledger = await client.fetch_ledger("USDT")
        assert sum(entry["amount"] for entry in ledger if entry["direction"] == "out") == pytest.approx(
            done["cost"], abs=1e-7
        )


async def test_a_margin_position_and_its_trade_balance(world):
    async with asyncio.timeout(BOUND), rest_client(world) as client:
        await client.load_markets()
        order = await client.create_order(XRP, "market", "buy", 1000.5, params={"leverage": 5})
        await until(lambda: closed(client, order["id"]))
        with world.still():
            (position,) = await client.fetch_positions([XRP])
            raw = (await client.private_post_openpositions({"docalcs": "true"}))["result"]
            figures = (await client.private_post_tradebalance())["result"]
        assert (position["symbol"], position["side"], position["contracts"]) == (XRP, "long", 1000.5)
        assert sum(Decimal(row["vol"]) for row in raw.values()) == Decimal("1000.5")
        cost = sum(Decimal(row["cost"]) for row in raw.values())
        margin = sum(Decimal(row["margin"]) for row in raw.values())
        assert abs(cost - margin * 5) < Decimal("0.00001")
        assert {row["pair"] for row in raw.values()} == {"XRPUSDT"}
        numbers = {name: Decimal(text) for name, text in figures.items()}
        assert numbers["e"] == numbers["tb"] + numbers["n"]
        assert numbers["mf"] == numbers["e"] - numbers["m"]
        assert abs(numbers["m"] - margin) < Decimal("0.0001")
        assert abs(numbers["ml"] - numbers["e"] / numbers["m"] * 100) < Decimal("0.01")
        assert not (await client.fetch_balance()).get("XRP", {}).get("total")


async def test_wrong_signatures_nonces_and_keys_are_refused_in_krakens_words(world):
    async with asyncio.timeout(BOUND), rest_client(world) as client:
        await client.fetch_balance()
        client.incrementing_nonce = lambda: 1  # a repeated number, as a client with a bad clock sends
        with pytest.raises(ccxt.InvalidNonce, match="EAPI:Invalid nonce"):
            await client.fetch_balance()
    async with asyncio.timeout(BOUND), rest_client(world, secret="d3Jvbmc=") as client:
        with pytest.raises(ccxt.ExchangeError, match="EAPI:Invalid signature"):
            await client.fetch_balance()
    async with asyncio.timeout(BOUND), rest_client(world, key="nobody") as client:
        with pytest.raises(ccxt.AuthenticationError, match="EAPI:Invalid key"):
            await client.fetch_balance()


async def test_rights_of_keys(world):
    async with asyncio.timeout(BOUND), rest_client(world, key="reader") as client:
        assert (await client.fetch_balance())["USDT"]["total"] == float(CASH)
        info = (await client.private_post_getapikeyinfo())["result"]
        assert (info["apiKeyName"], info["permissions"]) == ("reader", ["query-funds"])
        for refused in (
            client.create_order(XRP, "limit", "buy", 100.5, 0.4),
            client.fetch_open_orders(XRP),
            client.private_post_getwebsocketstoken(),
        ):
            with pytest.raises(ccxt.PermissionDenied, match="EGeneral:Permission denied"):
                await refused


async def test_a_burst_of_calls_meets_the_counter_and_bad_keys_the_lockout(world):
    async with asyncio.timeout(BOUND), rest_client(world) as client:
        with world.still():
            for _ in range(20):
                await client.fetch_balance()
            with pytest.raises(ccxt.DDoSProtection, match="EAPI:Rate limit exceeded"):
                await client.fetch_balance()
        decayed = world.clock.now() + 2 * SECOND
        await until(lambda: world.clock.now() > decayed)
        await client.fetch_balance()
    async with asyncio.timeout(BOUND), rest_client(world, key="socketless", secret="d3Jvbmc=") as client:
        for _ in range(LOCKOUT_AFTER):
            with pytest.raises(ccxt.ExchangeError, match="EAPI:Invalid signature"):
                await client.fetch_balance()
        with pytest.raises(ccxt.DDoSProtection, match="EGeneral:Temporary lockout"):
            await client.fetch_balance()
