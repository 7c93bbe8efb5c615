"""REST shell of the loopback venue: HTTP in, Kraken's envelope out.

Must not know what the answers mean. Called by venue.loopback, which mounts its two handlers.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from venue.loopback_door import Faults
from venue.loopback_fault_rest import HangUp, RestFaults
from venue.loopback_keys import KeyRing
from venue.loopback_rest_private import PrivateAnswers
from venue.loopback_rest_public import PublicAnswers, RestError

Body = dict[str, Any]


class RestShell:
    """Two aiohttp handlers over the public and private answers, with faults around them."""

    def __init__(self, public: PublicAnswers, private: PrivateAnswers, keys: KeyRing, faults: Faults) -> None:
        self._public = public
        self._private = private
        self._keys = keys
        self._faults = faults
        self._spoiler = RestFaults(faults)

    async def public(self, request: web.Request) -> web.StreamResponse:
        """Answer GET or POST /0/public/<method>."""
        return await self._serve(request, "public")

    async def private(self, request: web.Request) -> web.StreamResponse:
        """Answer POST /0/private/<method> of a signed caller."""
        return await self._serve(request, "private")

    async def _serve(self, request: web.Request, kind: str) -> web.StreamResponse:
        name, body = request.match_info["method"], await request.read()
        form = _form(body)
        facts = {"kind": kind, "method": name, "key": request.headers.get("API-Key", "")}
        facts |= {field: form[field] for field in ("pair", "cl_ord_id", "ordertype") if field in form}
        try:
            instead = self._spoiler.before(facts)
            if instead is not None:
                return instead
            found = await (
                self._ask(request, name, body) if kind == "private" else self._tell(request, name, form)
            )
            answer, seconds = self._spoiler.after(facts, found)
        except HangUp:
            return _hung_up(request)
        if seconds:
            await self._pass(seconds)
        return answer

    async def _tell(self, request: web.Request, name: str, form: dict[str, str]) -> Body:
        method = self._public.methods.get(name)
        if method is None:
            return _envelope(error="EGeneral:Unknown method")
        try:
            return _envelope(method({**request.query, **form}))
        except RestError as error:
            return _envelope(error=str(error))

    async def _ask(self, request: web.Request, name: str, body: bytes) -> Body:
        form = _form(body)
        account, refusal = self._keys.authenticate(
            request.headers.get("API-Key", ""),
            request.headers.get("API-Sign", ""),
            request.path,
            body,
            form.get("nonce", ""),
        )
        if refusal:
            return _envelope(error=refusal)
        try:
            if name in self._private.orders:
                return _envelope(await self._private.orders[name](account, form))
            if name in self._private.methods:
                return _envelope(self._private.methods[name](account, form))
        except RestError as error:
            return _envelope(error=str(error))
        return _envelope(error="EGeneral:Unknown method")

    async def _pass(self, seconds: float) -> None:
        """Let market time pass."""
        over = asyncio.Event()
        self._faults.later(seconds, over.set)
        await over.wait()


def _hung_up(request: web.Request) -> web.Response:
    """End the connection under the request; the answer that aiohttp wants goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _form(body: bytes) -> dict[str, str]:
    """Read a form or a JSON body; JSON values become the text a form would carry."""
    text = body.decode(errors="replace")
    if text.startswith("{"):
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            return {}
        return dict(_flat(parsed)) if isinstance(parsed, dict) else {}
    return dict(parse_qsl(text, keep_blank_values=True))


def _flat(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give a JSON body as a form: nested objects as `close[price]`, lists as their JSON text."""
    for name, value in body.items():
        if isinstance(value, dict):
            yield from ((f"{name}[{inner}]", _form_text(part)) for inner, part in value.items())
        else:
            yield name, _form_text(value)


def _form_text(value: object) -> str:
    if isinstance(value, bool | list):
        return json.dumps(value)
    return "" if value is None else str(value)


def _envelope(result: Any = None, error: str = "") -> Body:
    return {"error": [error]} if error else {"error": [], "result": result}
