"""Asking and changing models over HTTP: the same guards, errors of the asker as 4xx, one line each."""

from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from core.clock import ManualClock
from core.errors import InternalError, ModelError, TemporaryError, UsageError
from tests import desk_story as story
from tests.desk_story import TOKEN, QuietControl
from trader.control import Question
from trader.dashboard.models import MAX_QUESTION
from trader.dashboard.server import build_app, login_url, serve
from trader.state import ReadModel

BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Door:
    """Models that answer with what they were asked, or fail as they were told to."""

    def __init__(self):
        self.asked, self.fails = [], None

    async def predict(self, question):
        return self._take(question)

    async def activate(self, trader, path, actor):
        return self._take((trader, path, actor))

    def _take(self, asked):
        if self.fails is not None:
            raise self.fails
        self.asked.append(asked)
        return {"rows": []}


@asynccontextmanager
async def served(door):
    app = build_app(ReadModel(story.setup()), QuietControl(), token=TOKEN, clock=ManualClock(1), models=door)
    jar = aiohttp.CookieJar(unsafe=True)
    async with serve(app, "127.0.0.1", 0) as base, aiohttp.ClientSession(cookie_jar=jar) as http:

        async def post(path, body, headers=BEARER):
            async with http.post(base + path, json=body, headers=headers) as answer:
                return answer.status, await answer.json()

        post.app, post.base = app, base
        yield post


async def test_a_question_reaches_the_models():
    door = Door()
    async with served(door) as post:
        assert await post("/api/v1/predict", {"trader": "a", "instruments": ["BTC/USDT"]}) == (
            200,
            {"rows": []},
        )
        assert (await post("/api/v1/predict", {"trader": "a", "rows": {"x": [[1, 2.5]]}}))[0] == 200
    assert door.asked == [Question("a", ("BTC/USDT",)), Question("a", (), {"x": [[1, 2.5]]})]


@pytest.mark.parametrize(
    "error, status",
    [
        (UsageError("expected a trader of a; found 'b'"), 400),
        (ModelError("m: expected a sound model; found none"), 422),
        (TemporaryError("expected room at the models; found them busy"), 503),
        (InternalError("expected sense"), 503),
    ],
)
async def test_every_refusal_is_one_line_with_a_status_that_says_whose_fault_it_is(error, status):
    door = Door()
    door.fails = error
    async with served(door) as post:
        for path, body in (("/api/v1/predict", {"trader": "a"}), ("/api/v1/model", {"trader": "a"})):
            assert await post(path, body) == (status, {"error": str(error)})


async def test_a_body_of_another_shape_is_refused():
    async with served(Door()) as post:
        for body in ({}, {"trader": 1}, {"trader": "a", "more": 1}, {"trader": "a", "rows": {"x": 1}}):
            status, answer = await post("/api/v1/predict", body)
            assert (status, answer["error"].startswith("expected a JSON body: ")) == (400, True)
        status, answer = await post("/api/v1/predict", {"trader": "a" * MAX_QUESTION})
        assert (status, answer) == (413, {"error": f"expected a body of at most {MAX_QUESTION} bytes"})


async def test_only_a_holder_of_the_token_changes_models():
    door = Door()
    async with served(door) as post:
        assert (await post("/api/v1/model", {"trader": "a"}, {}))[0] == 401
        assert (await post("/api/v1/predict", {"trader": "a"}, {}))[0] == 401
        link = login_url(post.app, post.base).partition("#t=")[2]
        page = {"Origin": post.base}
        assert (await post("/api/v1/login", {"link": link}, page))[0] == 200
        assert await post("/api/v1/model", {"trader": "a"}, page) == (
            403,
            {"error": "expected a Bearer token"},
        )
        assert (await post("/api/v1/predict", {"trader": "a"}, page))[0] == 200
        assert (await post("/api/v1/model", {"trader": "a", "path": "/m", "actor": "cli:anna\n"}))[0] == 200
        assert (await post("/api/v1/model", {"trader": "a"}))[0] == 200
        status, answer = await post("/api/v1/model", {"trader": "a", "path": "m"})
        assert (status, answer["error"]) == (
            400,
            "path: expected an absolute path on the daemon's machine; found 'm'",
        )
    assert door.asked == [Question("a"), ("a", Path("/m"), "cli:anna "), ("a", None, "api")]


async def test_a_daemon_without_models_has_no_such_door():
    async with served(None) as post:
        assert (await post("/api/v1/predict", {"trader": "a"}))[0] == 404
