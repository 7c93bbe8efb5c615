"""Clients that come through the doors of a loopback venue, and faults for them."""

import json
from decimal import Decimal
from itertools import count

from core.clock import SECOND
from tests.venue.loopback_client import XRP, Client, margin_order, rest, top
from venue.loopback_connection import Connection
from venue.loopback_faults import Fault

NUMBERS = count(1)


class Guest(Client):
    """A client whose frames and requests pass the door; what is no JSON stays text."""

    def __init__(self, venue, clock, *, account=""):
        self.venue, self.clock = venue, clock
        self.desk = venue.private_door if account else venue.public_door
        self.connection = Connection(next(NUMBERS))
        self.desk.opened(self.connection)
        self.token = rest(venue, "GetWebSocketsToken", account=account)["token"] if account else ""

    def texts(self):
        found = []
        while not self.connection.frames.empty():
            found.append(self.connection.frames.get_nowait())
        return found

    def frames(self):
        return [
            json.loads(one, parse_float=Decimal) if isinstance(one, str) and one.startswith("{") else one
            for one in self.texts()
        ]

    def submit(self, name, **more):
        """Send an order that rests far below the market, or what `more` makes of it."""
        bid, _ = top(self.venue)
        resting = {"limit_price": round(float(bid) * 0.9, 4), "cl_ord_id": name}
        return self.ask("add_order", 1, **margin_order(**(resting | more)))

    def take(self, name, **more):
        """Send an order that fills at once."""
        _, ask = top(self.venue)
        return self.submit(name, limit_price=float(ask) + 0.01, time_in_force="ioc", **more)


def arm(venue, name, **parameters):
    """Arm a fault and let the venue see it."""
    venue.faults.arm([Fault(name=name, **parameters)])
    venue.pump()


def fired(venue, name):
    return venue.faults.schedule.fired[name]


__all__ = ["SECOND", "XRP", "Guest", "arm", "fired"]
