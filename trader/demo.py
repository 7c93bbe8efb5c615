"""The demonstration: a simulated Kraken in a process of its own, and the daemon beside it.

Must not know how either works: it only picks a port, keys and a folder. Called by `trader demo`.
The daemon speaks to 127.0.0.1 with the same client code that would speak to Kraken.
"""

import asyncio
import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from core.clock import LiveClock
from core.errors import Fatal, VenueUnavailable
from core.text import iso
from trader.config import Config, load
from trader.live import Daemon, run_daemon
from trader.loop import run
from trader.statedir import held
from trader.telemetry import set_up_logging

START_TIMEOUT_S = 60.0
POLL_S = 0.1


class DemoOptions(NamedTuple):
    """What the command line asked for; `minutes` 0 runs until stopped."""

    configs: tuple[Path, ...]
    overrides: Mapping[str, object]
    minutes: float
    headless: bool
    as_json: bool


def run_demo(options: DemoOptions) -> int:
    """Run the demonstration to its end; prints the address, and the figures of the run."""
    base = load(options.configs, os.environ, options.overrides)
    port = _free_port()
    stamp = iso(LiveClock().now())[:19].replace(":", "").replace("-", "").replace("T", "-")
    overrides = {
        **options.overrides,
        "venue.ws_public": f"ws://127.0.0.1:{port}/v2",
        "venue.ws_private": f"ws://127.0.0.1:{port}/v2-auth",
        "venue.rest": f"http://127.0.0.1:{port}",
        "clock.wall_epoch": iso(LiveClock().now()),
        "journal.directory": str(base.journal.directory / stamp),
    }
    if options.headless:
        overrides["dashboard.port"] = 0
    config = load(options.configs, os.environ, overrides)
    with held(config.journal.directory):
        pass  # made here, for the logs below; the daemon holds it
    env = {**os.environ, **_keys(config)}
    log = config.journal.directory / "daemon.log"
    set_up_logging(config.make_clock(), secrets=config.secrets(env), path=log)
    with _loopback(options, overrides, env, log=config.journal.directory / "loopback.log") as venue:
        _await_port(port, venue, log=config.journal.directory / "loopback.log")
        return run(_trade(config, env, options))


async def _trade(config: Config, env: Mapping[str, str], options: DemoOptions) -> int:
    def ready(daemon: Daemon) -> None:
        _say(f"simulated Kraken at {config.venue.rest}; state in {config.journal.directory}")
        if options.minutes:
            asyncio.get_running_loop().call_later(options.minutes * 60, daemon.stop)

    def opened(url: str) -> None:
        if not options.headless:
            _say(f"open {url}")
            _say("the link logs one browser in; Ctrl-C stops the demonstration")

    def ended(daemon: Daemon) -> None:
        _report(daemon.report(), as_json=options.as_json)

    return await run_daemon(config, env, on_ready=ready, on_url=opened, on_end=ended)


def _report(figures: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        sys.stdout.write(f"{name:<{width}}  {value}\n")


def _keys(config: Config) -> dict[str, str]:
    """Make up an API key for each simulated account; they live in the environment of two processes."""
    made: dict[str, str] = {}
    for account in config.accounts:
        prefix = f"SEAMARK_{account.name.upper()}"
        made[f"{prefix}_KEY"] = secrets.token_hex(16)
        made[f"{prefix}_SECRET"] = base64.b64encode(secrets.token_bytes(48)).decode()
    return made


@contextmanager
def _loopback(
    options: DemoOptions, overrides: Mapping[str, object], env: Mapping[str, str], *, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    arguments = [sys.executable, "-m", "trader.cli", "loopback", "--attached"]
    for path in options.configs:
        arguments += ["--config", str(path)]
    for key, value in overrides.items():
        arguments += ["--set", f"{key}={value}"]
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches the daemon first, which still needs its venue to stop.
        venue = subprocess.Popen(  # noqa: S603 - our own interpreter and command
            arguments,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield venue
        finally:
            venue.send_signal(signal.SIGTERM)
            try:
                venue.wait(timeout=5)
            except subprocess.TimeoutExpired:
                venue.kill()
                venue.wait()


def _await_port(port: int, venue: subprocess.Popen[bytes], *, log: Path) -> None:
    clock = LiveClock()
    began = clock.monotonic()
    while clock.monotonic() - began < START_TIMEOUT_S * 1e9:
        if venue.poll() is not None:
            raise _ended(venue.returncode, log.read_text("utf-8", "replace"))
        with socket.socket() as probe:
            probe.settimeout(POLL_S)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        try:
            venue.wait(timeout=POLL_S)
        except subprocess.TimeoutExpired:
            continue
    msg = f"expected the simulated Kraken on port {port} within {START_TIMEOUT_S:g} s, found nothing"
    raise VenueUnavailable(msg)


def _ended(code: int, said: str) -> Fatal:
    """Pass on the last words of the other process, as the error that it ended with."""
    kind = next((kind for kind in Fatal.__subclasses__() if kind.exit_code == code), VenueUnavailable)
    words = said.strip().rpartition("\n")[2].removeprefix("trader: ")
    return kind(f"expected the simulated Kraken to start; it ended with code {code}: {words}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _say(text: str) -> None:
    sys.stderr.write(f"demo: {text}\n")
