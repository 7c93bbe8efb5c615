"""python-kraken-sdk, a client that nobody here wrote: REST, books with its checksums, and an account."""

import asyncio
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from functools import partial

import pytest
from kraken import exceptions as refusals
from kraken.spot import Market, SpotOrderBookClient, SpotWSClient, Trade, User

from core.clock import MINUTE
from tests.e2e.venue_thread import BTC, CASH, MAKER, SECRET, TAKER, XRP, until, venue_thread

pytestmark = pytest.mark.e2e
BOUND = 20


@pytest.fixture
def world():
    with venue_thread() as running:
        yield running


@contextmanager
def rest(world, kind, *, key="key", secret=SECRET):
    client = kind(key=key, secret=secret, url=world.ports.rest)
    try:
        yield client
    finally:
        client._SpotClient__session.close()  # the client never closes it


@asynccontextmanager
async def streams(world, key="key", secret=SECRET):
    """Its WebSocket client, and every message that it was given."""
    heard = []

    async def hear(message):
        heard.append(message)

    base = f"ws://127.0.0.1:{world.ports.port}"
    client = SpotWSClient(
        key=key,
        secret=secret,
        callback=hear,
        rest_url=world.ports.rest,
        ws_url=base,
        auth_ws_url=f"{base}/auth",
    )
    async with client:
        yield client, heard


class Books(SpotOrderBookClient):
    """Its book client with the addresses of the loopback. Checksums are verified by itself."""

    def __init__(self, world, depth):
        self.WS_URL = f"ws://127.0.0.1:{world.ports.port}"
        self.updates, self.broken = 0, 0
        super().__init__(depth=depth)
        self._SpotOrderBookClient__market = Market(url=world.ports.rest)

    async def on_book_update(self, pair, message):
        self.updates += 1
        self.broken += "error" in message or not self.get(pair)["valid"]

    def holds(self, pair, venue):
        kept = self.get(pair)
        return venue == {
            f"{side}s": [[float(price), float(row[0])] for price, row in kept[side].items()]
            for side in ("bid", "ask")
        }


def rows(heard, channel, kind=None):
    return [
        row
        for message in heard
        if message.get("channel") == channel and kind in (None, message["type"])
        for row in message["data"]
    ]


# ---- REST ----


def test_the_market_as_it_reads_it(world):
    with rest(world, Market) as market, world.still():
        assert market.get_system_status()["status"] == "online"
        pairs = market.get_asset_pairs()
        assert set(pairs) == {"XRPUSDT", "XBTUSDT"}
        assert pairs["XRPUSDT"]["fees"][0] == [0, float(TAKER * 100)]
        assert pairs["XRPUSDT"]["fees_maker"][0] == [0, float(MAKER * 100)]
        assert set(market.get_asset_pairs(pair=[XRP, BTC], info="leverage")[XRP]) == {
            "leverage_buy",
            "leverage_sell",
        }
        assets = market.get_assets(assets=["XBT", "XRP"])
        assert {key: row["altname"] for key, row in assets.items()} == {"XXBT": "XBT", "XXRP": "XRP"}
        ticker = market.get_ticker()["XRPUSDT"]
        depth = market.get_order_book(pair="XRPUSDT", count=5)["XRPUSDT"]
        assert (ticker["a"][0], ticker["b"][0]) == (depth["asks"][0][0], depth["bids"][0][0])
        assert all(len(volume.partition(".")[2]) == 3 for _, volume, _ in depth["asks"])
        ohlc = market.get_ohlc(pair="XRPUSDT", interval=5)
        assert len(ohlc["XRPUSDT"]) == 720
        assert ohlc["last"] == ohlc["XRPUSDT"][-2][0]
        later = market.get_ohlc(pair="XRPUSDT", interval=5, since=ohlc["XRPUSDT"][-3][0])["XRPUSDT"]
        assert later == ohlc["XRPUSDT"][-2:]
        trades = market.get_recent_trades(pair="XRPUSDT", count=10)["XRPUSDT"]
        assert [row[6] for row in trades] == list(range(trades[0][6], trades[0][6] + 10))
        assert trades[-1][0] == ticker["c"][0]
        spreads = market.get_recent_spreads(pair="XRPUSDT")
        assert spreads["XRPUSDT"][-1][1:] == [ticker["b"][0], ticker["a"][0]]
        with pytest.raises(refusals.KrakenUnknownAssetError, match="EQuery:Unknown asset pair"):
            market.get_order_book(pair="NOPE")
        with pytest.raises(refusals.KrakenUnknownAssetError, match="EQuery:Unknown asset'"):
            market.get_assets(assets="NOPE")


