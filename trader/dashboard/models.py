r"""Asking the models that trade, and changing them, over HTTP.

Must not know how models work. Routed and guarded by trader.dashboard.server like everything else.

    POST /api/v1/predict    {"trader": "swing", "instruments": ["BTC/USDT"]}   newest features; none = all
                            {"trader": "swing", "rows": {"x": [[0.1, ...]]}}   rows of the model's inputs
    POST /api/v1/model      {"trader": "swing", "path": "/models/entry-15m-v7"}   trade with it from now on
                            {"trader": "swing"}                                   go back to the one before

With the token and the address from the state directory:

    curl -s -H "Authorization: Bearer $(cat STATE/api.token)" -H "Content-Type: application/json" \
         -d '{"trader": "swing", "instruments": ["BTC/USDT"]}' "$(cat STATE/api.url)/api/v1/predict"

A question waits behind everything that trades, and changes nothing that trades. What does not exist
or fit is 400, a model that is not sound 422, models that are busy 503; each with {"error": one line}.
"""

from pathlib import Path

import msgspec
import structlog
from aiohttp import web

from core.errors import UsageError
from trader.control import Models, Question
from trader.dashboard.body import ACTOR, plain, read_body

MAX_QUESTION = 1 << 18
"""Bytes of a question: reading them takes the trading loop two milliseconds."""


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a change of model. `actor` counts from holders of the token only."""

    trader: str
    path: str = ""
    actor: str = ""


class ModelRoutes:
    """The two handlers around the door to the models."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._log = structlog.get_logger("trader.dashboard")

    async def predict(self, request: web.Request) -> web.StreamResponse:
        """Answer a question to the models."""
        answer = await self._models.predict(await read_body(request, Question, limit=MAX_QUESTION))
        return web.json_response(body=msgspec.json.encode(answer))

    async def choose(self, request: web.Request) -> web.StreamResponse:
        """Let a trader use another model, or the one before; only a holder of the token may."""
        if request[ACTOR] != "api":
            raise web.HTTPForbidden(text="expected a Bearer token")
        asked = await read_body(request, Choice)
        if asked.path and not Path(asked.path).is_absolute():
            raise UsageError(f"path: expected an absolute path on the daemon's machine; found {asked.path!r}")
        actor = plain(asked.actor) or request[ACTOR]
        done = await self._models.activate(asked.trader, Path(asked.path) if asked.path else None, actor)
        self._log.info("model_chosen", actor=actor, **done)
        return web.json_response(done)
