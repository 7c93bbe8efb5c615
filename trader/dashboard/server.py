"""The page and the control API: an aiohttp application over the read model and the control door.

Must not know the engine, the journal or the venue. Built and served by the live shell.

    GET  /                      the page (no data in it)
    GET  /static/{name}         its files, and plotly's JavaScript
    POST /api/v1/login          {"link": ...} -> session cookie, once
    POST /api/v1/link           a fresh one-time login link (Bearer only)
    GET  /api/v1/state          the whole view
    GET  /api/v1/chart          ?instrument=BTC/USDT&timeframe=5m
    GET  /api/v1/explain        ?instrument=BTC/USDT[&trader=swing]: why the newest opinions are so
    GET  /api/v1/stream         server-sent events: the view, then what changed
    POST /api/v1/predict        what the models say now; trader.dashboard.models has the details
    POST /api/v1/model          another model for a trader (Bearer only)
    POST /api/v1/{verb}         pause, resume, flatten, kill: {"reason", "actor", "force"}
    GET  /livez /readyz /healthz /metrics        open to the loopback
"""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import structlog
from aiohttp import web

from core.clock import Clock, LiveClock
from core.errors import ConfigError, ModelError, SeamarkError, TemporaryError, UsageError
from core.events import Verb
from core.market import Timeframe
from trader.control import Control, Models
from trader.dashboard.auth import Gate, host_allowed, same_origin
from trader.dashboard.body import ACTOR, plain, read_body
from trader.dashboard.models import ModelRoutes
from trader.dashboard.pages import Page, load_pages, load_plotly, plotly_name
from trader.dashboard.stream import Sections, changed, joined
from trader.state import ReadModel

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
STREAM_STEP_S = 0.25
PULSE_S = 1.0
MAX_STREAMS = 16
VERBS = (Verb.PAUSE, Verb.RESUME, Verb.FLATTEN, Verb.KILL)
BLAME: dict[type[SeamarkError], int] = {UsageError: 400, ModelError: 422}
"""Errors of whoever asks; any other one is ours, or passes with time."""
OPEN_PATHS = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})
PUBLIC_PATHS = frozenset({"/", "/api/v1/login"})
# plotly adds an empty <style> and fills it rule by rule, which CSP allows by the hash of nothing.
EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src 'self'; style-src 'self' {EMPTY_STYLE}; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a login."""

    link: str


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of an operator's wish. `actor` counts from holders of the token only."""

    reason: str = ""
    actor: str = ""
    force: bool = False


