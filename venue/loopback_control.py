"""The loopback's control call: arm, list and clear faults over HTTP, from this machine only.

Must not know what a fault does. Called by venue.loopback, which mounts it. A body that cannot be
read, and a fault that cannot be armed, are HTTP 400 with one line that says why.
"""

from typing import Any

import msgspec
from aiohttp import web

from core.errors import ConfigError
from venue.exchange import Exchange
from venue.loopback_door import Faults
from venue.loopback_faults import Fault

_LOCAL = ("127.0.0.1", "::1")


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a control call asks for; `names` limits `clear`."""

    action: str
    faults: tuple[Fault, ...] = ()
    names: tuple[str, ...] = ()


class FaultControl:
    """Two aiohttp handlers over the schedule."""

    def __init__(self, faults: Faults, exchange: Exchange) -> None:
        self._faults = faults
        self._exchange = exchange

    async def read(self, request: web.Request) -> web.Response:
        """Answer GET: what is armed, and how often each fault has struck."""
        return web.json_response(self._report())

    async def write(self, request: web.Request) -> web.Response:
        """Answer POST: add, list or clear."""
        if request.remote not in _LOCAL:
            return _bad(f"expected a call from 127.0.0.1, found {request.remote}", 403)
        try:
            order = msgspec.json.decode(await request.read(), type=Order)
            return web.json_response(self._carry_out(order))
        except (msgspec.DecodeError, ConfigError) as error:
            return _bad(str(error), 400)

    def _carry_out(self, order: Order) -> dict[str, Any]:
        schedule = self._faults.schedule
        match order.action:
            case "add":
                if not order.faults:
                    raise ConfigError("add: expected faults, found none")
                self._faults.arm(order.faults)
            case "clear":
                schedule.clear(order.names)
            case "list":
                pass
            case _:
                raise ConfigError(f"expected action add, list or clear, found {order.action!r}")
        return self._report()

    def _report(self) -> dict[str, Any]:
        return {
            "system": self._exchange.system,
            "armed": self._faults.schedule.listing(),
            "fired": dict(self._faults.schedule.fired),
        }


def _bad(reason: str, status: int) -> web.Response:
    return web.json_response({"error": reason.replace("\n", " ")}, status=status)
