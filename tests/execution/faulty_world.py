"""The gateway of a live account wired to a loopback venue, faults between them, in virtual time.

No socket and no wall clock: frames are carried by hand through the venue's door, REST calls
through the same faults that the HTTP shell has.
"""

import asyncio
from itertools import count

import msgspec
from aiohttp import web

from core.clock import SECOND
from core.errors import LinkLost
from core.events import Fill, LinkChange, OrderUpdate, RequestReconcile
from core.orders import OrderState, OrderType, Purpose, Side, SubmitOrder, TimeInForce
from execution.live import VenueGateway, VenueUrls
from tests.venue.fault_client import arm
from tests.venue.loopback_client import SECRET, XRP, public, top, venue_at
from tests.venue.loopback_client import rest as venue_truth
from venue.client import Credentials, PublicRest, SignedRest, _answer_of
from venue.loopback_connection import Connection, read_request
from venue.loopback_fault_rest import HangUp
from venue.loopback_rest_public import RestError
from venue.session import Dead

STEP = SECOND // 4
NUMBERS = count(500_000)
KEY = Credentials("key", SECRET)


class LocalPublic(PublicRest):
    """Public REST without HTTP."""

    def __init__(self, venue):
        super().__init__(attempts=1)
        self.venue = venue

    async def _body(self, url, params):
        return msgspec.json.encode(
            {"error": [], "result": public(self.venue, url.rsplit("/", 1)[1], **params)}
        )


class LocalSigned(SignedRest):
    """Private REST without HTTP and signatures: the venue's faults, and our own judgement of them."""

    def __init__(self, venue, clock):
        super().__init__(KEY, clock)
        self.venue = venue
        self.budget.maximum = 1e9  # waiting is proved elsewhere
        self.calls = []

    async def _request(self, path, params):
        self.calls.append(path)
        form = {name: str(value) for name, value in params.items()}
        spoiler, facts = self.venue.rest._spoiler, {"kind": "private", "method": path, "key": "key"}
        try:
            answer = spoiler.before(facts)
            if answer is None:
                answer, _ = spoiler.after(facts, await self._carried_out(path, form))
        except HangUp:
            raise LinkLost(f"{path}: the connection ended") from None
        return self._read(path, answer)

    async def _carried_out(self, path, form):
        private = self.venue.rest._private
        try:
            if path in private.orders:
                return {"error": [], "result": await private.orders[path]("paper", form)}
            return {"error": [], "result": private.methods[path]("paper", form)}
        except RestError as error:
            return {"error": [str(error)]}

    def _read(self, path, answer: web.Response):
        body = (answer.body or b"").decode()
        if answer.status != 200:
            raise LinkLost(f"{path}: HTTP {answer.status} {body[:40]}")
        return _answer_of(path, body, ValueError(body[:40] or "no body"))


class World:
    """One live account; `reports` is what the engine would hear, `dead` why connections ended."""

    def __init__(self):
        self.venue, self.clock = venue_at()
        self.reports, self.dead = [], []
        self.gateway = VenueGateway(
            "paper", VenueUrls(), KEY, self.clock, self.reports.append, currency="USDT", delays_s=(0.0,)
        )
        self.session = self.gateway.session
        self.rest = LocalSigned(self.venue, self.clock)
        self.gateway._signed, self.gateway._public = self.rest, LocalPublic(self.venue)
        self.connection = None
        self._beat = 0

    def arm(self, name, **parameters):
        arm(self.venue, name, **parameters)

    async def connect(self):
        """Open a connection, as the link does: a token, then everything anew."""
        await self.gateway._prepare()
        self.connection = Connection(next(NUMBERS))
        self.venue.private_door.opened(self.connection)
        self.session.connected(self.clock.monotonic())
        await self.passes(0.5)
        return self

    def disconnect(self, reason):
        self.dead.append(reason)
        if self.connection is not None:
            self.venue.private_door.closed(self.connection)
        self.connection = None
        self.gateway._on_down(reason)

    async def passes(self, seconds):
        """Let time pass in small steps, reconnecting at the first chance where a link died."""
        end = self.clock.now() + round(seconds * SECOND)
        while self.clock.now() < end:
            self.clock.advance_to(min(end, self.clock.now() + STEP))
            self.venue.pump()
            if self.clock.now() - self._beat >= SECOND:
                self._beat = self.clock.now()
                self.venue.private.heartbeat()
            if self.connection is not None:
                self._carry()
            if self.connection is not None:
                self._take(self.session.on_time(self.clock.monotonic()))
            self.gateway._expire_once()

    def _carry(self):
        for frame in self.session.outgoing():
            self.venue.private_door.receive(self.connection, read_request(frame.decode()))
        while self.connection is not None and not self.connection.frames.empty():
            frame = self.connection.frames.get_nowait()
            if frame is None:
                self.disconnect(f"closed with {self.connection.farewell[0]}")
            else:
                self._take(self.session.receive(frame.encode(), self.clock.monotonic()))

    def _take(self, events):
        for event in events:
            if isinstance(event, Dead):
                self.disconnect(event.reason)
                return
            self.gateway._on_event(event)

    async def send(self, *commands):
        await self.gateway.send(commands)
        self._carry_if_linked()

    def _carry_if_linked(self):
        if self.connection is not None:
            self._carry()

    async def truth(self, *asked):
        """Give the answer to one reconciliation; raises what the reading raises."""
        return await self.gateway._read_settled(
            RequestReconcile("paper", asked, self.clock.now() - 600 * SECOND)
        )

    # ---- what was heard, and what is so ----

    def states(self, order):
        return [
            r.state for r in self.reports if isinstance(r, OrderUpdate) and r.cl_ord_id == order.cl_ord_id
        ]

    def fills(self):
        return {r.exec_id: r.quantity for r in self.reports if isinstance(r, Fill)}

    def links(self):
        return [(r.up, r.system, r.reason) for r in self.reports if isinstance(r, LinkChange)]

    def open_at_venue(self):
        return sorted(o["cl_ord_id"] or "" for o in venue_truth(self.venue, "OpenOrders")["open"].values())

    def held_at_venue(self):
        return sum(p.quantity for p in self.venue.exchange.account("paper").portfolio.positions.values())

    # ---- orders ----

    def entry(self, name="SMe1", **more):
        """An entry that fills at once."""
        _, ask = top(self.venue)
        return self.order(name, **{"limit_price": ask + ask.scaleb(-2).quantize(ask), **more})

    def resting(self, name="SMr1", **more):
        """An order that rests far below the market."""
        bid, _ = top(self.venue)
        more = {"limit_price": (bid * 9 / 10).quantize(bid), "time_in_force": TimeInForce.GTC, **more}
        return self.order(name, purpose=Purpose.EXIT, **more)

    def order(self, name, **more):
        values = {
            "account": "paper",
            "trader": "a",
            "cl_ord_id": name,
            "instrument": XRP,
            "side": Side.BUY,
            "quantity": 100,
            "order_type": OrderType.LIMIT,
            "purpose": Purpose.ENTRY,
            "time_in_force": TimeInForce.IOC,
            "deadline": self.clock.now() + 5 * SECOND,
        }
        return msgspec.convert(
            msgspec.to_builtins(values | more) | {"quantity": "100", "type": "submit"}, SubmitOrder
        )


async def passing(world, coroutine):
    """Let time pass beside a call that waits for the venue."""
    task = asyncio.create_task(coroutine)
    while not task.done():
        await asyncio.sleep(0)
        await world.passes(0.25)
    return await task


__all__ = ["OrderState", "World", "passing"]
