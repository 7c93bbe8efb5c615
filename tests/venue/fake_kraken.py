"""A tiny WebSocket venue on 127.0.0.1 for tests of the shells: it answers what it is told to."""

import asyncio
import json
from contextlib import asynccontextmanager

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

STATUS = {"channel": "status", "type": "update", "data": [{"system": "online", "connection_id": 2**63 + 1}]}


class FakeKraken:
    """`answers(request)` gives the frames for a request; `push` and `drop` act on all sockets."""

    def __init__(self, answers):
        self.answers = answers
        self.requests = asyncio.Queue()
        self.connections = 0
        self.url = ""
        self._sockets = set()

    async def converse(self, socket):
        self.connections += 1
        self._sockets.add(socket)
        try:
            await socket.send(json.dumps(STATUS))
            async for raw in socket:
                assert isinstance(raw, str), "the venue reads text frames only"
                request = json.loads(raw)
                if request["method"] == "ping":
                    continue
                self.requests.put_nowait(request)
                for frame in self.answers(request):
                    await self.send(socket, frame)
        except ConnectionClosed:
            pass
        finally:
            self._sockets.discard(socket)

    async def send(self, socket, frame):
        await socket.send(frame.decode() if isinstance(frame, bytes) else json.dumps(frame))

    async def push(self, *frames):
        for socket in tuple(self._sockets):
            for frame in frames:
                await self.send(socket, frame)

    async def drop(self):
        for socket in tuple(self._sockets):
            await socket.close(1001, "CloudFlare WebSocket proxy restarting")

    async def request(self, method, channel=None):
        """Wait for the next request of this kind, passing over others."""
        async with asyncio.timeout(10):
            while True:
                request = await self.requests.get()
                if request["method"] == method and channel in (None, request["params"].get("channel")):
                    return request


@asynccontextmanager
async def fake_kraken(answers=lambda request: []):
    fake = FakeKraken(answers)
    async with serve(fake.converse, "127.0.0.1", 0, close_timeout=0.1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        fake.url = f"ws://127.0.0.1:{port}/v2"
        yield fake


@asynccontextmanager
async def running(coroutine):
    """Run a shell beside the test and end it with the block."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(coroutine)
        yield task
        task.cancel()


async def told(queue, wanted):
    """Give the first item that `wanted` accepts, dropping the ones before it."""
    async with asyncio.timeout(10):
        while True:
            item = await queue.get()
            if wanted(item):
                return item
