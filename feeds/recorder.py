"""Live data kept for training: every trade, and the best bid and ask on a one-second grid.

Must not know sockets, bars or the engine. A tap of feeds.live; made by trader.assemble where the
configuration asks for it. Nothing is written on the trading loop. What comes in is spooled every
few seconds (that much a crash may lose) and merged into the lake's shards every hour and at the
next start; both are repeatable, so a restart neither loses nor doubles what was spooled.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import polars as pl
import structlog

from core.clock import SECOND, Clock
from core.errors import DataError
from core.market import Quote, Trade
from core.orders import Side
from feeds.shards import TOPS, TRADES, Merged, Shards, read_parquet, write_parquet

FLUSH_S = 5.0
"""Wall time between two spool files: what a crash loses at most, and the time of one write."""
MERGE_S = 3600.0
CAPACITY = 500_000
"""Rows that may wait for the disk; more are dropped and counted."""
_UNKNOWN = -1  # the feed does not tell market from limit orders
_SIDES = {Side.BUY: 1, Side.SELL: -1}

log = structlog.get_logger()


class Recorder:
    """Buffers what a feed tells; `run` writes it. `instruments` empty = all of them."""

    def __init__(
        self,
        root: Path,
        venue: str,
        clock: Clock,
        *,
        instruments: Collection[str] = (),
        flush_s: float = FLUSH_S,
        merge_s: float = MERGE_S,
        capacity: int = CAPACITY,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._spool = root / "spool" / venue
        self._shards = Shards(root)
        self._venue = venue
        self._clock = clock
        self._instruments = frozenset(instruments)
        self._flush_s = flush_s
        self._merge_s = merge_s
        self._capacity = capacity
        self._trades: list[tuple[Any, ...]] = []
        self._tops: list[tuple[Any, ...]] = []
        self._newest: dict[str, tuple[int, Quote]] = {}
        self._written = 0
        self._writing = Lock()  # a flush that was cancelled goes on in its thread beside the last one

    # ---- in (the feed's task) ----

    def on_trades(self, trades: tuple[Trade, ...]) -> None:
        """Take trades; the lake sorts what comes late."""
        for t in trades:
            if self._wanted(t.instrument, self._trades):
                price, quantity, side = float(t.price), float(t.quantity), _SIDES[t.side]
                self._trades.append((t.instrument, t.ts_event, t.trade_id, price, quantity, side, _UNKNOWN))

    def on_quote(self, quote: Quote) -> None:
        """Take the newest best bid and ask; the one before it is kept if it was so at a full second."""
        now = self._clock.now()
        before = self._newest.get(quote.instrument)
        self._newest[quote.instrument] = (now, quote)
        if before is not None and before[0] // SECOND < now // SECOND:
            self._keep_top(*before)

    def _keep_top(self, ts: int, quote: Quote) -> None:
        if self._wanted(quote.instrument, self._tops):
            figures = (quote.bid, quote.ask, quote.bid_quantity, quote.ask_quantity)
            grid = ts - ts % SECOND + SECOND  # the first full second at which it was so
            self._tops.append((quote.instrument, grid, *map(float, figures)))

    def _wanted(self, instrument: str, rows: list[tuple[Any, ...]]) -> bool:
        if self._instruments and instrument not in self._instruments:
            return False
        if len(rows) >= self._capacity:
            self.counters["dropped"] += 1
            return False
        return True

    # ---- out (a thread) ----

    async def run(self) -> None:
        """Write until cancelled, and once more then; a full disk costs rows, never the daemon."""
        try:
            await self._off_loop(self.merge)
            merged = self._clock.monotonic()
            while True:
                await asyncio.sleep(self._flush_s)
                await self._off_loop(self.flush)
                if self._clock.monotonic() - merged >= self._merge_s * SECOND:
                    merged = self._clock.monotonic()
                    await self._off_loop(self.merge)
        finally:
            self._attempt(self.flush)

    async def _off_loop(self, work: Callable[[], None]) -> None:
        await asyncio.to_thread(self._attempt, work)

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (OSError, DataError, pl.exceptions.PolarsError) as error:
            self.counters["failed"] += 1
            log.error("recorder_failed", step=work.__name__, reason=str(error))  # noqa: TRY400 - the reason says it

    def flush(self) -> None:
        """Spool what waits, whole files only; what cannot be written goes on waiting."""
        with self._writing:
            self._flush("trades", self._trades, TRADES)
            self._flush("tops", self._tops, TOPS)

    def _flush(self, kind: str, rows: list[tuple[Any, ...]], columns: Mapping[str, pl.DataType]) -> None:
        count = len(rows)  # the feed appends meanwhile
        if not count:
            return
        self._written += 1
        name = f"{kind}-{self._clock.now():020d}-{self._written:06d}.parquet"
        schema = {"instrument": pl.String(), **columns}
        write_parquet(self._spool / name, pl.DataFrame(rows[:count], schema=schema, orient="row"))
        del rows[:count]
        self.counters[kind] += count

    def merge(self) -> None:
        """Move what is spooled into the shards; a file goes only once its rows are there."""
        for kind, merge in (("trades", self._shards.merge_trades), ("tops", self._shards.merge_tops)):
            files = sorted(self._spool.glob(f"{kind}-*.parquet"))
            if not files:
                continue
            spooled = [read for file in files if (read := _readable(file)) is not None]
            for (instrument,), rows in pl.concat(spooled).group_by("instrument") if spooled else ():
                try:
                    self._count(kind, merge(self._venue, str(instrument), _ordered(rows)))
                except DataError as error:
                    self._set_aside(f"{kind}-{instrument}".replace("/", "-"), rows, str(error))
            for file in files:
                file.unlink(missing_ok=True)

    def _set_aside(self, name: str, rows: pl.DataFrame, reason: str) -> None:
        """Keep what the lake does not take: tried again for ever it would fill disk and memory."""
        path = self._spool / "refused" / f"{name}-{self._clock.now():020d}.parquet"
        write_parquet(path, rows)
        self.counters["refused"] += 1
        log.error("recorder_refused", rows=len(rows), kept=str(path), reason=reason)

    def _count(self, kind: str, merged: Merged) -> None:
        self.counters[f"merged {kind}"] += merged.added


def _ordered(rows: pl.DataFrame) -> pl.DataFrame:
    """Give one instrument's rows in time order, so that the lake sees one source and no seam."""
    keys = ["ts", "trade_id"] if "trade_id" in rows.columns else ["ts"]
    return rows.drop("instrument").sort(keys, maintain_order=True)


def _readable(file: Path) -> pl.DataFrame | None:
    """Give a spool file; one that is no Parquet is left beside, under a name that says so."""
    try:
        return read_parquet(file)
    except DataError as error:
        log.error("spool_damaged", reason=str(error))  # noqa: TRY400 - the reason says it
        file.rename(file.with_suffix(".damaged"))
        return None
