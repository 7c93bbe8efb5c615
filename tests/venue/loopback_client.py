"""A loopback venue on a clock that the test moves, and a client without a socket."""

import base64
import json
from decimal import Decimal
from pathlib import Path

from core.clock import ManualClock
from core.text import parse_iso
from venue.exchange_orders import FeeSchedule
from venue.loopback import Loopback, LoopbackSettings, build
from venue.loopback_connection import Connection, read_request
from venue.loopback_keys import LoopbackAccount

XRP, BTC = "XRP/USDT", "BTC/USDT"
SECRET = base64.b64encode(b"only for tests").decode()
START = parse_iso("2024-06-14T12:00:00Z")
SETTINGS = LoopbackSettings(
    lake=Path(__file__).parents[2] / "configs" / "market",
    symbols=(XRP, BTC),
    accounts={
        "paper": LoopbackAccount("key", SECRET, Decimal(10_000)),
        "other": LoopbackAccount("key2", SECRET, Decimal(500)),
    },
    market_epoch=START,
    wall_epoch=0,
    fees=FeeSchedule(maker=Decimal("0.0025"), taker=Decimal("0.004")),
)


class Client:
    """One connection to a desk, and what it was told."""

    def __init__(self, venue: Loopback, clock: ManualClock, *, account: str = "") -> None:
        self.venue, self.clock = venue, clock
        self.desk = venue.private if account else venue.public
        self.connection = Connection(len(account) + id(self) % 10_000)
        self.desk.opened(self.connection)
        self.token = rest(venue, "GetWebSocketsToken", account=account)["token"] if account else ""

    def ask(self, method, req_id=None, **params):
        if self.token:
            params.setdefault("token", self.token)
        request = {"method": method, "params": params, **({"req_id": req_id} if req_id is not None else {})}
        self.desk.receive(self.connection, read_request(json.dumps(request)))
        return self.frames()

    def wait(self, duration):
        self.clock.advance_to(self.clock.now() + duration)
        self.venue.pump()
        return self.frames()

    def frames(self):
        found = []
        while not self.connection.frames.empty():
            frame = self.connection.frames.get_nowait()
            found.append(frame and json.loads(frame, parse_float=Decimal))
        return found

    def subscribed(self, channel, **params):
        self.frames()
        return self.ask("subscribe", channel=channel, **params)


def venue_at(start=START):
    clock = ManualClock(start)
    return build(SETTINGS, clock), clock


def rest(venue, method, *, account="paper", **form):
    return venue.rest._private.methods[method](account, form)


def public(venue, method, **query):
    return venue.rest._public.methods[method](query)


def top(venue, symbol=XRP):
    """Best bid and ask with the decimals of the grid; Ticker itself shows more."""
    row = next(iter(public(venue, "Ticker", pair=symbol).values()))
    grid = venue.exchange.instruments[symbol].price_increment  # the ticker prints more places
    return Decimal(row["b"][0]).quantize(grid), Decimal(row["a"][0]).quantize(grid)


def rows(frames, channel="executions"):
    return [row for f in frames if f.get("channel") == channel for row in f["data"]]


def margin_order(**more):
    values = {"order_type": "limit", "side": "buy", "symbol": XRP, "order_qty": 100.0, "margin": True}
    return values | more
