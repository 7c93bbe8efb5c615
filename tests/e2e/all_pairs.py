"""All pairs at once: a synthetic venue in one process, the live feed in another, real sockets.

    python -m tests.e2e.all_pairs --instruments 1000 --trades-per-s 5000 --minutes 10 --json

Says how many trades came, how many did not, whether every minute bar equals the venue's own, what
both processes took from the machine, and how late trades reached the bar builder. Ends with 1 if
a trade was dropped, a bar is missing or one differs.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from core.clock import MINUTE, ScaledClock
from feeds.bars import BarBuilder
from feeds.live import FeedLimits, LiveFeed
from tests.e2e.all_pairs_daemon import play_daemon
from tests.e2e.all_pairs_world import (
    BOOKED,
    Observer,
    Place,
    Plan,
    Played,
    compare,
    last_moment,
    machine,
    names,
    seconds,
    used,
    venue,
)
from venue.client import PublicRest


async def play(plan: Plan, place: Place) -> Played:
    """Let a feed alone listen to the venue for the planned time."""
    clock = ScaledClock(market_epoch=place.market_epoch, wall_epoch=place.wall_epoch, speed=plan.speed)
    observer, builder, symbols = Observer(clock), BarBuilder(), names(plan)
    limits = FeedLimits(booked=BOOKED)
    async with PublicRest(place.rest) as rest:
        url = f"ws://127.0.0.1:{place.port}/v2"
        feed = LiveFeed(url, symbols, clock, builder, observer, limits=limits, rest=rest)
        began, first_s, all_s, end = time.monotonic(), None, None, clock.now() + 1_000 * MINUTE
        task = asyncio.create_task(feed.run())
        while clock.now() < end and not task.done():
            await asyncio.sleep(0.02)
            if first_s is None and builder.watched:
                first_s = seconds(began)
            if all_s is None and len(builder.watched) == len(symbols):
                all_s, end = seconds(began), last_moment(plan, clock)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return Played(observer, first_s, all_s, seconds(began), builder.late)


Player = Callable[[Plan, Place], Awaitable[Played]]


async def run(plan: Plan, place: Place, player: Player = play) -> tuple[dict[str, Any], Observer]:
    """Play and compare; gives the report and what it was made from."""
    before = used(place.pid)
    played = await player(plan, place)
    own, theirs = used("self"), used(place.pid)
    observer, wall_s = played.observer, played.wall_s
    comparison = await compare(place, observer.minutes, plan)
    report = {
        "instruments": plan.instruments,
        "trades_per_s": plan.trades_per_s,
        "minutes": plan.minutes,
        "speed": plan.speed,
        "composition": (getattr(player, "func", player).__doc__ or "").partition("\n")[0],
        "trades_received": observer.received,
        "trades_dropped": observer.dropped,
        "trades_late": played.late,
        "quotes": observer.quotes,
        "link_losses": observer.losses,
        "verdicts": dict(observer.verdicts),
        "bars_compared": comparison.compared,
        "bars_quiet": comparison.quiet,
        "bars_from_history": len(observer.minutes) - len(observer.bars),
        "bars_missing": len(comparison.missing),
        "first_missing": comparison.missing[:5],
        "bar_mismatches": len(comparison.mismatches),
        "unexplained_mismatches": sum(name not in observer.late for name, _ in comparison.mismatches),
        "first_mismatches": comparison.mismatches[:5],
        "trades_in_compared_bars": comparison.trades,
        "lag_ms": {
            name: observer.lag(share)
            for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0))
        },
        "first_ready_s": played.first_ready_s,
        "all_ready_s": played.all_ready_s,
        "wall_s": wall_s,
        "feed_cpu_s": round(own.cpu_s, 1),
        "feed_cpu_share": round(own.cpu_s / wall_s, 3),
        "feed_peak_rss_mb": round(own.peak_rss_mb),
        "venue_cpu_s": round(theirs.cpu_s - before.cpu_s, 1),
        "venue_cpu_share": round((theirs.cpu_s - before.cpu_s) / wall_s, 3),
        "venue_peak_rss_mb": round(theirs.peak_rss_mb),
        **played.more,
        "machine": machine(),
    }
    return report, observer


def kept(report: dict[str, Any]) -> bool:
    """Tell whether nothing was lost and nothing differs."""
    faults = ("trades_dropped", "trades_late", "bars_missing", "bar_mismatches", "link_losses")
    return report["bars_compared"] > 0 and not any(report[name] for name in faults)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--instruments", type=int, default=1000)
    parser.add_argument("--trades-per-s", type=float, default=5000)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--daemon", action="store_true", help="the whole daemon instead of its feed alone")
    parser.add_argument("--unpaced", action="store_true", help="with --daemon: fetch history at full speed")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    plan = Plan(asked.instruments, asked.trades_per_s, asked.minutes, asked.speed)
    with (
        tempfile.TemporaryDirectory() as folder,
        venue(plan, Path(folder)) as place,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        player = partial(play_daemon, Path(folder), paced=not asked.unpaced) if asked.daemon else play
        report, _ = runner.run(run(plan, place, player))
    lines = [json.dumps(report, indent=1)] if asked.json else [f"{k:<24} {v}" for k, v in report.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if kept(report) else 1


if __name__ == "__main__":
    sys.exit(main())
