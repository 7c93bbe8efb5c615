"""What faults do to REST calls: refusals, pages of a proxy, bodies that are no answer.

Must not know what a method means. Called by venue.loopback_rest before a request is carried out
and after.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from aiohttp import web

from core.clock import SECOND
from venue.loopback_door import Faults
from venue.loopback_fault_catalogue import Point
from venue.loopback_fault_frames import truncated
from venue.loopback_faults import Fault

_PAGE = "<html><head><title>{status}</title></head><body>cloudflare</body></html>"
_THROTTLED_S = 5.0
Body = dict[str, Any]


class HangUp(Exception):
    """The connection ends without an answer."""


class RestFaults:
    """Faults of one HTTP request: `before` may answer in its place, `after` changes the answer."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def before(self, facts: Mapping[str, str]) -> web.Response | None:
        """Give the answer that comes instead of carrying the request out; raises HangUp."""
        for fault in self._strike(Point.REST, facts):
            effect = fault.kind.effect
            if effect == "hang_up":
                raise HangUp
            if effect == "http":
                return _page(int(fault.parameter("status")))
            if effect == "refuse":
                return _errors(str(fault.parameter("error")))
            if effect == "throttled":
                seconds = _THROTTLED_S if fault.seconds is None else fault.seconds
                until = self._faults.clock.now() // SECOND + round(seconds)
                return _errors(f"EService: Throttled: {until}")
        return None

    def after(self, facts: Mapping[str, str], body: Body) -> tuple[web.Response, float]:
        """Give the answer and the seconds to wait with it; raises HangUp."""
        seconds = 0.0
        for fault in self._strike(Point.ANSWER, facts):
            match fault.kind.effect:
                case "hang_up":
                    raise HangUp
                case "http":
                    return _page(int(fault.parameter("status"))), seconds
                case "empty":
                    return web.Response(body=b"", content_type="application/json"), seconds
                case "slow":
                    seconds += fault.parameter("seconds")
                case effect:
                    body = _changed(body, effect)
        return web.json_response(body), seconds

    def _strike(self, point: Point, facts: Mapping[str, str]) -> list[Fault]:
        return self._faults.schedule.strike(point, facts, self._faults.clock.now())


def _changed(body: Body, effect: str) -> Body:
    """Give an envelope with something missing or wrong in it; one with an error stays as it is."""
    result = body.get("result")
    if not isinstance(result, dict):
        return body
    match effect:
        case "no_result":
            return {"error": []}
        case "warn":
            return {**body, "error": ["WGeneral:Danger"]}
        case "truncate":
            return truncated(body)
        case "no_positions":
            return {**body, "result": {}}
        case "missing_order":
            return {**body, "result": {**result, "open": dict(list(result.get("open", {}).items())[1:])}}
        case _:
            return {**body, "result": {key: _doubled(row) for key, row in result.items()}}


def _doubled(row: Any) -> Any:
    """Give a position of twice the size."""
    if not isinstance(row, dict):
        return row
    return row | {name: str(Decimal(row[name]) * 2) for name in ("vol", "cost", "margin") if name in row}


def _page(status: int) -> web.Response:
    return web.Response(text=_PAGE.format(status=status), status=status, content_type="text/html")


def _errors(error: str) -> web.Response:
    return web.Response(text=json.dumps({"error": [error]}), content_type="application/json")
