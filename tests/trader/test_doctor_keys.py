"""The doctor and API keys, against a loopback venue on a real socket."""

import asyncio
import threading
from contextlib import contextmanager

import pytest

from core.clock import LiveClock
from tests.e2e.test_live_loopback import SECRET, loopback
from trader.config import load
from trader.doctor import examine
from venue.nonce import held_key

pytestmark = pytest.mark.e2e
CONFIG = """
[universe]
instruments = ["BTC/USDT"]
[journal]
directory = "state"
[dashboard]
port = 0
[venue]
rest = "REST"
[execution]
style = "venue"
[[account]]
name = "main"
currency = "USDT"
key_env = "KEY"
secret_env = "SECRET"
[[trader]]
name = "scalp"
code = "SC"
account = "main"
model = "models/none"
"""


@contextmanager
def venue():
    """Serve a loopback from a thread: the doctor runs a loop of its own."""
    started, stop = threading.Event(), asyncio.Event()
    found = {}

    async def serve():
        found["loop"] = asyncio.get_running_loop()
        async with loopback(speed=1.0) as (ports, _):
            found["rest"] = ports.rest
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(30)
    try:
        yield found["rest"]
    finally:
        found["loop"].call_soon_threadsafe(stop.set)
        thread.join(30)


def test_the_doctor_shows_what_each_key_may_do(tmp_path):
    with venue() as rest:
        path = tmp_path / "trader.toml"
        path.write_text(CONFIG.replace("REST", rest), "utf-8")
        config = load([path], {})

        def key(env):
            (row,) = [f for f in examine(config, env, LiveClock()) if f.check == "key main"]
            return row

        right = {"KEY": "key", "SECRET": SECRET}
        found = key(right)
        assert (found.exit_code, found.detail) == (0, "7 permissions, none to move funds; from 127.0.0.1")
        assert key({"KEY": "stolen", "SECRET": SECRET}).exit_code == 77
        assert key({}).exit_code == 77
        with held_key(config.journal.directory / "keys", "key"):
            assert key(right).note
    assert key(right).exit_code == 69
