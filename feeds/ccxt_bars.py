"""Bars of any exchange that ccxt knows, in batches through `fetch_ohlcv`.

Must not know one exchange from another. Called by `trader data fetch ccxt:EXCHANGE`. ccxt is
imported when the first exchange is opened: it costs seconds and some 90 MB.
Method: https://docs.ccxt.com/#/?id=ohlcv-candlestick-charts
"""

import asyncio
import importlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import polars as pl

from core.errors import LinkLost, UsageError, VenueError
from feeds.history import Gap, Mark, Page
from feeds.history_bars import MS, Span, frame
from feeds.history_pace import AskLater, Polite
from feeds.lake import Series
from feeds.shards import Merged, Shards

BATCH = 500
"""Bars a request where ccxt does not know the exchange's limit."""
TIMEOUT_S = 30.0
_BUSY_S = 5.0


class Exchange(Protocol):
    """What is used of a ccxt exchange."""

    id: str
    markets: Mapping[str, Any] | None
    timeframes: Mapping[str, str] | None
    features: Mapping[str, Any]

    async def load_markets(self) -> Any: ...

    async def fetch_ohlcv(
        self, symbol: str, timeframe: str, since: int, limit: int
    ) -> Sequence[Sequence[float]]: ...

    async def close(self) -> None: ...


async def opened(name: str, url: str = "") -> Exchange:
    """Give an exchange by ccxt's name; `url` sends its requests to another host, same paths."""
    # Importing ccxt takes seconds; a thread keeps the loop alive meanwhile.
    ccxt = await asyncio.to_thread(importlib.import_module, "ccxt.async_support")
    if name not in ccxt.exchanges:
        raise UsageError(f"expected an exchange that ccxt knows, found {name!r}")
    exchange = getattr(ccxt, name)({"enableRateLimit": True, "timeout": int(TIMEOUT_S * 1000)})
    exchange.options["fetchMarkets"] = _spot_only(exchange.options.get("fetchMarkets"))
    if url:
        exchange.urls["api"] = _moved(exchange.urls["api"], url)
    return exchange


async def listed(exchange: Exchange, polite: Polite) -> list[str]:
    """Give the spot symbols of an exchange, sorted."""
    await polite.ask(exchange.id, f"markets of {exchange.id}", lambda: _asked(exchange.load_markets()))
    markets = exchange.markets or {}
    return sorted(name for name, market in markets.items() if market.get("spot") and "/" in name)


class CcxtBars:
    """Bars of one instrument and timeframe over [since, until) ns."""

    def __init__(
        self,
        exchange: Exchange,
        series: Series,
        *,
        since: int,
        until: int,
        polite: Polite,
        shards: Shards,
    ) -> None:
        if series.timeframe.value not in (exchange.timeframes or {}):
            known = ", ".join(exchange.timeframes or ())
            raise UsageError(f"{exchange.id}: expected one of {known}; found {series.timeframe.value}")
        self.series = series
        self.span = Span.of(series.timeframe, since, until)
        self.since, self.until = self.span
        self.name = f"ohlcv/{series.venue}/{series.instrument.replace('/', '-')}/{series.timeframe.value}"
        self._exchange = exchange
        self._polite = polite
        self._shards = shards
        self._batch = _limit(exchange)

    async def pages(self, mark: Mark | None) -> AsyncGenerator[Page, None]:
        since = (mark or self).since
        at, begun = mark.reached if mark else self.since, False
        what = f"{self.series.timeframe.value} bars of {self.series.instrument} at {self._exchange.id}"
        while at < self.until:
            rows = await self._polite.ask(self._exchange.id, what, partial(self._rows, at))
            table = frame(rows, self.series.timeframe, Span(at, self.until), what)
            asked, at = at, self._after(at, rows)
            # Before the listing there is nothing; behind the first bar a whole empty batch is a hole.
            gaps = (Gap(after_ts=asked, before_ts=at),) if begun and not rows else ()
            begun = begun or bool(rows)
            yield Page(table, Mark(since=since, reached=at, position=str(at // MS)), gaps)

    def store(self, rows: pl.DataFrame) -> Merged:
        return self._shards.merge_bars(self.series, rows)

    async def _rows(self, at: int) -> Sequence[Sequence[float]]:
        call = self._exchange.fetch_ohlcv(
            self.series.instrument, self.series.timeframe.value, at // MS, self._batch
        )
        rows = await _asked(call)
        if not all(row and isinstance(row[0], int | float) for row in rows):
            raise VenueError(f"{self.name}: expected a time in each row, found {str(rows)[:80]}")
        # Some exchanges answer with their newest bars when asked for a time before their oldest.
        return [row for row in rows if row[0] >= at // MS]

    def _after(self, asked: int, rows: Sequence[Sequence[float]]) -> int:
        """Give where to go on: behind the newest row, or a whole window on where there was none."""
        step = self.series.timeframe.ns
        if rows and int(rows[0][0]) * MS < asked + self._batch * step:
            return min(self.until, int(rows[-1][0]) * MS + step)
        return min(self.until, asked + self._batch * step)


async def _asked(call: Any) -> Any:
    """Await a call of ccxt and say what its error proves."""
    ccxt = importlib.import_module("ccxt.base.errors")
    try:
        async with asyncio.timeout(2 * TIMEOUT_S):
            return await call
    except (ccxt.RateLimitExceeded, ccxt.DDoSProtection) as busy:
        raise AskLater(_said(busy), _BUSY_S) from busy
    except ccxt.BadSymbol as unknown:
        raise UsageError(f"expected a listed instrument, found: {_said(unknown)}") from unknown
    except (ccxt.NetworkError, ccxt.NullResponse, ccxt.BadResponse) as lost:
        raise LinkLost(_said(lost)) from lost
    except ccxt.BaseError as refused:
        raise VenueError(_said(refused)) from refused
    except TimeoutError as late:
        raise LinkLost(f"no answer in {2 * TIMEOUT_S:g} s") from late
    except (LookupError, TypeError, ValueError) as odd:  # ccxt on a body of another shape
        raise LinkLost(f"expected the documented shape, ccxt failed with {odd!r}") from odd


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"


def _limit(exchange: Exchange) -> int:
    known = (exchange.features or {}).get("spot") or {}
    limit = (known.get("fetchOHLCV") or {}).get("limit")
    return limit if isinstance(limit, int) and limit > 0 else BATCH


def _spot_only(option: Any) -> Any:
    return {**option, "types": ["spot"]} if isinstance(option, dict) and "types" in option else option


def _moved(urls: Any, base: str) -> Any:
    """Give the same addresses at another host; paths stay."""
    if isinstance(urls, dict):
        return {name: _moved(value, base) for name, value in urls.items()}
    here, there = urlsplit(str(urls)), urlsplit(base)
    return urlunsplit((there.scheme, there.netloc, here.path, here.query, ""))