def test_orders_over_rest_from_placing_to_the_books_of_the_account(world):
    with rest(world, Trade) as trade, rest(world, User) as user, rest(world, Market) as market:
        assert user.get_account_balance() == {"USDT": f"{CASH:.8f}"}
        bid = Decimal(market.get_ticker(pair="XRPUSDT")["XRPUSDT"]["b"][0])
        price, lower = round(bid * Decimal("0.9"), 4), round(bid * Decimal("0.8"), 4)
        placed = trade.create_order("limit", "buy", "XRPUSDT", "100.5", price=str(price), cl_ord_id="mine-1")
        assert placed["descr"]["order"].startswith("buy 100.5")
        assert placed["descr"]["order"].endswith(f"XRPUSDT @ limit {price}")
        (txid,) = placed["txid"]
        row = user.get_open_orders()["open"][txid]
        assert (row["cl_ord_id"], float(row["vol"]), row["descr"]["price"]) == ("mine-1", 100.5, f"{price}")
        assert Decimal(user.get_balances()["USDT"]["hold_trade"]) >= Decimal("100.5") * price

        assert trade.amend_order(txid=txid, order_qty="90.25", limit_price=str(lower))["amend_id"]
        amended = user.get_open_orders()["open"][txid]
        assert (float(amended["vol"]), amended["descr"]["price"]) == (90.25, f"{lower}")

        with pytest.raises(refusals.KrakenInvalidOrderError):  # an edit knows no client ids
            trade.edit_order(txid=txid, pair="XRPUSDT", volume="80.5", price=str(price))
        assert trade.cancel_order(txid=txid)["count"] == 1
        (txid,) = trade.create_order("limit", "buy", "XRPUSDT", "100.5", price=str(price), userref=7)["txid"]
        edited = trade.edit_order(txid=txid, pair="XRPUSDT", volume="80.5", price=str(lower))
        assert (edited["originaltxid"], edited["status"]) == (txid, "ok")
        ((edited_id, row),) = user.get_open_orders()["open"].items()
        assert (edited_id, row["vol_exec"]) == (edited["txid"], "0.00000000")
        assert user.get_orders_info(txid=txid)[txid]["status"] == "canceled"

        assert trade.cancel_order(txid=edited["txid"])["count"] == 1
        with pytest.raises(refusals.KrakenUnknownOrderError):
            trade.cancel_order(txid=edited["txid"])
        batch = trade.create_order_batch(
            orders=[
                {"ordertype": "limit", "type": "buy", "volume": "50.5", "price": f"{price}"},
                {"ordertype": "limit", "type": "buy", "volume": "60.5", "price": f"{lower}"},
            ],
            pair="XRPUSDT",
        )["orders"]
        ids = [leg["txid"] for leg in batch]
        assert list(user.get_open_orders()["open"]) in (ids, ids[::-1])
        assert trade.cancel_order_batch(orders=ids)["count"] == 2
        assert trade.cancel_all_orders()["count"] == 0
        assert trade.cancel_all_orders_after_x(timeout=0)["triggerTime"] == "0"


def test_fills_positions_and_figures_of_the_account(world):
    with rest(world, Trade) as trade, rest(world, User) as user:
        (txid,) = trade.create_order("market", "buy", "XRPUSDT", "200.5", leverage="5")["txid"]
        asyncio.run(until(lambda: user.get_orders_info(txid=txid)[txid]["status"] == "closed"))
        order = user.get_orders_info(txid=txid, trades=True)[txid]
        with world.still():
            fills = user.get_trades_history(consolidate_taker=False)["trades"]
            (held,) = user.get_open_positions(docalcs=True)
            positions = user.get_open_positions(docalcs=True, consolidation="none")
            figures = {k: Decimal(v) for k, v in user.get_trade_balance(asset="USDT").items()}
            volume = user.get_trade_volume(pair="XRPUSDT")
        assert {fill["ordertxid"] for fill in fills.values()} == {txid}
        assert set(order["trades"]) == set(fills)
        assert sum(Decimal(fill["vol"]) for fill in fills.values()) == Decimal("200.5")
        assert sum(Decimal(fill["cost"]) for fill in fills.values()) == Decimal(order["cost"])
        assert sum(Decimal(row["vol"]) for row in positions.values()) == Decimal("200.5")
        assert (held["pair"], held["type"], Decimal(held["vol"])) == ("XRPUSDT", "buy", Decimal("200.5"))
        assert Decimal(held["margin"]) == sum(Decimal(row["margin"]) for row in positions.values())
        assert figures["e"] == figures["tb"] + figures["n"]
        assert figures["mf"] == figures["e"] - figures["m"]
        assert Decimal(volume["fees"]["XRPUSDT"]["fee"]) == TAKER * 100
        assert Decimal(volume["fees_maker"]["XRPUSDT"]["fee"]) == MAKER * 100
        ((closed, _),) = user.get_closed_orders()["closed"].items()
        assert closed == txid


