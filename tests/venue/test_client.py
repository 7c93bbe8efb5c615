import base64
import hashlib
import hmac
import json
import threading
from collections import deque
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs

import msgspec
import pytest
import stamina
from aiohttp import web

from core.clock import MINUTE, SECOND, LiveClock, ManualClock
from core.errors import LinkLost, NotPermitted, VenueError
from core.events import VenuePosition
from core.market import Timeframe
from core.orders import OrderState, OrderType, Purpose, Side, SubmitOrder, TimeInForce
from venue import rest
from venue.client import LOCKOUT, Credentials, PublicRest, SignedRest, fills
from venue.key_info import KeyInfo
from venue.nonce import AHEAD, Nonces

pytestmark = pytest.mark.e2e
GOLDEN = Path(__file__).parents[1] / "golden" / "kraken"
KEY = Credentials("key", base64.b64encode(b"a secret of the tests").decode())


def body(name):
    return (GOLDEN / f"{name}.json").read_text()


NAMES = rest.PairNames(rest.result_of(body("rest_asset_pairs").encode(), dict[str, rest.Pair]))


class FakeRest:
    """Answers each path from a queue; the last answer of a path repeats."""

    def __init__(self):
        self.answers = {}
        self.requests = []
        self.nonces = []
        self.url = ""

    def say(self, path, *answers):
        self.answers[path] = deque(answers)

    async def answer(self, request):
        text = await request.text()
        path = request.match_info["path"]
        form = {key: value[0] for key, value in parse_qs(text).items()}
        self.requests.append((path, {**request.query, **form}))
        if request.method == "POST":
            assert request.headers["API-Sign"] == signature(request.path, form["nonce"], text)
            self.nonces.append(int(form["nonce"]))
        queue = self.answers[path]
        said = queue.popleft() if len(queue) > 1 else queue[0]
        status, said = said if isinstance(said, tuple) else (200, said)
        return web.Response(text=said, status=status)


def signature(path, nonce, text):
    """The documented recipe, written out a second time."""
    message = path.encode() + hashlib.sha256((nonce + text).encode()).digest()
    return base64.b64encode(hmac.digest(base64.b64decode(KEY.secret), message, "sha512")).decode()


