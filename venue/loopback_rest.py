"""REST shell of the loopback venue: HTTP in, Kraken's envelope out.

Must not know what the answers mean. Called by venue.loopback, which mounts its two handlers.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from venue.loopback_keys import KeyRing
from venue.loopback_rest_private import PrivateAnswers
from venue.loopback_rest_public import PublicAnswers, RestError


class RestShell:
    """Two aiohttp handlers over the public and private answers."""

    def __init__(self, public: PublicAnswers, private: PrivateAnswers, keys: KeyRing) -> None:
        self._public = public
        self._private = private
        self._keys = keys

    async def public(self, request: web.Request) -> web.Response:
        """Answer GET or POST /0/public/<method>."""
        method = self._public.methods.get(request.match_info["method"])
        if method is None:
            return _envelope(error="EGeneral:Unknown method")
        try:
            return _envelope(method({**request.query, **_form(await request.read())}))
        except RestError as error:
            return _envelope(error=str(error))

    async def private(self, request: web.Request) -> web.Response:
        """Answer POST /0/private/<method> of a signed caller."""
        name, body = request.match_info["method"], await request.read()
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


def _form(body: bytes) -> dict[str, str]:
    """Read a form or a JSON body; JSON values become the text a form would carry."""
    text = body.decode(errors="replace")
    if text.startswith("{"):
        try:
            parsed = json.loads(text)
        except ValueError:
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


def _envelope(result: Any = None, error: str = "") -> web.Response:
    body: Mapping[str, Any] = {"error": [error]} if error else {"error": [], "result": result}
    return web.json_response(body)