@pytest.mark.parametrize(
    "key,secret,refusal",
    [
        ("nobody", SECRET, refusals.KrakenInvalidAPIKeyError),
        ("key", "d3Jvbmc=", refusals.KrakenInvalidSignatureError),
    ],
)
def test_wrong_credentials(world, key, secret, refusal):
    with rest(world, User, key=key, secret=secret) as user, pytest.raises(refusal):
        user.get_account_balance()


def test_a_repeated_nonce_and_a_missing_right(world):
    with rest(world, User) as user:
        user.get_account_balance()
        user.get_nonce = lambda: "1"
        with pytest.raises(refusals.KrakenInvalidNonceError):
            user.get_account_balance()
    with rest(world, Trade, key="reader") as trade, pytest.raises(refusals.KrakenPermissionDeniedError):
        trade.cancel_all_orders()


# ---- WebSocket ----


async def test_its_own_checksums_pass_and_its_book_is_the_venues():
    with venue_thread(varied=True) as world:
        await follow_books(world)


async def follow_books(world):
    books = Books(world, 25)
    async with asyncio.timeout(BOUND), books:
        await books.add_book(pairs=[XRP, BTC])
        await until(lambda: books.updates > 200)
        with world.still():
            for pair in (XRP, BTC):
                venue = world.book(pair, 25)
                await until(partial(books.holds, pair, venue))
        assert books.broken == 0
        assert all(books.get(pair)["valid"] for pair in (XRP, BTC))
        await books.remove_book(pairs=[BTC])
        await until(lambda: books.get(BTC) is None)
    books._SpotOrderBookClient__market._SpotClient__session.close()


async def test_public_and_private_channels(world):
    async with asyncio.timeout(BOUND), streams(world) as (client, heard):
        await client.subscribe(
            params={"channel": "ticker", "symbol": [XRP], "event_trigger": "bbo"}, req_id=1
        )
        await client.subscribe(params={"channel": "trade", "symbol": [XRP, BTC], "snapshot": True}, req_id=2)
        await client.subscribe(params={"channel": "ohlc", "symbol": [XRP], "interval": 5}, req_id=3)
        await client.subscribe(params={"channel": "instrument"}, req_id=4)
        await client.subscribe(params={"channel": "book", "symbol": [XRP], "depth": 11}, req_id=5)
        await client.subscribe(params={"channel": "executions", "snap_orders": True}, req_id=6)
        await client.subscribe(params={"channel": "balances"}, req_id=7)
        await until(lambda: rows(heard, "balances") and len(rows(heard, "trade", "update")) > 5)

        acks = [m for m in heard if m.get("method") == "subscribe"]
        assert sorted(ack["req_id"] for ack in acks) == [1, 2, 2, 3, 4, 5, 6, 7]
        (refused,) = [ack for ack in acks if not ack["success"]]
        assert (refused["req_id"], refused["error"]) == (5, "Subscription depth not supported")
        statuses = rows(heard, "status")
        assert {row["system"] for row in statuses} == {"online"}
        assert all(row["connection_id"] > 1 << 53 for row in statuses)
        xrp = [row for row in rows(heard, "trade") if row["symbol"] == XRP]
        assert len(rows(heard, "trade", "snapshot")) == 100
        assert [row["trade_id"] for row in xrp] == list(range(xrp[0]["trade_id"], xrp[-1]["trade_id"] + 1))
        assert len(rows(heard, "ohlc", "snapshot")) == 720
        assert rows(heard, "ticker")[-1]["bid"] < rows(heard, "ticker")[-1]["ask"]
        assert {row["asset"]: row["balance"] for row in rows(heard, "balances")}["USDT"] == float(CASH)

        begin = world.clock.now()
        await until(lambda: world.clock.now() > begin + MINUTE)
        await until(lambda: {"channel": "heartbeat"} in heard)
        await client.unsubscribe(params={"channel": "ticker", "symbol": [XRP], "event_trigger": "bbo"})
        await until(lambda: any(m.get("method") == "unsubscribe" for m in heard))
        (gone,) = [m for m in heard if m.get("method") == "unsubscribe"]
        assert gone["result"] == {"channel": "ticker", "event_trigger": "bbo", "symbol": XRP}


