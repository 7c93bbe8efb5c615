"""A whole synthetic venue in a process of its own, and how bars are held against its own.

Must not know how the feed works. Called by the command tests.e2e.all_pairs and its suite test.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from benchmarks.venue import names as listed
from core.clock import MINUTE, SECOND, Clock, LiveClock
from core.events import InstrumentQuality
from core.market import Bar, Quote, Timeframe, Trade
from core.text import iso
from feeds.quality import Verdict
from tests.e2e.world import ROOT, connects, free_port, until
from venue.synthetic_listing import synthetic

SEED = 1
TICKS = os.sysconf("SC_CLK_TCK")

BOOKED = 50
"""So many pairs, the busiest, have a verified book; the others are quoted by the ticker."""


class Plan(NamedTuple):
    """What is played: `speed` is market time for each second of the wall."""

    instruments: int
    trades_per_s: float
    minutes: float
    speed: float = 1.0


class Place(NamedTuple):
    """Where a running venue is, and the clock that the other process has to share."""

    port: int
    market_epoch: int
    wall_epoch: int
    pid: int

    @property
    def rest(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def venue(plan: Plan, home: Path) -> Iterator[Place]:
    """Run `trader loopback --synthetic` until the end of the block."""
    port, now = free_port(), LiveClock().now()
    settings = {
        "clock.speed": plan.speed,
        "clock.market_epoch": iso(now - now % SECOND),
        "clock.wall_epoch": iso(now - now % SECOND),
        "exchange.seed": SEED,
        "venue.rest": f"http://127.0.0.1:{port}",
        "journal.directory": str(home / "venue"),
    }
    words = [sys.executable, "-m", "trader.cli", "loopback", "--config", str(ROOT / "configs" / "paper.toml")]
    words += ["--synthetic", str(plan.instruments), "--trades-per-s", str(plan.trades_per_s)]
    words += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    with (home / "venue.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, cwd=ROOT)
    try:
        until(lambda: connects(port), "the synthetic venue to listen", process=process)
        yield Place(port, now - now % SECOND, now - now % SECOND, process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


def names(plan: Plan) -> tuple[str, ...]:
    """Give the symbols of the venue, busiest first."""
    return listed(plan.instruments, SEED)


class Used(NamedTuple):
    """What a process took from the machine so far."""

    cpu_s: float
    peak_rss_mb: float


def used(pid: int) -> Used:
    """Read the kernel's account of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return Used((int(fields[11]) + int(fields[12])) / TICKS, int(peak.split()[1]) / 1024)


