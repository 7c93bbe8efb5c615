"""What an answer is worth: asked again, refused for good, or read."""

import pytest

from core.errors import LinkLost, NotPermitted, VenueError
from feeds.history_http import Answer, Http, decoded, json_body
from feeds.history_pace import AskLater
from tests.feeds.history_server import listening

URL = "http://127.0.0.1:1/x"


@pytest.mark.parametrize(
    "answer,kind",
    [
        (Answer(429, b"{}", 7.0), AskLater),
        (Answer(503, b"{}"), LinkLost),
        (Answer(520, b"<html>"), LinkLost),
        (Answer(200, b"<html>"), LinkLost),
        (Answer(200, b""), LinkLost),
        (Answer(302, b"{}"), LinkLost),
        (Answer(401, b"{}"), NotPermitted),
        (Answer(403, b"<html>"), NotPermitted),
        (Answer(404, b"{}"), VenueError),
    ],
)
def test_status_and_body_say_what_to_do(answer, kind):
    with pytest.raises(kind, match=r"GET http://127.0.0.1:1/x: expected JSON, found HTTP") as raised:
        json_body(URL, answer)
    assert getattr(raised.value, "wait_s", 7.0) == 7.0


def test_json_is_read():
    assert decoded(URL, json_body(URL, Answer(200, b' {"a": 1}')), dict[str, int]) == {"a": 1}


def test_cut_text_is_asked_for_again_and_another_shape_is_refused():
    with pytest.raises(LinkLost, match="expected JSON"):
        decoded(URL, b'{"a": 1', dict[str, int])
    with pytest.raises(VenueError, match="expected the documented shape"):
        decoded(URL, b'{"a": "x"}', dict[str, int])


@pytest.mark.e2e
async def test_get_over_a_socket():
    def serve(path, query, headers):
        if path == "/large":
            return 200, b" " * (1 << 20)
        return {"path": path, "query": query, "agent": headers["User-Agent"], "key": headers.get("x-key")}

    with listening(serve) as url:
        async with Http() as get:
            answer = await get(f"{url}/a", {"since": "1717113600000000001"}, {"x-key": "k"})
            told = decoded(url, answer.body, dict)
            large = await get(f"{url}/large")
    assert (told["path"], told["query"], told["key"]) == ("/a", {"since": "1717113600000000001"}, "k")
    assert told["agent"].startswith("seamark/")
    assert len(large.body) == 1 << 20


@pytest.mark.e2e
async def test_host_that_is_not_there_or_is_too_slow_is_a_lost_link():
    async with Http() as get:
        with pytest.raises(LinkLost, match=r"GET http://127.0.0.1:9/x"):
            await get("http://127.0.0.1:9/x")

    def slow(path, query, headers):
        import time

        time.sleep(0.3)
        return {}

    with listening(slow) as url:
        async with Http(timeout_s=0.05) as get:
            with pytest.raises(LinkLost, match=r"no answer in 0.05 s|[Tt]imeout"):
                await get(url)
