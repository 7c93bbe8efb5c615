"""Kraken's newest bars of a pair and timeframe from the public OHLC endpoint.

Must not know files but the lake's. Called by `trader data fetch kraken-ohlc`.
https://docs.kraken.com/api/docs/rest-api/get-ohlc-data: at most the 720 newest rows whatever
`since`; the last one is the running bar and is dropped; quiet rows have count 0 and are no bars.
"""

from collections.abc import AsyncGenerator

import polars as pl

from core.errors import VenueError
from core.market import Bar
from feeds.history import Gap, Mark, Page
from feeds.history_bars import MS, Span, frame
from feeds.history_http import Get
from feeds.history_pace import Polite
from feeds.kraken_answer import result
from feeds.kraken_trades import VENUE
from feeds.lake import Series
from feeds.shards import Merged, Shards
from venue import rest
from venue.client import KRAKEN_REST


class KrakenBars:
    """Bars of one instrument and timeframe over [since, until) ns, as far back as they are served."""

    def __init__(
        self,
        series: Series,
        altname: str,
        *,
        since: int,
        until: int,
        get: Get,
        polite: Polite,
        shards: Shards,
        url: str = KRAKEN_REST,
    ) -> None:
        self.series = series
        self.span = Span.of(series.timeframe, since, until)
        self.since, self.until = self.span
        self.name = f"ohlcv/{VENUE}/{series.instrument.replace('/', '-')}/{series.timeframe.value}"
        self._altname = altname
        self._get = get
        self._polite = polite
        self._shards = shards
        self._host = url.rstrip("/")
        self._url = f"{self._host}/0/public/OHLC"

    async def pages(self, mark: Mark | None) -> AsyncGenerator[Page, None]:
        asked_from = mark.reached if mark else self.since
        what = f"{self.series.timeframe.value} bars of {self.series.instrument}"
        bars = await self._polite.ask(self._host, what, self._bars)
        rows = [
            (bar.ts_open // MS, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trades, bar.vwap)
            for bar in bars
            if bar.trades
        ]
        oldest = bars[0].ts_open if bars else self.until
        lacking = oldest > asked_from
        # What lies before the oldest row is not in the lake, so a mark may not claim it.
        since = min(oldest, self.until) if lacking else (mark or self).since
        reached = max(since, min(self.until, bars[-1].ts_close if bars else since))
        gaps = (Gap(after_ts=asked_from, before_ts=since),) if lacking else ()
        table = frame(rows, self.series.timeframe, Span(asked_from, self.until), what)
        yield Page(table, Mark(since=since, reached=reached, position=""), gaps)

    def store(self, rows: pl.DataFrame) -> Merged:
        return self._shards.merge_bars(self.series, rows)

    async def _bars(self) -> list[Bar]:
        params = {"pair": self._altname, "interval": str(self.series.timeframe.minutes)}
        page = result(self._url, await self._get(self._url, params), dict[str, list[rest.OhlcRow] | int])
        rows = next((value for value in page.values() if isinstance(value, list)), None)
        if rows is None:
            raise VenueError(f"GET {self._url}: expected bars of {self._altname}, found only {sorted(page)}")
        return rest.bars(self.series.instrument, self.series.timeframe, rows)
