"""Commands that run something until it is told to stop: demo, run and loopback.

Must not know how any of them works. Called by trader.cli.
"""

import asyncio
import os
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer

from core.clock import LiveClock
from core.text import iso
from trader.commands.options import ConfigFiles, Settings, load_config, talk

T = TypeVar("T")


def run(
    config: ConfigFiles = None,
    settings: Settings = None,
    live: Annotated[bool, typer.Option("--live", help="Real money: also needs mode = 'live'.")] = False,
    paper: Annotated[bool, typer.Option("--paper", help="Paper, whatever the file says.")] = False,
) -> int:
    """Trade until stopped (SIGTERM or Ctrl-C); paper unless two switches say otherwise."""
    from trader.config import require_permission

    more = {"mode": "paper"} if paper else {}
    resolved = load_config(config, settings, more)
    require_permission(resolved, live_flag=live and not paper)
    from trader.live import run_daemon
    from trader.telemetry import set_up_logging

    set_up_logging(
        resolved.make_clock(),
        secrets=resolved.secrets(os.environ),
        journald="JOURNAL_STREAM" in os.environ,
        mode=resolved.mode,
    )
    talk(f"trader: {resolved.mode} at {resolved.venue.name}, configuration {resolved.hash[:12]}")
    daemon = run_daemon(
        resolved,
        os.environ,
        on_url=lambda url: talk(f"trader: {url}"),
        reload=lambda: load_config(config, settings, more),
    )
    return _run(daemon)


def loopback(config: ConfigFiles = None, settings: Settings = None) -> int:
    """Serve the simulated Kraken of a configuration on 127.0.0.1 until stopped."""
    from trader.simulation import loopback_settings
    from venue.loopback import serve

    resolved = load_config(config, settings)
    if resolved.clock.scaled and not resolved.clock.wall_epoch:
        now = iso(LiveClock().now())
        resolved = load_config(config, settings, {"clock.wall_epoch": now})
        talk(f"loopback: give the daemon TRADER_CLOCK__WALL_EPOCH={now}")
    _run(
        serve(
            loopback_settings(resolved, os.environ),
            ready=lambda ports: talk(f"loopback: ready at {ports.rest}"),
        )
    )
    return 0


def _run(work: Coroutine[Any, Any, T]) -> T:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
