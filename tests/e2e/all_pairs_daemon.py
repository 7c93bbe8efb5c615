"""The whole daemon, in paper mode, on all pairs of a synthetic venue: what its feed told it is kept.

Must not know how the figures are judged. Called by the command tests.e2e.all_pairs.
"""

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.venue import desk_toml
from core.clock import Clock
from core.market import Bar, Quote, Trade
from core.text import iso
from feeds.pace import Pace
from tests.e2e.all_pairs_world import BOOKED, SEED, Observer, Place, Plan, Played, last_moment, names, seconds
from tests.e2e.world import free_port
from trader.assemble import Parts
from trader.config import Config, load
from trader.journal import Journal
from trader.live import SWITCH_S, Daemon
from trader.telemetry import set_up_logging

FULL_SPEED = 1e6


class Observed(Daemon):
    """A daemon that shows an observer what its feed says, and is otherwise itself."""

    observer: Observer

    def on_trade(self, trade: Trade) -> None:
        self.observer.on_trade(trade)
        super().on_trade(trade)

    def on_quote(self, quote: Quote) -> None:
        self.observer.on_quote(quote)
        super().on_quote(quote)

    def on_bars(self, ts_close: int, bars: tuple[Bar, ...]) -> None:
        self.observer.on_bars(ts_close, bars)
        super().on_bars(ts_close, bars)

    def on_link(self, stream, up, system, reason) -> None:
        self.observer.on_link(stream, up, system, reason)
        super().on_link(stream, up, system, reason)

    def on_history(self, instrument, bars) -> None:
        self.observer.on_history(bars)
        super().on_history(instrument, bars)

    def on_quality(self, changes) -> None:
        self.observer.on_quality(changes)
        super().on_quality(changes)


def configuration(plan: Plan, place: Place, home: Path) -> Config:
    """Write down a paper desk of one trader on all dollar pairs, in a universe of all pairs."""
    file = home / "all-pairs.toml"
    tables = {
        "venue": {
            "name": "loopback",
            "ws_public": f"ws://127.0.0.1:{place.port}/v2",
            "ws_private": f"ws://127.0.0.1:{place.port}/v2-auth",
            "rest": place.rest,
        },
        "clock": {
            "speed": plan.speed,
            "market_epoch": iso(place.market_epoch),
            "wall_epoch": iso(place.wall_epoch),
        },
        "feed": {"books": BOOKED},
        "exchange": {"seed": SEED},
        "journal": {"directory": str(home / "state")},
        "dashboard": {"port": free_port()},
    }
    file.write_text(desk_toml(names(plan), tables), "utf-8")
    return load([file], {}, {})


async def play_daemon(home: Path, plan: Plan, place: Place, *, paced: bool = True) -> Played:
    """The whole daemon in paper mode: feed, bars, features, model, risk, journal and page."""
    config = configuration(plan, place, home)
    clock = config.make_clock()
    began, started = time.monotonic(), clock.monotonic()
    sys.setswitchinterval(SWITCH_S)
    set_up_logging(clock, secrets=(), path=home / "daemon.log")
    async with AsyncExitStack() as stack:
        parts = await Parts.gather(config, {}, clock, stack)
        if not paced:
            parts.pace = Pace(clock, burst=FULL_SPEED, rate=FULL_SPEED)
        journal = await Journal.open(parts.paths.journal, after=parts.resume, clock=clock)
        stack.push_async_callback(journal.close)
        daemon = Observed(parts, journal, started=started)
        daemon.observer = Observer(clock)
        await stack.enter_async_context(parts.dashboard(daemon, daemon))
        watch = Watch(daemon, plan, clock, began)
        await daemon.run(on_ready=watch.begin)
        await watch.task
    return Played(
        daemon.observer,
        watch.first_s,
        watch.all_s,
        seconds(began),
        parts.builder.late,
        {
            "daemon_ready_s": watch.up_s,
            "followed_s": watch.followed_s,
            "warm_at_end": len(parts.symbols) - len(daemon.history.cold),
            "journal_steps": journal.seq,
            **{
                name: daemon.report()[name]
                for name in ("decisions", "decision_p99_ms")
                if name in daemon.report()
            },
        },
    )


class Watch:
    """Looks at a running daemon now and then, and stops it when the plan is fulfilled."""

    task: asyncio.Task[None]

    def __init__(self, daemon: Observed, plan: Plan, clock: Clock, began: float) -> None:
        self._daemon, self._plan, self._clock, self._began = daemon, plan, clock, began
        self.up_s = self.followed_s = self.first_s = self.all_s = None

    def begin(self, daemon: Daemon) -> None:
        self.up_s = seconds(self._began)
        self.task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        parts, history = self._daemon.parts, self._daemon.history
        end = None
        while end is None or self._clock.now() < end:
            await asyncio.sleep(0.05)
            if end is None and len(parts.builder.watched) == len(parts.symbols):
                self.followed_s, end = seconds(self._began), last_moment(self._plan, self._clock)
            if self.first_s is None and history.warm:
                self.first_s = seconds(self._began)
            if self.all_s is None and not history.cold:
                self.all_s = seconds(self._began)
        self._daemon.stop()
