"""A simulated Kraken and a daemon as real processes on 127.0.0.1, for tests that kill things.

Must not know what is tested. Every wait is bounded and polls; nothing here sleeps blindly.
"""

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from core.clock import LiveClock
from core.text import iso
from trader.client import ask
from trader.config import Config, load

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "configs" / "two-traders.toml"


class World:
    """One loopback venue and, between `start_daemon` and `kill`, one daemon."""

    def __init__(
        self, home: Path, settings: Mapping[str, object], *, speed: float, file: Path = DEMO
    ) -> None:
        self.home = home
        self.file = file
        port, page = free_port(), free_port()
        self.settings: dict[str, object] = {
            "clock.speed": speed,
            "clock.wall_epoch": iso(LiveClock().now()),
            "venue.ws_public": f"ws://127.0.0.1:{port}/v2",
            "venue.ws_private": f"ws://127.0.0.1:{port}/v2-auth",
            "venue.rest": f"http://127.0.0.1:{port}",
            "dashboard.port": page,
            "journal.directory": str(home / "state"),
            **settings,
        }
        self.env = dict(os.environ)
        for account in ("SCALP", "SWING"):
            self.env[f"SEAMARK_{account}_KEY"] = secrets.token_hex(16)
            self.env[f"SEAMARK_{account}_SECRET"] = base64.b64encode(secrets.token_bytes(48)).decode()
        self.config: Config = load([file], self.env, self.settings)
        self._venue: subprocess.Popen[bytes] | None = None
        self.daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._venue = self.spawn("loopback")
        port = int(str(self.settings["venue.rest"]).rpartition(":")[2])
        until(lambda: connects(port), "the loopback to listen", process=self._venue)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (self.daemon, self._venue):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()

    @property
    def journal(self) -> Path:
        return self.home / "state" / "journal.db"

    def arguments(self, verb: str) -> list[str]:
        words = [sys.executable, "-m", "trader.cli", verb, "--config", str(self.file)]
        for key, value in self.settings.items():
            words += ["--set", f"{key}={value}"]
        return words

    def spawn(self, verb: str) -> subprocess.Popen[bytes]:
        with (self.home / f"{verb}.log").open("ab") as log:
            return subprocess.Popen(self.arguments(verb), env=self.env, stdout=log, stderr=log, cwd=ROOT)

    def start_daemon(self) -> None:
        self.daemon = self.spawn("run")
        until(lambda: self.state() is not None, "the page to answer", process=self.daemon)

    def kill(self) -> None:
        """End the daemon as a power cut would, as far as a process can tell."""
        assert self.daemon is not None
        self.daemon.kill()
        self.daemon.wait()

    def terminate(self) -> int:
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGTERM)
        return self.daemon.wait(timeout=45)

    def state(self) -> dict[str, Any] | None:
        """Give what the page shows, or None while there is no page."""
        try:
            answer = ask(self.config, "GET", "/api/v1/state")
        except Exception:  # noqa: BLE001 - not up yet, whatever the reason
            return None
        return answer.body if answer.status == 200 else None

    def shown(self) -> dict[str, Any]:
        state = self.state()
        assert state is not None
        return state

    def notices(self) -> list[str]:
        """Give the codes of the notices on the page."""
        return [notice["code"] for notice in self.shown()["notices"]]

    def model_of(self, trader: str) -> str:
        """Give the hash of the model that a trader is bound to."""
        return next(str(m["hash"]) for m in self.shown()["session"]["models"] if m["trader"] == trader)

    def spoke(self, model_hash: str) -> bool:
        """Tell whether the newest opinions about some instrument are a model's."""
        names = {row["instrument"] for row in self.shown()["opinions"]}
        return any(model_hash == row["model_hash"] for name in names for row in self.why(name))

    def ready(self) -> bool:
        """Tell whether there is an opinion that may be used."""
        return any(row["ready"] for row in self.shown()["opinions"])

    def why(self, instrument: str) -> list[dict[str, Any]]:
        """Give the explanations of the newest opinions about an instrument."""
        answer = ask(self.config, "GET", f"/api/v1/explain?instrument={instrument}")
        return list(answer.body["rows"])

    def log(self) -> str:
        return (self.home / "run.log").read_text()


def until(
    holds: Callable[[], bool],
    what: str,
    *,
    process: subprocess.Popen[bytes] | None = None,
    seconds: float = 60,
) -> None:
    """Wait until something holds; fails with what was waited for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return
        if process is not None and process.poll() is not None:
            msg = f"waited for {what}, but the process ended with {process.returncode}"
            raise AssertionError(msg)
        time.sleep(0.05)
    msg = f"waited {seconds:g} s for {what}"
    raise AssertionError(msg)


def connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pretty(value: object) -> str:
    return json.dumps(value, indent=1)[:4000]