class Observer:
    """What a feed tells its sink: every trade id, how late each trade was, every minute bar."""

    LATEST_MS = 60_000

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun = clock.now()
        self.ids: dict[str, list[int]] = {}  # first id, last id, how many
        self.lags_ms: Counter[int] = Counter()
        self.bars: dict[tuple[str, int], Bar] = {}
        self.quotes = self.losses = 0
        self.verdicts: Counter[str] = Counter()
        self.late: set[str] = set()
        self._history: dict[tuple[str, int], Bar] = {}

    def on_history(self, bars: Sequence[Bar]) -> None:
        """Take minutes that history may have closed before the feed did: those are not told again."""
        for bar in bars[-4:]:
            if bar.timeframe is Timeframe.M1 and bar.ts_open >= self._begun:
                self._history[bar.instrument, bar.ts_open] = bar

    @property
    def minutes(self) -> dict[tuple[str, int], Bar]:
        """Give every minute that was told, and those that only history told."""
        return self._history | self.bars

    def on_quote(self, quote: Quote) -> None:
        self.quotes += 1

    def on_link(self, stream: object, up: bool, system: str, reason: str) -> None:
        self.losses += not up

    def on_instruments(self, instruments: object) -> None:
        pass

    def on_hole(self, instruments: tuple[str, ...]) -> None:
        pass  # every instrument has one, before its first trade

    def on_quality(self, changes: tuple[InstrumentQuality, ...]) -> None:
        self.verdicts.update(verdict for change in changes for verdict in change.verdicts)
        self.late.update(change.instrument for change in changes if Verdict.LATE in change.verdicts)

    def on_trade(self, trade: Trade) -> None:
        seen = self.ids.get(trade.instrument)
        if seen is None:
            self.ids[trade.instrument] = [trade.trade_id, trade.trade_id, 1]
        else:
            seen[1] = max(seen[1], trade.trade_id)
            seen[2] += 1
        self.lags_ms[min(self.LATEST_MS, (self._clock.now() - trade.ts_event) // 1_000_000)] += 1

    def on_bars(self, ts_close: int, bars: tuple[Bar, ...]) -> None:
        for bar in bars:
            if bar.timeframe is Timeframe.M1:
                assert (bar.instrument, bar.ts_open) not in self.bars, "a minute closed twice"
                self.bars[bar.instrument, bar.ts_open] = bar

    @property
    def received(self) -> int:
        return sum(seen[2] for seen in self.ids.values())

    @property
    def dropped(self) -> int:
        """Ids between the first and the last of an instrument that never came."""
        return sum(last - first + 1 - count for first, last, count in self.ids.values())

    def lag(self, share: float) -> int:
        """Give a quantile of how late trades were, in ms of market time."""
        rank, total = 0, sum(self.lags_ms.values())
        for lag in sorted(self.lags_ms):
            rank += self.lags_ms[lag]
            if rank >= share * total:
                return lag
        return 0


class Played(NamedTuple):
    """What came of a run, before it is compared."""

    observer: Observer
    first_ready_s: float | None
    all_ready_s: float | None
    wall_s: float
    late: int
    more: Mapping[str, object] = {}


class Comparison(NamedTuple):
    """Minute bars held against the venue's own; `missing` were expected and never came."""

    compared: int
    quiet: int
    trades: int
    missing: tuple[str, ...]
    mismatches: tuple[tuple[str, str], ...]
    """Instrument, and what was found instead of what."""


async def compare(place: Place, bars: Mapping[tuple[str, int], Bar], plan: Plan) -> Comparison:
    """Ask REST for every instrument's minutes and compare each number to the last digit."""
    opens = sorted({ts_open for _, ts_open in bars})
    compared = quiet = trades = 0
    missing: list[str] = []
    wrong: list[tuple[str, str]] = []
    traded: set[str] = set()
    async with aiohttp.ClientSession() as http:
        for listing in synthetic(plan.instruments, SEED):
            symbol, decimals = listing.instrument.symbol, listing.instrument.price_precision
            served = await _minutes(http, place, symbol)
            for ts_open in opens:
                bar, row = bars.get((symbol, ts_open)), served.get(ts_open)
                if row is None:
                    continue
                if bar is None:
                    if row[7] or symbol in traded:  # else quiet from the start: no price is known
                        missing.append(f"{symbol} {iso(ts_open)}")
                    continue
                traded.add(symbol)
                found = _numbers(bar, decimals)
                expected = (*map(float, row[1:7]), row[7])
                if not row[7]:  # a quiet minute has no volume and so no price of its own
                    quiet += 1
                    found, expected = found[:4] + found[5:], expected[:4] + expected[5:]
                if found != expected:
                    wrong.append((symbol, f"{iso(ts_open)}: expected {expected}, found {found}"))
                compared += 1
                trades += row[7]
    return Comparison(compared, quiet, trades, tuple(missing), tuple(wrong))


def _numbers(bar: Bar, decimals: int) -> tuple[float, ...]:
    vwap = float(round(Decimal(bar.vwap), decimals))  # the venue serves it with the price's decimals
    return bar.open, bar.high, bar.low, bar.close, vwap, bar.volume, bar.trades


async def _minutes(http: aiohttp.ClientSession, place: Place, symbol: str) -> dict[int, list[Any]]:
    async with http.get(f"{place.rest}/0/public/OHLC", params={"pair": symbol, "interval": "1"}) as answer:
        body = await answer.json()
    assert not body["error"], body
    (rows,) = (value for key, value in body["result"].items() if key != "last")
    return {row[0] * SECOND: row for row in rows[:-1]}


def machine() -> str:
    """Say what else was going on: the load of the machine is part of every figure."""
    one, five, _ = os.getloadavg()
    return f"{os.cpu_count()} cores, load {one:.1f} over one minute and {five:.1f} over five"


def seconds(since: float) -> float:
    return round(time.monotonic() - since, 2)


def last_moment(plan: Plan, clock: Clock) -> int:
    """Give when the planned number of whole minutes is over and told, from now on."""
    now = clock.now()
    told = int(3 * SECOND / clock.wall_seconds(SECOND))  # of the wall: a lagging connection is waited for
    return now - now % MINUTE + int((plan.minutes + 1) * MINUTE) + told
