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
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop

from core.clock import MINUTE, Clock, ScaledClock
from core.events import InstrumentQuality
from core.market import Bar, Quote, Trade
from feeds.bars import BarBuilder
from feeds.live import FeedLimits, LiveFeed
from feeds.quality import Verdict
from tests.e2e.all_pairs_world import (
    Observer,
    Place,
    Plan,
    compare,
    last_moment,
    machine,
    names,
    seconds,
    used,
    venue,
)
from venue.client import PublicRest

BOOKED = 50
"""So many pairs, the busiest, have a verified book; the others are quoted by the ticker."""


class Sink:
    """A feed's sink that keeps what the comparison needs and counts the rest."""

    def __init__(self, clock: Clock) -> None:
        self.observer = Observer(clock)
        self.quotes = self.losses = 0
        self.verdicts: Counter[str] = Counter()
        self.late: set[str] = set()

    def on_trade(self, trade: Trade) -> None:
        self.observer.on_trade(trade)

    def on_quote(self, quote: Quote) -> None:
        self.quotes += 1

    def on_bars(self, ts_close: int, bars: tuple[Bar, ...]) -> None:
        self.observer.on_bars(bars)

    def on_link(self, stream: object, up: bool, system: str, reason: str) -> None:
        self.losses += not up

    def on_instruments(self, instruments: object) -> None:
        pass

    def on_hole(self, instruments: tuple[str, ...]) -> None:
        pass  # every instrument has one, before its first trade

    def on_quality(self, changes: tuple[InstrumentQuality, ...]) -> None:
        self.verdicts.update(verdict for change in changes for verdict in change.verdicts)
        self.late.update(change.instrument for change in changes if Verdict.LATE in change.verdicts)


async def play(plan: Plan, place: Place) -> dict[str, Any]:
    """Feed on the venue for the planned time; gives the figures of this process."""
    clock = ScaledClock(market_epoch=place.market_epoch, wall_epoch=place.wall_epoch, speed=plan.speed)
    sink, builder, symbols = Sink(clock), BarBuilder(), names(plan)
    limits = FeedLimits(booked=BOOKED)
    async with PublicRest(place.rest) as rest:
        url = f"ws://127.0.0.1:{place.port}/v2"
        feed = LiveFeed(url, symbols, clock, builder, sink, limits=limits, rest=rest)
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
    return {
        "first_ready_s": first_s,
        "all_ready_s": all_s,
        "wall_s": seconds(began),
        "late": builder.late,
        "sink": sink,
    }


async def run(plan: Plan, place: Place) -> tuple[dict[str, Any], Observer]:
    """Play and compare; gives the report and what it was made from."""
    before = used(place.pid)
    found = await play(plan, place)
    own, theirs = used("self"), used(place.pid)
    sink: Sink = found.pop("sink")
    observer = sink.observer
    comparison = await compare(place, observer.bars, plan)
    wall_s = found["wall_s"]
    report = {
        "instruments": plan.instruments,
        "trades_per_s": plan.trades_per_s,
        "minutes": plan.minutes,
        "speed": plan.speed,
        "composition": "feeds.live.LiveFeed, feeds.bars.BarBuilder and a sink",
        "trades_received": observer.received,
        "trades_dropped": observer.dropped,
        "trades_late": found["late"],
        "quotes": sink.quotes,
        "link_losses": sink.losses,
        "verdicts": dict(sink.verdicts),
        "bars_compared": comparison.compared,
        "bars_quiet": comparison.quiet,
        "bars_missing": comparison.missing,
        "bar_mismatches": len(comparison.mismatches),
        "unexplained_mismatches": sum(name not in sink.late for name, _ in comparison.mismatches),
        "first_mismatches": comparison.mismatches[:5],
        "trades_in_compared_bars": comparison.trades,
        "lag_ms": {
            name: observer.lag(share)
            for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0))
        },
        "first_ready_s": found["first_ready_s"],
        "all_ready_s": found["all_ready_s"],
        "wall_s": wall_s,
        "feed_cpu_s": round(own.cpu_s, 1),
        "feed_cpu_share": round(own.cpu_s / wall_s, 3),
        "feed_peak_rss_mb": round(own.peak_rss_mb),
        "venue_cpu_s": round(theirs.cpu_s - before.cpu_s, 1),
        "venue_cpu_share": round((theirs.cpu_s - before.cpu_s) / wall_s, 3),
        "venue_peak_rss_mb": round(theirs.peak_rss_mb),
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
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    plan = Plan(asked.instruments, asked.trades_per_s, asked.minutes, asked.speed)
    with (
        tempfile.TemporaryDirectory() as folder,
        venue(plan, Path(folder)) as place,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        report, _ = runner.run(run(plan, place))
    lines = [json.dumps(report, indent=1)] if asked.json else [f"{k:<24} {v}" for k, v in report.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if kept(report) else 1


if __name__ == "__main__":
    sys.exit(main())
