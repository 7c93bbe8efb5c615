"""The page's server: who may ask, what is answered, and that nothing else is."""

import asyncio
import gzip
import json
import re
import socket
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from core.clock import ManualClock
from core.errors import ConfigError, TemporaryError
from core.events import Notice, Severity, Timer, Verb
from tests import desk_story as story
from tests.desk_story import TOKEN, QuietControl
from trader.control import Health
from trader.dashboard import pages
from trader.dashboard.auth import FAILURES_ALLOWED
from trader.dashboard.body import MAX_BODY, MAX_REASON
from trader.dashboard.server import build_app, login_url, serve
from trader.dashboard.stream import Sections, changed, joined
from trader.state import ReadModel
from trader.telemetry import Telemetry

BEARER = {"Authorization": f"Bearer {TOKEN}"}
STATIC = Path(pages.__file__).parent / "static"


class Desk:
    """A served page with everything a test wants to touch."""

    def __init__(self, base, http, *, app, model, control):
        self.base, self.http, self.app, self.model, self.control = base, http, app, model, control

    async def get(self, path, **more):
        async with self.http.get(self.base + path, **more) as answer:
            return answer.status, await answer.read(), answer.headers

    async def post(self, path, body=None, **more):
        async with self.http.post(self.base + path, json={} if body is None else body, **more) as answer:
            return answer.status, await answer.json()


@asynccontextmanager
async def desk(*, steps=None, http_headers=None, **more):
    model = ReadModel(story.setup())
    for seq, (event, commands) in enumerate(story.hour() if steps is None else steps, 1):
        model.on_step(seq, event, commands)
    control = QuietControl()
    metrics = Telemetry(model)
    app = build_app(model, control, token=TOKEN, metrics=metrics.exposition, clock=ManualClock(1), **more)
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        serve(app, "127.0.0.1", 0) as base,
        aiohttp.ClientSession(
            cookie_jar=jar, headers=http_headers, timeout=aiohttp.ClientTimeout(20)
        ) as http,
    ):
        yield Desk(base, http, app=app, model=model, control=control)


async def log_in(page):
    link = login_url(page.app, page.base).partition("#t=")[2]
    return await page.post("/api/v1/login", {"link": link}, headers={"Origin": page.base})


# ---- data ----


async def test_state_is_the_view():
    async with desk() as page:
        status, body, headers = await page.get("/api/v1/state", headers=BEARER)
        assert status == 200
        assert json.loads(body) == json.loads(json.dumps(page.model.view()))
        assert headers["Cache-Control"] == "no-store"


async def test_a_chart_is_asked_for_by_instrument_and_timeframe():
    async with desk() as page:
        page.model.on_history(story.history())
        status, body, _ = await page.get("/api/v1/chart?instrument=BTC/USDT&timeframe=15m", headers=BEARER)
        assert (status, json.loads(body)["timeframe"]) == (200, "15m")
        status, body, _ = await page.get("/api/v1/chart?instrument=BTC/USDT&timeframe=7m", headers=BEARER)
        assert (status, json.loads(body)) == (400, {"error": "expected a timeframe such as 5m"})


async def test_the_stream_sends_the_view_once_and_then_what_changed():
    async with desk() as page, page.http.get(f"{page.base}/api/v1/stream", headers=BEARER) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        first = await next_event(answer)
        assert set(first) == set(page.model.view())
        said = Notice(Severity.WARNING, "late", "words")
        page.model.on_step(1_000, Timer(page.model.now), [said])
        second = await next_event(answer)
        assert second["notices"][0]["code"] == "late"
        assert "fills" not in second


async def test_a_silent_desk_still_gives_a_pulse():
    async with desk() as page, page.http.get(f"{page.base}/api/v1/stream", headers=BEARER) as answer:
        await next_event(answer)
        assert await asyncio.wait_for(answer.content.readline(), 5) == b"event: pulse\n"


async def next_event(answer):
    assert await asyncio.wait_for(answer.content.readline(), 5) == b"event: view\n"
    data = await answer.content.readline()
    assert await answer.content.readline() == b"\n"
    return json.loads(data.removeprefix(b"data: "))


