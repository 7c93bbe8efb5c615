"""Reading what a request carries: bounded, in time, of one shape, and people's words made plain.

Must not know routes. Called by the handlers of trader.dashboard.
"""

import asyncio
from typing import TypeVar

import msgspec
from aiohttp import web

MAX_BODY = 4096
MAX_REASON = 200
TIMEOUT_S = 5.0

ACTOR: web.RequestKey[str] = web.RequestKey("actor", str)
T = TypeVar("T", bound=msgspec.Struct)


async def read_body(request: web.Request, kind: type[T], *, limit: int = MAX_BODY) -> T:
    """Read a JSON body of at most `limit` bytes; raises the HTTP error that says what is wrong."""
    raw = bytearray()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            async for chunk in request.content.iter_any():
                raw += chunk
                if len(raw) > limit:
                    raise web.HTTPRequestEntityTooLarge(
                        max_size=limit, actual_size=len(raw), text=f"expected a body of at most {limit} bytes"
                    )
        return msgspec.json.decode(bytes(raw) or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise web.HTTPBadRequest(text=f"expected a JSON body: {error}") from error
    except RecursionError:
        raise web.HTTPBadRequest(text="expected a JSON body; found one nested too deeply") from None
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="expected the whole body within 5 s") from None


def plain(text: str) -> str:
    """Keep a person's words to one short printable line: they go to journal, log and page."""
    return "".join(c if c.isprintable() else " " for c in text)[:MAX_REASON]
