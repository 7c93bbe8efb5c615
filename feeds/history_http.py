"""HTTP for history: one GET, and what its answer is worth.

Must not know venues nor retries. Called by the history sources inside `Polite.ask`. What may be
different next time is LinkLost: timeouts, 429, 5xx, HTML where JSON was expected, a cut body.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, Self

import aiohttp
import msgspec

from core.errors import LinkLost, NotPermitted, VenueError
from core.version import VERSION
from feeds.history_pace import AskLater

TIMEOUT_S = 30.0
LARGEST = 64 << 20
"""Bytes of one answer; far above every documented page."""
_SHOWN = 80


class Answer(NamedTuple):
    """Status, body and the seconds of `Retry-After` (0 where there are none)."""

    status: int
    body: bytes
    retry_after_s: float = 0.0


class Get(Protocol):
    """One GET; raises LinkLost where nothing came back."""

    async def __call__(
        self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Give the answer, whatever its status."""
        ...


class Http:
    """The real thing; use as an async context manager. A redirect is not followed: it is an answer."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            headers={"User-Agent": f"seamark/{VERSION}"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __call__(
        self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        assert self._session is not None, "enter first"
        try:
            async with self._session.get(
                url, params=params, headers=headers, allow_redirects=False
            ) as response:
                body = await _bounded(response)
                after = response.headers.get("Retry-After", "")
                return Answer(response.status, body, float(after) if after.isdigit() else 0.0)
        except (aiohttp.ClientError, TimeoutError) as broken:
            reason = str(broken) or f"no answer in {self._timeout_s:g} s"
            raise LinkLost(f"GET {url}: {reason}") from broken


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > LARGEST:
            raise VenueError(f"GET {response.url}: expected at most {LARGEST} bytes, found more")
    return bytes(body)


def json_body(url: str, answer: Answer) -> bytes:
    """Give the body of an answer that is JSON; raises by what the status proves."""
    found = f"GET {url}: expected JSON, found HTTP {answer.status} {answer.body[:_SHOWN]!r}"
    if answer.status == 429:
        raise AskLater(found, answer.retry_after_s)
    if answer.status in {401, 403}:
        raise NotPermitted(found)
    if 400 <= answer.status < 500:
        raise VenueError(found)
    if answer.status != 200 or answer.body.lstrip()[:1] not in {b"{", b"["}:
        raise LinkLost(found)
    return answer.body


def decoded(url: str, body: bytes, kind: Any) -> Any:
    """Decode a JSON body: LinkLost for text that was cut, VenueError for another shape."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.ValidationError, RecursionError) as odd:
        raise VenueError(f"GET {url}: expected the documented shape, found: {odd}") from odd
    except (msgspec.DecodeError, UnicodeDecodeError) as cut:
        raise LinkLost(f"GET {url}: expected JSON, found {body[:_SHOWN]!r}: {cut}") from cut