@asynccontextmanager
async def fake_rest():
    fake = FakeRest()
    app = web.Application()
    app.router.add_route("*", "/0/public/{path}", fake.answer)
    app.router.add_route("*", "/0/private/{path}", fake.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield fake
    finally:
        await runner.cleanup()


@pytest.fixture(autouse=True)
def without_pauses():
    stamina.set_testing(True, attempts=3, cap=True)
    yield
    stamina.set_testing(False)


@asynccontextmanager
async def signed(clock=None):
    async with fake_rest() as venue:
        client = SignedRest(KEY, clock or LiveClock(), venue.url)
        try:
            yield venue, client
        finally:
            await client.close()


def trades_page(start, count):
    row = {"pair": "XXBTZUSD", "type": "buy", "price": "1.0", "fee": "0.1", "vol": "2", "maker": False}
    rows = {
        f"T{number}": {**row, "ordertxid": f"O{number}", "time": 1688667700.88 + number}
        for number in range(start, start + count)
    }
    return json.dumps({"error": [], "result": {"count": 70, "trades": rows}})


async def test_public_reads():
    async with fake_rest() as venue, PublicRest(venue.url) as client:
        venue.say("Time", body("rest_time"))
        venue.say("AssetPairs", body("rest_asset_pairs"))
        venue.say("OHLC", body("rest_ohlc"))
        assert await client.time() == 1688669448 * SECOND
        bars = await client.ohlc("BTC/USD", Timeframe.M1)
        assert [bar.ts_open // SECOND for bar in bars] == [1688671200, 1688671260, 1688671320]
        assert bars[0].instrument == "BTC/USD"
        assert bars[0].close == 30305.7
        assert venue.requests[-1] == ("OHLC", {"pair": "XBTUSD", "interval": "1"})
        assert [path for path, _ in venue.requests].count("AssetPairs") == 1
        assert (await client.asset_pairs())["BTC/USD"].max_leverage == 5


async def test_public_read_survives_a_page_of_html():
    async with fake_rest() as venue, PublicRest(venue.url) as client:
        venue.say("Time", (520, "<html>Cloudflare</html>"), '{"error":["EService:Busy"]}', body("rest_time"))
        assert await client.time() == 1688669448 * SECOND


async def test_public_read_gives_up_with_the_reason():
    async with fake_rest() as venue, PublicRest(venue.url) as client:
        venue.say("Time", (502, "<html>"))
        with pytest.raises(LinkLost, match="HTTP 502"):
            await client.time()
        assert len(venue.requests) == 3
        venue.say("Time", '{"error":["EGeneral:Invalid arguments"]}')
        with pytest.raises(VenueError, match="Invalid arguments"):
            await client.time()
        venue.say("AssetPairs", body("rest_asset_pairs"))
        venue.say("OHLC", '{"error":[],"result":{"last":1}}')
        with pytest.raises(VenueError, match="expected bars of BTC/USD"):
            await client.ohlc("BTC/USD", Timeframe.H1)
    async with PublicRest("http://127.0.0.1:9", attempts=1) as nobody:
        with pytest.raises(LinkLost):
            await nobody.time()


async def test_signed_reads_carry_a_right_signature_and_rising_nonces():
    async with signed() as (venue, client):
        venue.say("GetWebSocketsToken", body("rest_get_websockets_token"))
        venue.say("OpenOrders", body("rest_open_orders"))
        venue.say("ClosedOrders", body("rest_closed_orders"))
        venue.say("QueryOrders", body("rest_query_orders"))
        venue.say("OpenPositions", body("rest_open_positions"))
        venue.say("Balance", body("rest_balance"))
        assert await client.websocket_token() == "1Dwc4lzSwNWOAwkMdqhssNNFhs1ed606d1WcF3XfEMw"
        opened = await client.open_orders(NAMES)
        assert {one.state for one in opened.values()} == {OrderState.WORKING}
        closed = await client.closed_orders(NAMES, since=5 * SECOND, cl_ord_id="SM1")
        assert [one.state for one in closed.values()] == [OrderState.CANCELED]
        sent = {key: value for key, value in venue.requests[-1][1].items() if key != "nonce"}
        assert sent == {"closetime": "close", "start": "4", "cl_ord_id": "SM1", "ofs": "0"}
        assert await client.query_orders(NAMES, ("O1", "O2"))
        assert venue.requests[-1][1]["txid"] == "O1,O2"
        assert await client.query_orders(NAMES, ()) == {}
        (position,) = await client.open_positions(NAMES)
        assert isinstance(position, VenuePosition)
        assert (await client.balances())["USDT"] == Decimal(500000)
        assert venue.nonces == sorted(set(venue.nonces))


async def test_history_is_read_page_by_page_and_joined_with_orders():
    async with signed() as (venue, client):
        venue.say("TradesHistory", trades_page(0, 50), trades_page(50, 20))
        venue.say("ClosedOrders", '{"error":[],"result":{"closed":{},"count":0}}')
        trades = await client.trades_history(0)
        assert len(trades) == 70
        assert venue.requests[0][1]["consolidate_taker"] == "false"
        assert [request["ofs"] for _, request in venue.requests] == ["0", "50"]
        assert await client.closed_orders(NAMES) == {}
    made = fills("main", trades, {}, NAMES)
    assert [one.ts_event for one in made] == sorted(one.ts_event for one in made)
    assert {one.instrument for one in made} == {"BTC/USD"}
    assert made[0].cl_ord_id == ""


@pytest.mark.parametrize(
    "said, error",
    [
        ('{"error":["EAPI:Invalid key"]}', NotPermitted),
        ('{"error":["EGeneral:Permission denied"]}', NotPermitted),
        ('{"error":["EGeneral:Invalid arguments:x"]}', VenueError),
        ('{"error":["EService:Unavailable"]}', LinkLost),
        ('{"error":["EAPI:Rate limit exceeded"]}', LinkLost),
        ((520, "<html>520</html>"), LinkLost),
        ((502, "<html>502</html>"), LinkLost),
        ("", LinkLost),
        ("<html>", LinkLost),
        ('{"error":[]}', LinkLost),
        ('{"error":[],"result":{"expires":900}}', VenueError),
    ],
)
async def test_signed_failure_is_judged_by_what_it_proves(said, error):
    async with signed() as (venue, client):
        venue.say("GetWebSocketsToken", said)
        with pytest.raises(error):
            await client.websocket_token()
        assert len(venue.requests) == 1


BALANCE = '{"error":[],"result":{"USDT":"1"}}'


async def test_a_warning_beside_a_result_is_no_failure():
    async with signed() as (venue, client):
        venue.say("Balance", '{"error":["WGeneral:Danger"],"result":{"USDT":"1"}}')
        assert await client.balances() == {"USDT": 1}
        venue.say("Balance", '{"error":["WGeneral:Danger"]}')
        with pytest.raises(LinkLost):
            await client.balances()


async def test_a_refused_nonce_is_resynced_once(tmp_path):
    path = tmp_path / "key.nonce"
    async with signed() as (venue, client):
        client.nonces = Nonces(lambda: 5, path)
        venue.say("Balance", BALANCE, '{"error":["EAPI:Invalid nonce"]}', BALANCE)
        await client.balances()
        path.write_text("990000000")  # another process had the key meanwhile
        assert await client.balances() == {"USDT": 1}
        assert venue.nonces == [5, 6, 990_000_001]
        venue.say("Balance", '{"error":["EAPI:Invalid nonce"]}')
        with pytest.raises(NotPermitted, match="make a new key"):
            await client.balances()
        assert len(venue.requests) == 5


class Watched(Nonces):
    """Nonces that tell which thread waits for the disk."""

    def reserve(self):
        self.threads = [*getattr(self, "threads", ()), threading.current_thread()]
        super().reserve()


async def test_the_loop_never_waits_for_the_disk_of_a_nonce(tmp_path):
    now = 10**9
    async with signed() as (venue, client):
        client.nonces = Watched(lambda: now, tmp_path / "key.nonce")
        venue.say("Balance", BALANCE)
        for passed in (0, 1, AHEAD // 2, AHEAD, 5 * AHEAD):
            now = 10**9 + passed
            await client.balances()
        assert len(client.nonces.threads) == 3
        assert threading.current_thread() not in client.nonces.threads
        assert venue.nonces == sorted(set(venue.nonces))


async def test_throttled_is_silent_until_the_named_time():
    clock = ManualClock(1688669440 * SECOND)
    async with signed(clock) as (venue, client):
        venue.say("Balance", '{"error":["EService: Throttled: 1688669448"]}')
        for _ in range(3):
            with pytest.raises(LinkLost, match=r"[Tt]hrottled"):
                await client.balances()
        assert len(venue.requests) == 1
        clock.advance_to(1688669448 * SECOND)
        venue.say("Balance", BALANCE)
        assert await client.balances()


@pytest.mark.parametrize("named", ["1688669440000", "9" * 400, "9" * 5000])
async def test_an_impossible_time_of_a_throttle_silences_for_minutes_only(named):
    clock = ManualClock(1688669440 * SECOND)
    async with signed(clock) as (venue, client):
        venue.say("Balance", f'{{"error":["EService:Throttled: {named}"]}}')
        for _ in range(2):
            with pytest.raises(LinkLost, match=r"[Tt]hrottled"):
                await client.balances()
        assert len(venue.requests) == 1
        clock.advance_to(1688669440 * SECOND + LOCKOUT)
        venue.say("Balance", BALANCE)
        assert await client.balances()


async def test_a_full_counter_is_believed():
    clock = ManualClock(5)
    async with signed(clock) as (venue, client):
        venue.say("Balance", '{"error":["EAPI:Rate limit exceeded"]}')
        with pytest.raises(LinkLost, match="Rate limit"):
            await client.balances()
        assert client.budget.wait_s(1, 5) > 0


async def test_the_key_tells_what_it_may_do():
    async with signed() as (venue, client):
        reply = {"permissions": ["query-funds"], "nonce_window": "0", "ip_allowlist": []}
        venue.say("GetApiKeyInfo", json.dumps({"error": [], "result": reply}))
        assert await client.key_info() == KeyInfo(("query-funds",), 0, ())
        venue.say("GetApiKeyInfo", '{"error":[],"result":[]}')
        with pytest.raises(VenueError, match="as a table"):
            await client.key_info()


ORDER = SubmitOrder(
    account="main",
    trader="a",
    cl_ord_id="SM1",
    instrument="BTC/USD",
    side=Side.BUY,
    quantity=Decimal("0.00001"),
    order_type=OrderType.LIMIT,
    purpose=Purpose.ENTRY,
    time_in_force=TimeInForce.IOC,
    deadline=2**62,
    limit_price=Decimal("26500.40"),
    leverage=3,
)


async def test_an_order_goes_over_rest_as_it_is_documented():
    async with signed() as (venue, client):
        placed = {"descr": {"order": "buy 0.00001 XBTUSD"}, "txid": ["OUF4EM-FRGI2-MQMWZD"]}
        venue.say("AddOrder", json.dumps({"error": [], "result": placed}))
        assert await client.add_order(ORDER, NAMES) == "OUF4EM-FRGI2-MQMWZD"
        path, form = venue.requests[-1]
        del form["nonce"]
        assert (path, form) == (
            "AddOrder",
            {
                "pair": "XBTUSD",
                "type": "buy",
                "ordertype": "limit",
                "volume": "0.00001",
                "cl_ord_id": "SM1",
                "deadline": "2116-02-20T23:53:38.427Z",
                "price": "26500.40",
                "timeinforce": "IOC",
                "leverage": "3",
            },
        )


def test_a_closing_stop_carries_leverage_and_reduce_only():
    stop = msgspec.structs.replace(
        ORDER,
        order_type=OrderType.STOP_LOSS,
        limit_price=None,
        trigger_price=Decimal("1E+4"),
        reduce_only=True,
        expires=60 * SECOND,
        post_only=True,
    )
    form = rest.order_form(stop, NAMES)
    assert (
        form.items() >= {"price": "10000", "reduce_only": "true", "leverage": "3", "expiretm": "60"}.items()
    )
    assert form["oflags"] == "post"
    assert "timeinforce" not in form
    assert "validate" not in form


SAID_TO_AN_ORDER = [
    ('{"error":["EOrder:Insufficient margin"]}', VenueError),
    ('{"error":["EAPI:Rate limit exceeded"]}', VenueError),
    ('{"error":["EService: Throttled: 1"]}', VenueError),
    ('{"error":["EGeneral:Temporary lockout"]}', VenueError),
    ('{"error":["EAPI:Invalid nonce"]}', NotPermitted),
    ('{"error":["EGeneral:Permission denied"]}', NotPermitted),
    ('{"error":["EService:Unavailable"]}', LinkLost),
    ('{"error":["EGeneral:Internal error"]}', LinkLost),
    ((502, "<html>502</html>"), LinkLost),
    ((520, "<html>520</html>"), LinkLost),
    ("<html>", LinkLost),
    ("", LinkLost),
    ('{"error":[]}', LinkLost),
    ('{"error":[],"result":{"descr":{}}}', LinkLost),
    ('{"error":[],"result":{"txid":[]}}', LinkLost),
]


async def test_an_order_is_never_sent_twice_and_refused_only_by_proof():
    clock = ManualClock(0)
    async with signed(clock) as (venue, client):
        for number, (said, error) in enumerate(SAID_TO_AN_ORDER, 1):
            venue.say("AddOrder", said)
            with pytest.raises(error) as found:
                await client.add_order(ORDER, NAMES)
            assert (said, type(found.value)) == (said, error)
            assert len(venue.requests) == number
            clock.advance_to(number * 16 * MINUTE)  # a lockout passes


async def test_an_overdue_order_is_not_sent():
    async with signed() as (venue, client):
        with pytest.raises(VenueError, match="deadline"):
            await client.add_order(msgspec.structs.replace(ORDER, deadline=1), NAMES)
        assert venue.requests == []


async def test_odd_result_blames_the_venue():
    async with signed() as (venue, client):
        venue.say("Balance", '{"error":[],"result":{"USDT":"many"}}')
        with pytest.raises(VenueError, match="expected Balance as documented"):
            await client.balances()


@pytest.mark.parametrize("result", ["null", "[]", '"no"', "7", "{}", '{"open":null}', '{"count":0}'])
async def test_an_answer_without_its_table_proves_no_absence(result):
    async with signed() as (venue, client):
        for path in ("OpenOrders", "ClosedOrders", "TradesHistory"):
            venue.say(path, f'{{"error":[],"result":{result}}}')
        with pytest.raises(VenueError, match="expected open as documented"):
            await client.open_orders(NAMES)
        with pytest.raises(VenueError, match="expected closed as documented"):
            await client.closed_orders(NAMES)
        with pytest.raises(VenueError, match="expected trades as documented"):
            await client.trades_history(0)


async def test_lockout_silences_the_key():
    clock = ManualClock(5)
    async with signed(clock) as (venue, client):
        venue.say("Balance", '{"error":["EGeneral:Temporary lockout"]}')
        for _ in range(3):
            with pytest.raises(LinkLost, match=r"lock(out|ed out)"):
                await client.balances()
        assert len(venue.requests) == 1
        clock.advance_to(16 * MINUTE)
        venue.say("Balance", body("rest_balance"))
        assert await client.balances()


def test_credentials_show_nothing():
    assert repr(KEY) == str(KEY) == "Credentials(***)"
    assert KEY.secret not in f"{KEY!r} {[KEY]}"