async def test_an_order_over_the_socket_from_placing_to_its_fill():
    with venue_thread(varied=True) as world:
        await trade_over_the_socket(world)


async def trade_over_the_socket(world):
    async with asyncio.timeout(BOUND), streams(world) as (client, heard):
        await client.subscribe(params={"channel": "executions", "snap_orders": True})
        await client.subscribe(params={"channel": "ticker", "symbol": [XRP]})
        await until(lambda: rows(heard, "ticker"))
        top = rows(heard, "ticker")[-1]

        def answer(req_id):
            return next((m for m in heard if m.get("req_id") == req_id), None)

        async def ask(method, req_id, **params):
            await client.send_message(message={"method": method, "req_id": req_id, "params": params})
            await until(lambda: answer(req_id))
            assert answer(req_id)["success"], answer(req_id)
            return answer(req_id)["result"]

        def reports(order_id):
            return [row for row in rows(heard, "executions") if row["order_id"] == order_id]

        limit = {"order_type": "limit", "side": "buy", "symbol": XRP}
        resting = await ask(
            "add_order",
            11,
            **limit,
            order_qty=100.5,
            limit_price=round(top["bid"] * 0.9, 4),
            cl_ord_id="mine-2",
        )
        await until(lambda: len(reports(resting["order_id"])) == 2)
        first, second = reports(resting["order_id"])
        assert (first["exec_type"], first["cl_ord_id"], first["order_qty"]) == (
            "pending_new",
            "mine-2",
            100.5,
        )
        assert (second["exec_type"], second["order_status"]) == ("new", "new")
        assert "symbol" not in second

        lower = round(top["bid"] * 0.8, 4)
        amended = await ask(
            "amend_order", 12, order_id=resting["order_id"], limit_price=lower, order_qty=90.25
        )
        assert amended["amend_id"]
        await until(lambda: reports(resting["order_id"])[-1]["exec_type"] == "amended")
        assert reports(resting["order_id"])[-1]["limit_price"] == lower
        await ask("cancel_order", 13, order_id=[resting["order_id"]])
        await until(lambda: reports(resting["order_id"])[-1]["order_status"] == "canceled")

        taken = await ask(
            "add_order",
            14,
            **limit,
            order_qty=30.5,
            limit_price=round(top["ask"] * 1.02, 4),
            time_in_force="gtc",
        )
        await until(lambda: reports(taken["order_id"])[-1]["exec_type"] == "filled")
        fills = [row for row in reports(taken["order_id"]) if row["exec_type"] == "trade"]
        assert {row["order_status"] for row in fills} == {"partially_filled"}
        assert sum(Decimal(repr(row["last_qty"])) for row in fills) == Decimal("30.5")
        legs = [
            {
                "order_type": "limit",
                "side": "buy",
                "order_qty": 50.5,
                "limit_price": lower,
                "order_userref": n,
            }
            for n in (1, 2, 3)
        ]
        batch = await ask("batch_add", 15, symbol=XRP, orders=legs)
        ids = [leg["order_id"] for leg in batch]
        await until(lambda: all(reports(order_id)[-1:] for order_id in ids))
        edited = await ask("edit_order", 16, order_id=ids[2], symbol=XRP, order_qty=60.5, limit_price=lower)
        assert edited["original_order_id"] == ids[2]
        await ask("batch_cancel", 17, orders=ids[:2])
        switch = await ask("cancel_all_orders_after", 18, timeout=86_000)
        assert switch["currentTime"] < switch["triggerTime"]
        assert (await ask("cancel_all", 19))["count"] == 1
        await until(lambda: reports(edited["order_id"])[-1]["order_status"] == "canceled")
        sequences = [m["sequence"] for m in heard if m.get("channel") == "executions"]
        assert sequences == list(range(1, len(sequences) + 1))
        with rest(world, User) as user:
            history = await asyncio.to_thread(user.get_trades_history, consolidate_taker=False)
        assert set(history["trades"]) == {row["exec_id"] for row in fills}
