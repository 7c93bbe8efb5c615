"""Commands that run something until it is told to stop: demo, run and loopback.

Must not know how any of them works. Called by trader.cli.
"""

import asyncio
import os
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Annotated, Any

import typer

from core.clock import LiveClock
from core.text import iso
from trader.commands.options import ConfigFiles, Settings, load_config, talk


def run(
    config: ConfigFiles = None,
    settings: Settings = None,
    live: Annotated[bool, typer.Option("--live", help="Real money: also needs mode = 'live'.")] = False,
    paper: Annotated[bool, typer.Option("--paper", help="Paper, whatever the file says.")] = False,
) -> int:
    """Trade until stopped by SIGTERM or Ctrl-C. Paper, unless two switches say otherwise."""
    from trader.config import require_permission

    more = {"mode": "paper"} if paper else {}
    resolved = load_config(config, settings, more, demo=False)
    require_permission(resolved, live_flag=live and not paper)
    from trader.live import run_daemon
    from trader.loop import run as run_loop
    from trader.telemetry import set_up_logging

    set_up_logging(
        resolved.make_clock(),
        secrets=resolved.secrets(os.environ),
        journald="JOURNAL_STREAM" in os.environ,
        mode=resolved.mode,
    )
    daemon = run_daemon(
        resolved,
        os.environ,
        on_ready=lambda _: talk(
            f"trader: {resolved.mode} at {resolved.venue.name}, configuration {resolved.hash[:12]}"
        ),
        on_url=_say_address,
        reload=lambda: load_config(config, settings, more, demo=False),
    )
    return run_loop(daemon)


def _say_address(url: str) -> None:
    """Show the login link to a person; a log gets the address only, for the link is a secret."""
    if sys.stderr.isatty():
        talk(f"trader: open {url}")
    else:
        talk(f"trader: page at {url.partition('#')[0]} (`trader open` prints a login link)")


def loopback(
    config: ConfigFiles = None,
    settings: Settings = None,
    attached: Annotated[bool, typer.Option("--attached", help="End when standard input ends.")] = False,
    synthetic: Annotated[
        int | None, typer.Option("--synthetic", min=1, max=5000, help="List so many made-up pairs.")
    ] = None,
    trades_per_s: Annotated[
        float | None, typer.Option("--trades-per-s", help="Trades on all made-up pairs together.")
    ] = None,
) -> int:
    """Serve the simulated Kraken until stopped. It listens on 127.0.0.1 only."""
    from trader.loop import run as run_loop
    from trader.simulation import loopback_settings
    from venue.loopback import serve

    asked = {"exchange.synthetic": synthetic, "exchange.trades_per_s": trades_per_s}
    more: dict[str, object] = {key: value for key, value in asked.items() if value is not None}
    resolved = load_config(config, settings, more, demo=False)
    if resolved.clock.scaled and not resolved.clock.wall_epoch:
        now = iso(LiveClock().now())
        resolved = load_config(config, settings, {**more, "clock.wall_epoch": now}, demo=False)
        talk(f"loopback: give the daemon TRADER_CLOCK__WALL_EPOCH={now}")
    work = serve(
        loopback_settings(resolved, os.environ),
        ready=lambda ports: talk(f"loopback: ready at {ports.rest}"),
    )
    run_loop(_attached(work) if attached else work)
    return 0


async def _attached(work: Coroutine[Any, Any, None]) -> None:
    """End with the process at the other end of standard input, however that one ends."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_reader(sys.stdin, task.cancel)
    with suppress(asyncio.CancelledError):
        await work