def test_sections_are_encoded_again_only_when_the_model_moved():
    model = ReadModel(story.setup())
    sections = Sections(model)
    before = sections.current()
    assert sections.current() is before
    model.on_latency(5, 1)
    after = sections.current()
    assert json.loads(changed(before, after)).keys() == {"latency"}
    assert json.loads(joined(after)) == json.loads(json.dumps(model.view()))


# ---- verbs ----


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.RESUME, Verb.FLATTEN, Verb.KILL])
async def test_a_wish_reaches_the_control_door(verb):
    async with desk() as page:
        body = {"reason": "too\nwild" + "x" * 500, "actor": "cli:anna", "force": verb is Verb.RESUME}
        assert await page.post(f"/api/v1/{verb}", body, headers=BEARER) == (202, {"accepted": verb})
        ((asked, actor, reason, force),) = page.control.asked
        assert (asked, actor, force) == (verb, "cli:anna", verb is Verb.RESUME)
        assert reason.startswith("too wild")
        assert len(reason) == MAX_REASON


async def test_the_page_cannot_call_itself_somebody_else():
    async with desk() as page:
        await log_in(page)
        status, _ = await page.post("/api/v1/pause", {"actor": "root"}, headers={"Origin": page.base})
        assert status == 202
        assert page.control.asked == [(Verb.PAUSE, "page", "", False)]


async def test_a_refusing_door_is_answered_in_one_line():
    class Refusing(QuietControl):
        async def submit(self, verb, actor, reason, *, force=False):
            raise TemporaryError("expected a journal that takes rows; found it full")

    model = ReadModel(story.setup())
    app = build_app(model, Refusing(), token=TOKEN)
    async with (
        serve(app, "127.0.0.1", 0) as base,
        aiohttp.ClientSession(headers=BEARER) as http,
        http.post(f"{base}/api/v1/kill", json={}) as answer,
    ):
        assert answer.status == 503
        assert (await answer.json())["error"].endswith("found it full")


async def test_a_broken_handler_is_a_500_without_its_inside():
    class Broken(QuietControl):
        def health(self):
            raise ZeroDivisionError("inside")

    app = build_app(ReadModel(story.setup()), Broken(), token=TOKEN)
    async with (
        serve(app, "127.0.0.1", 0) as base,
        aiohttp.ClientSession() as http,
        http.get(f"{base}/livez") as answer,
    ):
        assert answer.status == 500
        assert "inside" not in await answer.text()


# ---- who may ask ----

GUARDED = ["/api/v1/state", "/api/v1/chart", "/api/v1/stream"]


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic eDp5"},
        {"Authorization": "Bearer \u00e9\u00e8"},
        {"Authorization": "Bearer"},
    ],
)
async def test_data_needs_a_credential(path, headers):
    async with desk() as page:
        status, body, _ = await page.get(path, headers=headers)
        assert status == 401
        assert b"equity" not in body


@pytest.mark.parametrize("verb", ["pause", "resume", "flatten", "kill", "link"])
async def test_verbs_need_a_credential_and_nothing_happens_without(verb):
    async with desk() as page:
        status, _ = await page.post(f"/api/v1/{verb}")
        assert status == 401
        assert page.control.asked == []


CROSS = [
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({}, 403),  # a cookie alone never changes anything
    ({"Sec-Fetch-Site": "same-origin"}, 202),
    ({"Sec-Fetch-Site": "none"}, 202),
]


@pytest.mark.parametrize("headers, expected", CROSS)
async def test_a_cookie_works_from_our_own_page_only(headers, expected):
    async with desk() as page:
        await log_in(page)
        status, _ = await page.post("/api/v1/pause", headers=headers)
        assert status == expected
        assert len(page.control.asked) == (expected == 202)


async def test_a_form_cannot_ask():
    async with desk() as page:
        await log_in(page)
        for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
            async with page.http.post(
                f"{page.base}/api/v1/kill", data=b"{}", headers={"Origin": page.base, "Content-Type": kind}
            ) as answer:
                assert answer.status == 415
        assert page.control.asked == []


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8080", "[::2]", "[", ""]
)
@pytest.mark.parametrize("path", ["/", "/livez", "/api/v1/state"])
async def test_a_foreign_host_name_is_refused_everywhere(host, path):
    async with desk() as page:
        status, _, _ = await page.get(path, headers={**BEARER, "Host": host})
        assert status == 403


