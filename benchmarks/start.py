"""From `trader run` to READY=1 against the loopback, with and without saved state."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from time import perf_counter_ns, sleep

from benchmarks.rows import Found, median
from core.clock import LiveClock
from core.text import iso

CONFIG = "configs/demo.toml"
KEYS = {
    "SEAMARK_SCALP_KEY": "scalp",
    "SEAMARK_SCALP_SECRET": "c2NhbHA=",
    "SEAMARK_SWING_KEY": "swing",
    "SEAMARK_SWING_SECRET": "c3dpbmc=",
}
ROUNDS = 3
WAIT_S = 60


def measure() -> Found:
    with tempfile.TemporaryDirectory() as folder:
        port, env, settings = _settings(Path(folder))
        with _process("loopback", env, settings):
            _await_port(port)
            fresh, *saved = [_ready_s(Path(folder), env, settings, number) for number in range(ROUNDS + 1)]
    return Found(
        {"start.ready_s": None},
        f"the loopback lists 18 pairs, not 1,000 yet; with the 6 of {CONFIG}: {fresh:.2f} s fresh, "
        f"{median(saved):.2f} s with saved state (median of {ROUNDS})",
    )


def _settings(folder: Path) -> tuple[int, dict[str, str], list[str]]:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    values = {
        "venue.ws_public": f"ws://127.0.0.1:{port}/v2",
        "venue.ws_private": f"ws://127.0.0.1:{port}/v2-auth",
        "venue.rest": f"http://127.0.0.1:{port}",
        "clock.wall_epoch": iso(LiveClock().now()),
        "journal.directory": str(folder / "state"),
        "dashboard.port": "0",
    }
    return port, {**os.environ, **KEYS}, [f"--set={key}={value}" for key, value in values.items()]


@contextmanager
def _process(verb: str, env: Mapping[str, str], settings: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "trader.cli", verb, "--config", CONFIG, *settings]
    child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.terminate()
        child.wait(WAIT_S)


def _ready_s(folder: Path, env: Mapping[str, str], settings: list[str], number: int) -> float:
    path = str(folder / f"notify{number}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(0.5)
        began = perf_counter_ns()
        with _process("run", {**env, "NOTIFY_SOCKET": path}, settings) as daemon:
            while daemon.poll() is None:
                with suppress(TimeoutError):
                    if b"READY=1" in manager.recv(4096):
                        return (perf_counter_ns() - began) / 1e9
    msg = f"expected READY=1 from the daemon; it ended with code {daemon.returncode}"
    raise RuntimeError(msg)


def _await_port(port: int) -> None:
    for _ in range(WAIT_S * 10):
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        sleep(0.1)
    msg = f"expected the loopback on port {port} within {WAIT_S} s"
    raise TimeoutError(msg)
