"""One WebSocket of the loopback venue: a bounded queue of frames and what it subscribed to.

Must not know channels, orders or faults. Called by the desks. Every frame to a client passes `send`,
every request the `receive` of the desk's door: these two are where faults are put in.
"""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Protocol

import msgspec
from aiohttp import WSMsgType, web

from venue.loopback_dialect import plain
from venue.wire_values import countable

_QUEUE = 20_000
_MOST = 10**18
NO_CLOSE_FRAME = 1006
_IDLE_S = 60.0  # documented: about a minute without traffic from the client


class Connection:
    """Where frames for one client go; a client that does not read fast enough is cut off."""

    def __init__(
        self, number: int, dialect: Callable[[str], str] = plain, *, quiet_heartbeat: bool = False
    ) -> None:
        self.number = number
        self._dialect = dialect
        self._quiet_heartbeat = quiet_heartbeat  # whether it beats in silent seconds only
        self._spoke = False
        self.beating = False  # heartbeats start with the first subscription
        self.frames: asyncio.Queue[str | None] = asyncio.Queue(_QUEUE)
        self.closing = False
        self.farewell = (1000, "")
        self.tamper: Callable[[str], list[str]] | None = None

    def send(self, frame: str) -> None:
        """Queue a frame as this venue says it, or what a fault makes of it."""
        self._spoke = True
        said = self._dialect(frame)
        self.put([said] if self.tamper is None else self.tamper(said))

    def beat(self, frame: str) -> None:
        """Send the heartbeat of the second, if this connection has one now."""
        if self.beating and not (self._quiet_heartbeat and self._spoke):
            self.send(frame)
        self._spoke = False

    def put(self, frames: list[str]) -> None:
        """Queue frames as they are; a full queue ends the connection instead of losing one."""
        for frame in frames:
            if self.closing:
                return
            if self.frames.qsize() >= _QUEUE - 1:
                self.close()
                return
            self.frames.put_nowait(frame)

    def cut(self, code: int, reason: str) -> None:
        """End the connection with a close code; 1006 stands for the lack of a close frame."""
        self.farewell = (code, reason)
        self.close()

    def close(self) -> None:
        """End the connection once the queue is written."""
        if not self.closing:
            self.closing = True
            self.frames.put_nowait(None)


class Desk(Protocol):
    """What answers the requests of a connection."""

    def opened(self, connection: Connection) -> None:
        """Greet a new connection."""
        ...

    def receive(self, connection: Connection, request: dict[str, Any]) -> None:
        """Take one request."""
        ...

    def closed(self, connection: Connection) -> None:
        """Forget a connection. Orders and positions of its account stay."""
        ...


def read_request(text: str) -> dict[str, Any] | None:
    """Parse a frame with numbers as Decimal; `None` if it has not the shape of a request.

    Text that is no text (lone surrogates) and numbers that nobody could count are no request.
    """
    try:
        body = _requests.decode(text)
        if not isinstance(body, dict) or not isinstance(body.get("method"), str):
            return None
        if not isinstance(body.setdefault("params", {}), dict) or not _counted(body["params"]):
            return None
    except (ValueError, ArithmeticError, RecursionError):
        return None
    return body if isinstance(body.get("req_id", 0), int) else None


def _counted(value: Any) -> bool:
    """Tell whether every number in a value is one that an order can have."""
    if isinstance(value, int):
        return -_MOST < value < _MOST
    if isinstance(value, Decimal):
        return countable(value)
    if isinstance(value, dict | list):
        return all(map(_counted, value.values() if isinstance(value, dict) else value))
    return True


_requests = msgspec.json.Decoder(float_hook=Decimal)


async def converse(request: web.Request, desk: Desk, connection: Connection) -> web.WebSocketResponse:
    """Serve one client until it goes or is cut off."""
    socket = web.WebSocketResponse(compress=False, max_msg_size=1 << 20)
    await socket.prepare(request)
    desk.opened(connection)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_write(socket, connection, request.transport))
            await _read(socket, connection, desk)
    finally:
        desk.closed(connection)
    return socket


async def _read(socket: web.WebSocketResponse, connection: Connection, desk: Desk) -> None:
    try:
        while not connection.closing:
            message = await socket.receive(timeout=_IDLE_S)
            if message.type is not WSMsgType.TEXT:
                break
            request = read_request(message.data)
            if request is None:
                connection.send('{"error":"Malformed request","success":false}')
            else:
                desk.receive(connection, request)
    except TimeoutError:
        pass  # idle for too long: closed as the venue would
    finally:
        connection.close()


async def _write(
    socket: web.WebSocketResponse, connection: Connection, transport: asyncio.Transport | None
) -> None:
    try:
        while (frame := await connection.frames.get()) is not None:
            await socket.send_str(frame)
        code, reason = connection.farewell
        if code == NO_CLOSE_FRAME and transport is not None:
            transport.abort()
        else:
            await socket.close(code=code, message=reason.encode())
    except ConnectionError:
        connection.closing = True  # the client went; the reader sees it too