async def test_an_allowed_host_passes():
    async with desk(allowed_hosts={"desk.local"}) as page:
        status, _, _ = await page.get("/api/v1/state", headers={**BEARER, "Host": "desk.local:9999"})
        assert status == 200


async def test_no_page_elsewhere_is_told_that_it_may_read():
    async with desk() as page:
        _, _, headers = await page.get("/api/v1/state", headers={**BEARER, "Origin": "http://evil.example"})
        assert not any(name.lower().startswith("access-control") for name in headers)
        async with page.http.options(f"{page.base}/api/v1/kill", headers=BEARER) as answer:
            assert answer.status == 405


async def test_bodies_are_small_known_and_json():
    async with desk() as page:
        status, body = await page.post("/api/v1/pause", {"reason": "x" * (MAX_BODY + 1)}, headers=BEARER)
        assert status == 413
        status, body = await page.post("/api/v1/pause", {"leverage": 9}, headers=BEARER)
        assert (status, "leverage" in body["error"]) == (400, True)
        async with page.http.post(
            f"{page.base}/api/v1/pause", data=b"{", headers={**BEARER, "Content-Type": "application/json"}
        ) as answer:
            assert answer.status == 400
        assert page.control.asked == []


# ---- login ----


async def test_a_login_link_works_once_and_its_cookie_reads():
    async with desk() as page:
        link = login_url(page.app, page.base).partition("#t=")[2]
        async with page.http.post(f"{page.base}/api/v1/login", json={"link": link}) as answer:
            assert answer.status == 200
            cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie
        status, _, _ = await page.get("/api/v1/state")
        assert status == 200
        status, body = await page.post("/api/v1/login", {"link": link})
        assert (status, body["error"]) == (401, "this login link was used already or is too old")


async def test_a_token_holder_gets_a_fresh_link_and_a_page_does_not():
    async with desk() as page:
        status, body = await page.post("/api/v1/link", headers=BEARER)
        assert (status, body["link"].startswith("/#t=")) == (200, True)
        await log_in(page)
        status, _ = await page.post("/api/v1/link", headers={"Origin": page.base})
        assert status == 403


async def test_a_crowd_of_guesses_is_told_to_wait():
    async with desk() as page:
        wrong = {"Authorization": "Bearer wrong"}
        statuses = [(await page.get("/api/v1/state", headers=wrong))[0] for _ in range(FAILURES_ALLOWED + 1)]
        assert statuses[0] == 401
        assert statuses[-1] == 429
        assert (await page.get("/api/v1/state", headers=BEARER))[0] == 200


# ---- probes ----


async def test_probes_are_open_on_the_loopback():
    async with desk() as page:
        assert (await page.get("/livez"))[0] == 200
        assert (await page.get("/readyz"))[0] == 200
        status, body, headers = await page.get("/metrics")
        assert (status, b"trader_equity_usd" in body) == (200, True)
        assert headers["Content-Type"].startswith("text/plain; version=0.0.4")


async def test_what_is_not_ready_says_why():
    async with desk() as page:
        page.control.state = Health(live=True, ready=False, reasons=("main is not reconciled",))
        for path in ("/readyz", "/healthz"):
            status, body, _ = await page.get(path)
            assert (status, json.loads(body)) == (
                503,
                {"ready": False, "reasons": ["main is not reconciled"]},
            )
        assert (await page.get("/livez"))[0] == 200
        page.control.state = Health(live=False, ready=False)
        assert (await page.get("/livez"))[0] == 503


async def test_metrics_may_be_off():
    app = build_app(ReadModel(story.setup()), QuietControl(), token=TOKEN)
    async with (
        serve(app, "127.0.0.1", 0) as base,
        aiohttp.ClientSession() as http,
        http.get(f"{base}/metrics") as answer,
    ):
        assert answer.status == 404


async def test_listening_everywhere_still_asks_for_a_loopback_host():
    app = build_app(ReadModel(story.setup()), QuietControl(), token=TOKEN, clock=ManualClock(1))
    async with serve(app, "0.0.0.0", 0) as base, aiohttp.ClientSession() as http:
        assert base.startswith("http://127.0.0.1:")
        async with http.get(f"{base}/livez") as answer:
            assert answer.status == 200
        async with http.get(f"{base}/livez", headers={"Host": "desk.example"}) as answer:
            assert answer.status == 403


# ---- files ----


