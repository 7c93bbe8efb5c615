"""From `trader run` to READY=1 against the loopback, with and without saved state."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from time import perf_counter_ns, sleep

from benchmarks.rows import Found, median
from benchmarks.venue import desk_toml, names
from core.clock import LiveClock
from core.text import iso

INSTRUMENTS = 1_000
TRADES_PER_S = 1_000.0
SEED = 1
ROUNDS = 3
WAIT_S = 60


def measure() -> Found:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        port, file = _desk(home)
        with _process("loopback", file):
            _await_port(port)
            fresh, *saved = [_ready_s(home, file, number) for number in range(ROUNDS + 1)]
    return Found(
        {"start.ready_s": median(saved)},
        f"trader run to READY=1 with {INSTRUMENTS} instruments of the synthetic loopback at "
        f"{TRADES_PER_S:,.0f} trades/s, saved state; median of {ROUNDS}; {fresh:.2f} s without state; "
        f"history comes after READY, within the venue's rate of REST calls",
    )


def _desk(home: Path) -> tuple[int, Path]:
    """Write the configuration that both processes read; gives the venue's port and the file."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    now = iso(LiveClock().now())
    tables = {
        "venue": {
            "name": "loopback",
            "ws_public": f"ws://127.0.0.1:{port}/v2",
            "ws_private": f"ws://127.0.0.1:{port}/v2-auth",
            "rest": f"http://127.0.0.1:{port}",
        },
        "clock": {"market_epoch": now, "wall_epoch": now},
        "exchange": {"seed": SEED, "synthetic": INSTRUMENTS, "trades_per_s": TRADES_PER_S},
        "journal": {"directory": str(home / "state")},
        "dashboard": {"port": 0},
    }
    file = home / "desk.toml"
    file.write_text(desk_toml(names(INSTRUMENTS, SEED), tables), "utf-8")
    return port, file


@contextmanager
def _process(verb: str, file: Path, notify: str = "") -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "trader.cli", verb, "--config", str(file)]
    env = os.environ | ({"NOTIFY_SOCKET": notify} if notify else {})
    child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.terminate()
        child.wait(WAIT_S)


def _ready_s(home: Path, file: Path, number: int) -> float:
    path = str(home / f"notify{number}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(0.5)
        began = perf_counter_ns()
        with _process("run", file, path) as daemon:
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
