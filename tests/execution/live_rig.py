"""A gateway without sockets: requests are read off its session, answers put into it."""

import asyncio
from collections import deque
from decimal import Decimal

import msgspec

from core.clock import SECOND, ManualClock
from core.errors import LinkLost
from core.events import OrderUpdate, Reconciled, RequestReconcile, VenueOrder, VenuePosition
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
from execution.live import VenueGateway, VenueUrls
from tests.venue.fake_kraken import running, told
from venue import rest
from venue.client import Credentials
from venue.key_info import KeyInfo
from venue.limits import RestBudget

DAY = 86_400 * SECOND
PERMISSIONS = (
    "Query Funds",
    "Query Open Orders & Trades",
    "Query Closed Orders & Trades",
    "Create & Modify Orders",
    "Cancel/Close Orders",
    "Access WebSockets API",
)
STOP = SubmitOrder(
    account="main",
    trader="a",
    cl_ord_id="SMaa1",
    instrument="BTC/USDT",
    side=Side.SELL,
    quantity=Decimal("0.5"),
    order_type=OrderType.STOP_LOSS,
    purpose=Purpose.STOP,
    time_in_force=TimeInForce.GTC,
    deadline=2**62,
    trigger_price=Decimal(60000),
    reduce_only=True,
)
ENTRY = msgspec.structs.replace(
    STOP,
    cl_ord_id="SMaa2",
    side=Side.BUY,
    order_type=OrderType.LIMIT,
    purpose=Purpose.ENTRY,
    time_in_force=TimeInForce.IOC,
    limit_price=Decimal(61000),
    trigger_price=None,
    reduce_only=False,
    after="SMaa1",
)
CANCEL = CancelOrder("main", "a", "SMaa1", "BTC/USDT")
AMEND = AmendOrder("main", "a", "SMaa1", "BTC/USDT", 2**62, quantity=Decimal("0.25"))
NAMES = rest.PairNames({"XBTUSDT": rest.Pair("XBTUSDT", 1, 8, Decimal(0), wsname="XBT/USDT")})


def order(cl_ord_id, state=OrderState.WORKING, order_id="", filled="0"):
    return VenueOrder(
        cl_ord_id=cl_ord_id,
        order_id=order_id or f"O-{cl_ord_id}",
        instrument="BTC/USDT",
        side=Side.BUY,
        state=state,
        quantity=Decimal(1),
        filled=Decimal(filled),
    )


class FakePublic:
    def __init__(self):
        self.now = None

    async def names(self):
        return NAMES

    async def assets(self):
        return rest.AssetNames({"ZUSD": rest.Asset("USD")})

    async def time(self):
        if self.now is None:
            raise LinkLost("no answer")
        return self.now

    async def close(self):
        pass


class FakeSigned:
    """REST as a few tables; `failures` are raised first, one per call of open_orders."""

    def __init__(self):
        self.tokens = 0
        self.token_failure = None
        self.opened, self.closed, self.trades = {}, {}, {}
        self.failures = deque()
        self.during_read = deque()
        self.asked = []
        self.budget = RestBudget()
        self.info = KeyInfo(PERMISSIONS, 0, ("127.0.0.1",))
        self.orders = []
        self.answers = deque()

    async def key_info(self):
        if isinstance(self.info, Exception):
            raise self.info
        return self.info

    async def add_order(self, order, names):
        self.orders.append(order)
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def websocket_token(self):
        if self.token_failure is not None:
            raise self.token_failure
        self.tokens += 1
        return f"TOKEN{self.tokens}"

    async def open_orders(self, names):
        self.asked.append("open")
        if self.failures:
            raise self.failures.popleft()
        return dict(self.opened)

    async def closed_orders(self, names, *, since=None, cl_ord_id=""):
        self.asked.append(cl_ord_id or since)
        return {k: v for k, v in self.closed.items() if not cl_ord_id or v.cl_ord_id == cl_ord_id}

    async def query_orders(self, names, order_ids):
        return {one: order("SMold", OrderState.FILLED, one) for one in order_ids}

    async def trades_history(self, since):
        return dict(self.trades)

    async def open_positions(self, names):
        if self.during_read:
            self.during_read.popleft()()
        return (VenuePosition("BTC/USDT", Decimal("0.5"), Decimal(30000)),)

    async def balances(self):
        return {"USDT": Decimal(1000), "ZUSD": Decimal(7)}

    async def close(self):
        pass


class Rig:
    """A gateway without sockets: requests are read off its session, answers put into it."""

    def __init__(self, *, ready=True, now=0):
        self.clock = ManualClock(now)
        self.reports = []
        self.truths = asyncio.Queue()
        self.gateway = VenueGateway(
            "main", VenueUrls(), Credentials("k", "s"), self.clock, self.sink, delays_s=(0.0,)
        )
        self.signed = FakeSigned()
        self.gateway._signed, self.gateway._public = self.signed, FakePublic()
        self.session = self.gateway.session
        self.sequence = 0
        if ready:
            self.connect()

    def sink(self, report):
        self.reports.append(report)
        if isinstance(report, Reconciled):
            self.truths.put_nowait(report)

    def connect(self):
        self.session.connected(self.clock.monotonic())
        self.session.outgoing()
        for channel in ("executions", "balances"):
            self.receive({"method": "subscribe", "success": True, "result": {"channel": channel}})
        self.sequence = 1
        self.receive({"channel": "balances", "type": "snapshot", "data": [], "sequence": 1})
        self.receive({"channel": "executions", "type": "snapshot", "data": [], "sequence": 1})

    def receive(self, frame):
        for event in self.session.receive(msgspec.json.encode(frame), self.clock.monotonic()):
            self.gateway._on_event(event)

    def execution(self, **row):
        self.sequence += 1
        self.receive({"channel": "executions", "type": "update", "data": [row], "sequence": self.sequence})

    async def send(self, *commands):
        await self.gateway.send(commands)

    def sent(self):
        requests = [msgspec.json.decode(raw) for raw in self.session.outgoing()]
        return [r for r in requests if r["method"] not in ("ping", "subscribe")]

    def answer(self, request, **body):
        self.receive({"method": request["method"], "req_id": request["req_id"], **body})

    def take(self):
        taken, self.reports[:] = list(self.reports), []
        return [(r.cl_ord_id, r.state, r.reason) for r in taken if isinstance(r, OrderUpdate)]


def ids(requests):
    return [request["params"]["cl_ord_id"] for request in requests]


async def reconciled(rig, *asked, since=DAY):
    """Run one reconciliation and give what came of it."""
    await rig.gateway.reconcile(RequestReconcile("main", asked, since))
    async with running(rig.gateway._reconcile()):
        return await told(rig.truths, bool)