class Dashboard:
    """The handlers and what they share; `build_app` puts them on their routes."""

    def __init__(
        self,
        read_model: ReadModel,
        control: Control,
        *,
        gate: Gate,
        allowed_hosts: frozenset[str],
        metrics: Callable[[], bytes] | None,
    ) -> None:
        self._model = read_model
        self._control = control
        self._sections = Sections(read_model)
        self._allowed_hosts = allowed_hosts
        self._metrics = metrics
        self._pages = load_pages()
        self._closing = asyncio.Event()
        self._streams = 0
        self._log = structlog.get_logger("trader.dashboard")
        self.gate = gate

    # ---- every request ----

    @property
    def guard(self) -> Any:
        """Give the middleware: host, credentials, origin, headers, and errors as one line."""

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                self._check(request)
                response = await handler(request)
            except web.HTTPException as refusal:
                response = _error(refusal.status, refusal.text or refusal.reason)
            except SeamarkError as error:
                response = _error(BLAME.get(type(error), 503), str(error))
            except Exception:  # noqa: BLE001  # logged with its traceback, answered as 500
                # One of the two outer edges: a bug in a page must never stop the trading loop.
                self._log.exception("request_failed", path=request.path)
                response = _error(500, "the daemon could not answer; its log says why")
            if not response.prepared:
                for name, value in HEADERS.items():
                    response.headers.setdefault(name, value)
            return response

        return guarded

    def _check(self, request: web.Request) -> None:
        if not host_allowed(request.headers.get("Host", ""), self._allowed_hosts):
            raise web.HTTPForbidden(text="expected a Host from the allow-list")
        path = request.path
        if path in PUBLIC_PATHS or path.startswith("/static/"):
            actor = "nobody"
        elif path in OPEN_PATHS and _is_loopback(request.remote):
            actor = "probe"
        else:
            actor = self._actor(request)
        if request.method == "POST":
            if not same_origin(request.headers, cookie=actor == "page"):
                raise web.HTTPForbidden(text="expected a request from this page itself")
            if request.content_type != "application/json":
                raise web.HTTPUnsupportedMediaType(text="expected Content-Type: application/json")
        request[ACTOR] = actor

    def _actor(self, request: web.Request) -> str:
        header = request.headers.get("Authorization", "")
        if header and self.gate.has_bearer(header):
            return "api"
        cookie = request.cookies.get(self.gate.cookie, "")
        if cookie and self.gate.has_session(cookie):
            return "page"
        if header or cookie:
            self._refuse_guess()
        raise web.HTTPUnauthorized(text="expected a login link or a Bearer token; `trader open` gives a link")

    def _refuse_guess(self) -> None:
        self.gate.note_failure()
        if self.gate.crowded:
            raise web.HTTPTooManyRequests(text="too many wrong credentials; wait a minute")

    # ---- page ----

    async def index(self, request: web.Request) -> web.StreamResponse:
        """Send the page's frame."""
        return _send(request, self._pages["index.html"])

    async def static(self, request: web.Request) -> web.StreamResponse:
        """Send one of the page's files."""
        name = request.match_info["name"]
        if name == plotly_name() and name not in self._pages:
            self._pages[name] = await asyncio.to_thread(load_plotly)
        page = self._pages.get(name)
        if page is None:
            raise web.HTTPNotFound(text="no such file")
        return _send(request, page)

    # ---- session ----

    async def login(self, request: web.Request) -> web.StreamResponse:
        """Swap a one-time link for a cookie."""
        asked = await read_body(request, Login)
        cookie = self.gate.redeem(asked.link)
        if cookie is None:
            self._refuse_guess()
            raise web.HTTPUnauthorized(text="this login link was used already or is too old")
        response = web.json_response({"ok": True})
        response.set_cookie(self.gate.cookie, cookie, httponly=True, samesite="Strict", path="/")
        return response

    async def link(self, request: web.Request) -> web.StreamResponse:
        """Give a fresh login link to a holder of the token."""
        if request[ACTOR] != "api":
            raise web.HTTPForbidden(text="expected a Bearer token")
        return web.json_response({"link": f"/#t={self.gate.issue_link()}"})

    # ---- data ----

    async def state(self, _request: web.Request) -> web.StreamResponse:
        """Send the whole view."""
        return web.json_response(body=joined(self._sections.current()))

    async def chart(self, request: web.Request) -> web.StreamResponse:
        """Send one instrument's bars, fills and lines."""
        try:
            timeframe = Timeframe(request.query.get("timeframe", "5m"))
        except ValueError:
            raise web.HTTPBadRequest(text="expected a timeframe such as 5m") from None
        chart = self._model.chart(request.query.get("instrument", ""), timeframe)
        return web.json_response(body=msgspec.json.encode(chart))

    async def explain(self, request: web.Request) -> web.StreamResponse:
        """Send why the newest opinions about an instrument are what they are."""
        why = self._model.explain(request.query.get("instrument", ""), request.query.get("trader", ""))
        return web.json_response(body=msgspec.json.encode(why))

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Push changes four times a second at most, and a pulse each second."""
        if self._streams >= MAX_STREAMS:
            raise web.HTTPServiceUnavailable(text=f"{MAX_STREAMS} pages are open already")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **HEADERS})
        self._streams += 1
        try:
            await response.prepare(request)
            await self._push(response)
        except ConnectionResetError:
            pass  # the reader went away, which is how every stream ends
        finally:
            self._streams -= 1
        return response

    async def _push(self, response: web.StreamResponse) -> None:
        sent: dict[str, bytes] = {}
        silent_s = 0.0
        while not self._closing.is_set():
            sections = self._sections.current()
            if sections != sent:
                await response.write(b"event: view\ndata: " + changed(sent, sections) + b"\n\n")
                sent, silent_s = sections, 0.0
            elif silent_s >= PULSE_S:
                await response.write(b"event: pulse\ndata: {}\n\n")
                silent_s = 0.0
            silent_s += STREAM_STEP_S
            try:
                async with asyncio.timeout(STREAM_STEP_S):
                    await self._closing.wait()
            except TimeoutError:
                continue

    # ---- control ----

    async def wish(self, request: web.Request) -> web.StreamResponse:
        """Hand an operator's wish to the control door."""
        verb = Verb(request.match_info["verb"])
        asked = await read_body(request, Wish)
        actor = request[ACTOR]
        if actor == "api" and asked.actor:
            actor = plain(asked.actor)
        reason = plain(asked.reason)
        await self._control.submit(verb, actor, reason, force=asked.force)
        self._log.info("operator_asked", verb=str(verb), actor=actor, reason=reason, force=asked.force)
        return web.json_response({"accepted": str(verb)}, status=202)

    # ---- probes ----

    async def livez(self, _request: web.Request) -> web.StreamResponse:
        """Tell whether the process works."""
        health = self._control.health()
        return web.json_response({"live": health.live}, status=200 if health.live else 503)

    async def readyz(self, _request: web.Request) -> web.StreamResponse:
        """Tell whether it may trade, and what keeps it from that."""
        health = self._control.health()
        body = {"ready": health.ready, "reasons": list(health.reasons)}
        return web.json_response(body, status=200 if health.ready else 503)

    async def metrics(self, _request: web.Request) -> web.StreamResponse:
        """Send the Prometheus text."""
        if self._metrics is None:
            raise web.HTTPNotFound(text="metrics are not switched on")
        body = self._metrics()
        return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def close(self, _app: web.Application) -> None:
        """End every stream, so that the server can stop."""
        self._closing.set()


