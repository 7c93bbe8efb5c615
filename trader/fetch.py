"""What `trader data fetch` downloads: sources put together from names, run one after the other.

Must not know the command line. Called by trader.commands.data_fetch. One host is asked by one
caller at a time, so that the pauses between calls hold whatever the number of series.
"""

import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import msgspec

from core.clock import DAY, Clock
from core.errors import UsageError, VenueError
from core.market import Timeframe
from feeds import amberdata, ccxt_bars, kraken_futures
from feeds.derivatives import FundingRates, OpenInterest
from feeds.history import Cursors, Download, Fetched, Source
from feeds.history_http import Http
from feeds.history_pace import Manners, Polite
from feeds.kraken_bars import KrakenBars
from feeds.kraken_trades import VENUE, KrakenTrades
from feeds.lake import Series
from feeds.minute_bars import make_months
from feeds.shards import Shards
from trader.fetch_watch import Watch
from venue.client import KRAKEN_REST, PublicRest

SOURCES = (
    "kraken-trades",
    "kraken-ohlc",
    "ccxt:EXCHANGE",
    "amberdata:EXCHANGE",
    "amberdata-latest:EXCHANGE",
    "funding",
    "open-interest",
)
ALL = "all"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]*(/[A-Za-z0-9][A-Za-z0-9_.]*)?")
_SERVED = 719
"""Closed bars that Kraken's OHLC serves."""
_MONTH = 30 * DAY


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to download. `since` None is as far back as is sensible for the source; ns UTC."""

    source: str
    lake: Path
    instruments: tuple[str, ...]
    timeframes: tuple[Timeframe, ...]
    since: int | None
    until: int
    url: str = ""
    key: str = ""
    bars: bool = False
    restart: bool = False

    @property
    def kind(self) -> str:
        """Give the source without its exchange."""
        return self.source.partition(":")[0]

    @property
    def exchange(self) -> str:
        """Give the exchange of a source that has many."""
        return self.source.partition(":")[2]

    def start(self, timeframe: Timeframe | None = None) -> int:
        """Give where to begin."""
        if self.since is not None:
            return self.since
        if self.kind == "kraken-ohlc" and timeframe is not None:
            return timeframe.floor(self.until) - _SERVED * timeframe.ns
        return self.until - _MONTH


class Preset(msgspec.Struct, frozen=True):
    """A data set by name."""

    source: str
    instruments: tuple[str, ...]
    timeframes: tuple[Timeframe, ...]
    span: int


_SEVEN = ("BTC/USDT", "ETH/USDT", "BNB/USDT", "SOL/USDT", "XRP/USDT", "ADA/USDT", "DOGE/USDT")
PRESETS = {
    # 52,128 bars each, 364,896 in all.
    "five-minute-six-months": Preset("ccxt:binance", _SEVEN, (Timeframe.M5,), 181 * DAY),
    "minute-and-hour-two-years": Preset("ccxt:binance", _SEVEN, (Timeframe.M1, Timeframe.H1), 731 * DAY),
}


async def fetch(
    request: Request,
    results: list[Fetched],
    *,
    clock: Clock,
    watch: Watch,
    manners: Manners | None = None,
) -> list[str]:
    """Download every series of a request, adding to `results`; gives what single series failed with.

    Raises UsageError for a request that names what does not exist, VenueUnavailable when the host
    does not answer: what came until then is stored, and the same request goes on there.
    """
    failed: list[str] = []
    polite = Polite(clock, random=Random(), manners=manners, on_refusal=watch.on_refusal)  # noqa: S311  # jitter
    cursors = Cursors(request.lake)
    download = Download(cursors, polite, clock, on_progress=watch.on_progress, restart=request.restart)
    async with AsyncExitStack() as stack:
        sources = await _sources(request, polite, stack)
        watch.on_plan(len(sources))
        for source in sources:
            result = Fetched(series=source.name, since=source.since, until=source.until, reached=source.since)
            results.append(result)
            try:
                await download.run(source, result)
                _make_bars(request, source, cursors)
            except VenueError as refused:
                # One delisted pair must not cost the other thousand.
                failed.append(f"{source.name}: {refused}")
                watch.on_failure(failed[-1])
            watch.on_series(result)
    return failed


async def latest(request: Request, *, clock: Clock, watch: Watch) -> dict[str, amberdata.Row]:
    """Ask Amberdata for the newest bars; they may still run, so they are not stored."""
    polite = Polite(clock, random=Random(), on_refusal=watch.on_refusal)  # noqa: S311  # jitter
    async with Http() as get:
        service = amberdata.Amberdata(request.key, get=get, polite=polite, url=request.url or amberdata.URL)
        return await service.latest(request.exchange, request.instruments)


async def _sources(request: Request, polite: Polite, stack: AsyncExitStack) -> Sequence[Source]:
    """Put the series of a request together; what they hold open ends with `stack`."""
    if request.kind == "ccxt":
        exchange = await ccxt_bars.opened(request.exchange, request.url)
        stack.push_async_callback(exchange.close)
        return await _ccxt(request, exchange, polite)
    get = await stack.enter_async_context(Http())
    match request.kind:
        case "kraken-trades" | "kraken-ohlc":
            return await _kraken(request, get, polite)
        case "amberdata":
            return _amberdata(request, get, polite)
        case "funding" | "open-interest":
            return _futures(request, get, polite)
        case _:
            raise UsageError(f"expected a source such as {', '.join(SOURCES)}; found {request.source!r}")


async def _kraken(request: Request, get: Http, polite: Polite) -> list[Source]:
    url = request.url or KRAKEN_REST
    async with PublicRest(url) as rest:
        names = await rest.names()
        symbols = _chosen(request.instruments, sorted(await rest.asset_pairs()))
    shards, end = Shards(request.lake), request.until
    if request.kind == "kraken-trades":
        return [
            KrakenTrades(
                symbol,
                names.altname(symbol),
                since=request.start(),
                until=end,
                get=get,
                polite=polite,
                shards=shards,
                url=url,
            )
            for symbol in symbols
        ]
    return [
        KrakenBars(
            Series(VENUE, symbol, timeframe),
            names.altname(symbol),
            since=request.start(timeframe),
            until=end,
            get=get,
            polite=polite,
            shards=shards,
            url=url,
        )
        for symbol in symbols
        for timeframe in request.timeframes
    ]


async def _ccxt(request: Request, exchange: ccxt_bars.Exchange, polite: Polite) -> list[Source]:
    symbols = _chosen(request.instruments, await ccxt_bars.listed(exchange, polite))
    return [
        ccxt_bars.CcxtBars(
            exchange,
            Series(request.exchange, symbol, timeframe),
            since=request.start(timeframe),
            until=request.until,
            polite=polite,
            shards=Shards(request.lake),
        )
        for symbol in symbols
        for timeframe in request.timeframes
    ]


def _amberdata(request: Request, get: Http, polite: Polite) -> list[Source]:
    service = amberdata.Amberdata(request.key, get=get, polite=polite, url=request.url or amberdata.URL)
    return [
        amberdata.AmberdataBars(
            service,
            request.exchange,
            Series(f"amberdata-{request.exchange}", symbol, timeframe),
            since=request.start(timeframe),
            until=request.until,
            shards=Shards(request.lake),
        )
        for symbol in _named(request)
        for timeframe in request.timeframes
    ]


def _futures(request: Request, get: Http, polite: Polite) -> list[Source]:
    venue = kraken_futures.KrakenFutures(get=get, polite=polite, url=request.url or kraken_futures.URL)
    series = FundingRates if request.kind == "funding" else OpenInterest
    return [
        series(venue, symbol, since=request.start(), until=request.until, root=request.lake)
        for symbol in _named(request)
    ]


def _named(request: Request) -> tuple[str, ...]:
    """Give instruments that no listing confirms; they become names of folders."""
    for name in request.instruments:
        if name == ALL or not _NAME.fullmatch(name):
            raise UsageError(f"{request.kind}: expected instruments by name; found {name!r}")
    return request.instruments


def _chosen(wanted: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    if ALL in wanted:
        return known
    strangers = sorted(set(wanted) - set(known))
    if strangers:
        raise UsageError(
            f"expected listed instruments such as {known[0] if known else 'none'}; "
            f"found {', '.join(strangers)} among {len(known)} listed"
        )
    return wanted


def _make_bars(request: Request, source: Source, cursors: Cursors) -> None:
    if request.bars and isinstance(source, KrakenTrades):
        mark = cursors.read(source.name)
        if mark is not None:
            make_months(request.lake, VENUE, source.instrument, mark.since, mark.reached, mark.gaps)
