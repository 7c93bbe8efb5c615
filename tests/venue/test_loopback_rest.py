"""The loopback's HTTP face: envelopes, signatures, form and JSON bodies, orders that wait."""

import asyncio
import base64
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from itertools import count

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.venue.loopback_client import SECRET, Client, venue_at
from venue.loopback import application

NONCES = count(1)


@asynccontextmanager
async def serving():
    venue, clock = venue_at()
    async with TestClient(TestServer(application(venue))) as http:
        yield venue, clock, http


async def posted(http, method, *, as_json=False, key="key", **form):
    """Give status and text of a private call, whatever they are."""
    path, nonce = f"/0/private/{method}", str(next(NONCES))
    fields = {"nonce": nonce, **form}
    body = json.dumps(fields) if as_json else "&".join(f"{k}={v}" for k, v in fields.items())
    digest = hashlib.sha256((nonce + body).encode()).digest()
    mac = hmac.new(base64.b64decode(SECRET), path.encode() + digest, hashlib.sha512)
    headers = {"API-Key": key, "API-Sign": base64.b64encode(mac.digest()).decode()}
    async with http.post(path, data=body, headers=headers) as response:
        return response.status, await response.text()


async def call(http, method, **form):
    status, text = await posted(http, method, **form)
    assert status == 200  # API errors are no HTTP errors
    return json.loads(text)


async def ordered(venue, clock, request):
    """Let the venue's time pass while a request waits for the exchange."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(request)
        while not task.done():
            await asyncio.sleep(0)
            clock.advance_to(clock.now() + 5_000_000)
            venue.pump()
    return task.result()


async def test_public_envelope_of_answers_and_errors():
    async with serving() as (_, _, http):
        async with http.get("/0/public/Time") as response:
            assert (await response.json())["error"] == []
        async with http.get("/0/public/OHLC?pair=NOPE") as response:
            assert await response.json() == {"error": ["EQuery:Unknown asset pair"]}
        async with http.get("/0/public/Nothing") as response:
            assert await response.json() == {"error": ["EGeneral:Unknown method"]}


async def test_private_calls_need_the_right_key():
    async with serving() as (_, _, http):
        assert (await call(http, "Balance"))["result"] == {"USDT": "10000.00000000"}
        assert (await call(http, "Balance", as_json=True))["result"] == {"USDT": "10000.00000000"}
        assert (await call(http, "Balance", key="stolen"))["error"] == ["EAPI:Invalid key"]
        assert (await call(http, "Nothing"))["error"] == ["EGeneral:Unknown method"]
        assert (await call(http, "QueryOrders"))["error"] == ["EGeneral:Invalid arguments"]
        extended = (await call(http, "BalanceEx"))["result"]
        assert extended == {"USDT": {"balance": "10000.00000000", "hold_trade": "0.00000000"}}
        async with http.post("/0/private/Balance", data="{broken", headers={"API-Key": "key"}) as response:
            assert (await response.json())["error"] == ["EAPI:Invalid signature"]


async def test_orders_over_rest_wait_for_the_exchange():
    order = {"pair": "XRPUSDT", "type": "buy", "ordertype": "limit", "volume": "100", "price": "0.4"}
    async with asyncio.timeout(20), serving() as (venue, clock, http):
        placed = await ordered(venue, clock, call(http, "AddOrder", leverage="5", as_json=True, **order))
        assert placed["result"]["descr"]["order"] == "buy 100.00000000 XRPUSDT @ limit 0.4 with 5:1 leverage"
        (txid,) = placed["result"]["txid"]
        assert set((await call(http, "OpenOrders"))["result"]["open"]) == {txid}
        assert (await ordered(venue, clock, call(http, "CancelOrder", txid=txid)))["result"] == {"count": 1}
        again = await ordered(venue, clock, call(http, "CancelOrder", txid=txid))
        assert again["error"] == ["EOrder:Unknown order"]
        assert (await ordered(venue, clock, call(http, "CancelAll")))["result"] == {"count": 0}


@pytest.mark.parametrize(
    "change,expected",
    [
        ({"pair": "NOPE"}, ["EQuery:Unknown asset pair"]),
        ({"volume": "x"}, ["EGeneral:Invalid arguments:volume"]),
        ({"validate": "true"}, []),
    ],
)
async def test_orders_that_never_reach_the_exchange(change, expected):
    order = {"pair": "XRPUSDT", "type": "buy", "ordertype": "limit", "volume": "100", "price": "0.4"}
    async with serving() as (venue, _, http):
        answer = await call(http, "AddOrder", **(order | change))
        assert answer["error"] == expected
        assert "txid" not in answer.get("result", {})
        assert venue.exchange.next_due() is None


async def test_websocket_greets_answers_and_forgets():
    async with asyncio.timeout(20), serving() as (venue, _, http):
        async with http.ws_connect("/v2-auth") as socket:
            assert (await socket.receive_json())["channel"] == "status"
            await socket.send_str("nonsense")
            assert (await socket.receive_json())["success"] is False
            await socket.send_json({"method": "ping", "req_id": 3})
            assert (await socket.receive_json())["req_id"] == 3
        for _ in range(10_000):
            if not venue.private._seats:
                break
            await asyncio.sleep(0)
        assert venue.private._seats == {}


async def test_server_hangs_up_on_a_connection_that_it_closed():
    async with asyncio.timeout(20), serving() as (venue, _, http), http.ws_connect("/v2") as socket:
        await socket.receive_json()
        (connection,) = venue.public._connections.values()
        connection.close()
        connection.send("never sent")
        assert (await socket.receive()).type.name in {"CLOSE", "CLOSED"}


def test_private_desk_beats_pings_and_unsubscribes():
    client = Client(*venue_at(), account="paper")
    client.frames()
    assert client.ask("ping", 1)[0]["req_id"] == 1
    client.venue.private.heartbeat()
    assert client.frames() == []
    client.subscribed("executions")
    client.venue.private.heartbeat()
    assert client.frames() == [{"channel": "heartbeat"}]
    (ack,) = client.ask("unsubscribe", channel="executions")
    assert ack["result"] == {"channel": "executions"}
    client.ask(
        "add_order", order_type="limit", side="buy", symbol="XRP/USDT", order_qty=50.0, limit_price=0.4
    )
    assert [f.get("method") for f in client.wait(10**9)] == ["add_order"]