GATE: web.AppKey[Gate] = web.AppKey("gate", Gate)


def build_app(
    read_model: ReadModel,
    control: Control,
    *,
    token: str,
    allowed_hosts: Collection[str] = LOOPBACK,
    clock: Clock | None = None,
    metrics: Callable[[], bytes] | None = None,
    models: Models | None = None,
) -> web.Application:
    """Compose the application; without `models` nobody can ask them.

    `token` guards data and verbs (32 characters or more); `allowed_hosts` are names without ports.
    `clock` is asked for monotonic time only. Raises ValueError for a weak token.
    """
    gate = Gate(token, clock or LiveClock())
    board = Dashboard(read_model, control, gate=gate, allowed_hosts=frozenset(allowed_hosts), metrics=metrics)
    app = web.Application(middlewares=[board.guard])
    app[GATE] = gate
    verbs = "|".join(VERBS)
    app.add_routes(
        [
            web.get("/", board.index),
            web.get("/static/{name}", board.static),
            web.post("/api/v1/login", board.login),
            web.post("/api/v1/link", board.link),
            web.get("/api/v1/state", board.state),
            web.get("/api/v1/chart", board.chart),
            web.get("/api/v1/explain", board.explain),
            web.get("/api/v1/stream", board.stream, allow_head=False),
            web.post(f"/api/v1/{{verb:{verbs}}}", board.wish),
            web.get("/livez", board.livez),
            web.get("/readyz", board.readyz),
            web.get("/healthz", board.readyz),
            web.get("/metrics", board.metrics),
        ]
    )
    if models is not None:
        routes = ModelRoutes(models)
        app.add_routes(
            [web.post("/api/v1/predict", routes.predict), web.post("/api/v1/model", routes.choose)]
        )
    app.on_shutdown.append(board.close)
    return app


def login_url(app: web.Application, base: str) -> str:
    """Give a one-time login address; the secret is in the fragment, which no browser sends or logs."""
    return f"{base}/#t={app[GATE].issue_link()}"


@asynccontextmanager
async def serve(app: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """Serve while the block runs and give the base address; port 0 takes any free one.

    Signals stay with the caller. Raises TemporaryError when the port is taken, ConfigError when
    the address does not exist here.
    """
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise _bind_error(host, port, error) from error
        bound = runner.addresses[0][1]
        # Listening everywhere is for a container; whoever reads the address is on this machine.
        shown = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104  # read, not opened
        yield f"http://{f'[{shown}]' if ':' in shown else shown}:{bound}"
    finally:
        await runner.cleanup()


def _bind_error(host: str, port: int, error: OSError) -> SeamarkError:
    if isinstance(error, PermissionError):
        return ConfigError(f"dashboard: expected a port that this user may open; found {host}:{port}")
    if "in use" in str(error):
        return TemporaryError(f"dashboard: expected {host}:{port} to be free; another process has it")
    return ConfigError(f"dashboard: expected an address of this machine; found {host}:{port}")


def _send(request: web.Request, page: Page) -> web.Response:
    headers = {
        "ETag": page.etag,
        "Vary": "Accept-Encoding",
        "Cache-Control": "public, max-age=31536000, immutable" if page.lasting else "no-cache",
    }
    if page.etag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    body = page.body
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = page.zipped
    return web.Response(body=body, content_type=page.content_type, charset="utf-8", headers=headers)


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)


def _is_loopback(remote: str | None) -> bool:
    try:
        return remote is not None and ipaddress.ip_address(remote).is_loopback
    except ValueError:
        return False