async def test_the_page_holds_no_data_and_no_inline_code():
    async with desk() as page:
        status, body, headers = await page.get("/")
        policy = headers["Content-Security-Policy"]
        html = body.decode()
        assert status == 200
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]*\bsrc=)", html)
        assert not re.search(r"\son\w+=|\sstyle=|javascript:", html)
        assert headers["X-Frame-Options"] == "DENY"


def test_no_file_of_ours_names_another_host():
    for file in STATIC.iterdir():
        found = set(re.findall(r"https?://[\w.-]+", file.read_text("utf-8")))
        assert found <= {"http://www.w3.org"}, file.name


def test_no_file_of_ours_turns_text_into_markup():
    for file in STATIC.glob("*.js"):
        source = file.read_text("utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", source
        ), file.name


def test_every_module_and_element_that_is_named_exists():
    html = (STATIC / "index.html").read_text("utf-8")
    ids = set(re.findall(r'\sid="([\w-]+)"', html))
    for file in STATIC.glob("*.js"):
        source = file.read_text("utf-8")
        for module in re.findall(r'from "\./([\w.]+)"', source):
            assert (STATIC / module).is_file(), module
        assert set(re.findall(r'\bfind\("([\w-]+)"\)', source)) <= ids, file.name
    for name in re.findall(r'/static/([\w.]+)"', html):
        assert (STATIC / name).is_file(), name


async def test_files_are_compressed_and_asked_for_again_only_when_changed():
    async with desk() as page:
        async with page.http.get(f"{page.base}/static/page.css", auto_decompress=False) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(await answer.read()) == (STATIC / "page.css").read_bytes()
            etag = answer.headers["ETag"]
        status, body, _ = await page.get("/static/page.css", headers={"If-None-Match": etag})
        assert (status, body) == (304, b"")
        status, body, headers = await page.get("/static/app.js", headers={"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in headers
        assert body == (STATIC / "app.js").read_bytes()


async def test_plotly_is_served_from_its_package_for_good():
    async with desk() as page:
        _, html, _ = await page.get("/")
        (name,) = re.findall(r"/static/(plotly-[\w.]+\.min\.js)", html.decode())
        status, body, headers = await page.get(f"/static/{name}")
        assert status == 200
        assert len(body) > 1_000_000
        assert "immutable" in headers["Cache-Control"]


@pytest.mark.parametrize("name", ["nope.js", "..%2fserver.py", "plotly-0.0.0.min.js"])
async def test_nothing_else_is_served(name):
    async with desk() as page:
        assert (await page.get(f"/static/{name}"))[0] in {403, 404}


# ---- sockets ----


async def test_a_taken_port_is_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        app = build_app(ReadModel(story.setup()), QuietControl(), token=TOKEN)
        with pytest.raises(TemporaryError, match=f"127.0.0.1:{port} to be free"):
            async with serve(app, "127.0.0.1", port):
                pass


async def test_an_address_of_another_machine_is_one_line():
    app = build_app(ReadModel(story.setup()), QuietControl(), token=TOKEN)
    with pytest.raises(ConfigError, match=r"found 192\.0\.2\.1:0"):
        async with serve(app, "192.0.2.1", 0):
            pass


async def test_open_streams_do_not_hold_up_the_end():
    model = ReadModel(story.setup())
    app = build_app(model, QuietControl(), token=TOKEN)
    async with aiohttp.ClientSession() as http:
        async with asyncio.timeout(10):
            async with serve(app, "127.0.0.1", 0) as base:
                answer = await http.get(f"{base}/api/v1/stream", headers=BEARER)
                await next_event(answer)
            assert (await answer.content.read()).startswith((b"event: pulse", b""))


async def test_an_opinion_is_explained_by_instrument_and_trader():
    async with desk() as page:
        status, body, _ = await page.get("/api/v1/explain?instrument=BTC/USDT", headers=BEARER)
        assert status == 200
        assert json.loads(body) == json.loads(json.dumps(page.model.explain("BTC/USDT")))
        assert [row["timeframe"] for row in json.loads(body)["rows"]] == ["5m", "15m", "1h"]
        _, body, _ = await page.get("/api/v1/explain?instrument=BTC/USDT&trader=nobody", headers=BEARER)
        assert json.loads(body)["rows"] == []
        status, _, _ = await page.get("/api/v1/explain?instrument=BTC/USDT")
        assert status == 401
