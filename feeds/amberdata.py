"""Bars from Amberdata's spot market data, historical and latest.

Must not know files but the lake's. Called by `trader data fetch amberdata:EXCHANGE`. Needs a key;
it travels in a header, to the configured host only, and is never part of an error.
https://docs.amberdata.io/reference/get-historical-ohlc (time range at most two years; pages linked
by `payload.metadata.next`; timestamps are those of the bar's open).
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
import polars as pl

from core.clock import DAY
from core.errors import UsageError, VenueError
from core.market import Timeframe
from feeds.history import Mark, Page
from feeds.history_bars import MS, Span, frame
from feeds.history_http import Get, decoded, json_body
from feeds.history_pace import Polite
from feeds.lake import Series
from feeds.shards import Merged, Shards

URL = "https://api.amberdata.com"
KEY = "AMBERDATA_API_KEY"
INTERVALS = {Timeframe.M1: "minutes", Timeframe.H1: "hours", Timeframe.D1: "days"}
_WINDOW = {Timeframe.M1: 7 * DAY, Timeframe.H1: 180 * DAY, Timeframe.D1: 700 * DAY}
_MOST_PAGES = 1000

Row = tuple[int, float, float, float, float, float]


class _Bar(msgspec.Struct):
    """One bar as documented; volume in base units."""

    timestamp: int = msgspec.field(name="exchangeTimestamp")
    open: float
    high: float
    low: float
    close: float
    volume: float
    instrument: str = ""


class _Metadata(msgspec.Struct):
    next: str | None = None
    columns: list[str] = []


class _Payload(msgspec.Struct):
    data: list[_Bar] | dict[str, Any] = []
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class _Envelope(msgspec.Struct):
    status: int
    title: str = ""
    description: str = ""
    payload: _Payload | None = None


class Amberdata:
    """The service: asks with the key, reads the envelope."""

    def __init__(self, key: str, *, get: Get, polite: Polite, url: str = URL) -> None:
        if not key:
            raise UsageError(f"amberdata: expected an API key in {KEY}; found none")
        self._headers = {"x-api-key": key, "Accept-Encoding": "gzip, deflate"}
        self._get = get
        self._polite = polite
        self.url = url.rstrip("/")

    async def history(
        self, exchange: str, instrument: str, timeframe: Timeframe, start: int, end: int
    ) -> list[Row]:
        """Give the bars that open in [start, end) ns, all pages, in whatever order they come."""
        url = f"{self.url}/markets/spot/ohlcv/{_pair(instrument)}"
        params: Mapping[str, str] | None = {
            "exchange": exchange,
            "startDate": str(start // MS),
            "endDate": str(end // MS),
            "timeInterval": INTERVALS[timeframe],
        }
        rows: list[Row] = []
        for _ in range(_MOST_PAGES):
            payload = await self._ask(f"bars of {instrument} at {exchange}", url, params)
            rows += [row for _, row in _bars(payload, url)]
            if not payload.metadata.next:
                return rows
            # The link holds the whole query. The key goes to no other host than the one it is for.
            url, params = _same_host(payload.metadata.next, self.url), None
        raise VenueError(f"amberdata: expected at most {_MOST_PAGES} pages, found a link to one more")

    async def latest(self, exchange: str, instruments: Sequence[str]) -> dict[str, Row]:
        """Give the newest bar of each instrument; it may still be running."""
        url = f"{self.url}/market/spot/ohlcv/exchange/{exchange}/latest"
        params = {"pair": ",".join(map(_pair, instruments))} if instruments else {}
        payload = await self._ask(f"latest bars at {exchange}", url, params)
        newest: dict[str, Row] = {}
        for pair, row in _bars(payload, url):
            name = pair.upper().replace("_", "/")
            if name not in newest or row[0] > newest[name][0]:
                newest[name] = row
        return newest

    async def _ask(self, what: str, url: str, params: Mapping[str, str] | None) -> _Payload:
        async def once() -> _Payload:
            answer = await self._get(url, params, self._headers)
            envelope: _Envelope = decoded(url, json_body(url, answer), _Envelope)
            if envelope.status != 200 or envelope.payload is None:
                said = f"{envelope.status} {envelope.title}: {envelope.description}"
                raise VenueError(f"GET {url}: expected status 200 with a payload, found {said[:160]}")
            return envelope.payload

        return await self._polite.ask(self.url, f"amberdata {what}", once)


class History(Protocol):
    """What a source of bars needs of the service."""

    async def history(
        self, exchange: str, instrument: str, timeframe: Timeframe, start: int, end: int
    ) -> list[Row]: ...


class AmberdataBars:
    """Bars of one instrument and timeframe at one exchange over [since, until) ns.

    The lake keeps them apart from the exchange's own: `series.venue` is `amberdata-<exchange>`.
    """

    def __init__(
        self, service: History, exchange: str, series: Series, *, since: int, until: int, shards: Shards
    ) -> None:
        if series.timeframe not in INTERVALS:
            served = ", ".join(timeframe.value for timeframe in INTERVALS)
            raise UsageError(f"amberdata: expected one of {served}; found {series.timeframe.value}")
        self.series = series
        self.span = Span.of(series.timeframe, since, until)
        self.since, self.until = self.span
        pair = series.instrument.replace("/", "-")
        self.name = f"ohlcv/{series.venue}/{pair}/{series.timeframe.value}"
        self._exchange = exchange
        self._service = service
        self._shards = shards

    async def pages(self, mark: Mark | None) -> AsyncGenerator[Page, None]:
        since = (mark or self).since
        at = mark.reached if mark else self.since
        timeframe, instrument = self.series.timeframe, self.series.instrument
        while at < self.until:
            end = min(self.until, at + _WINDOW[timeframe])
            rows = await self._service.history(self._exchange, instrument, timeframe, at, end)
            table = frame(rows, timeframe, Span(at, end), f"amberdata {instrument}")
            at = end
            yield Page(table, Mark(since=since, reached=at, position=str(at // MS)))

    def store(self, rows: pl.DataFrame) -> Merged:
        return self._shards.merge_bars(self.series, rows)


def _bars(payload: _Payload, url: str) -> Iterator[tuple[str, Row]]:
    """Give instrument and row of both documented shapes: objects, or columns and arrays by pair."""
    if isinstance(payload.data, list):
        for bar in payload.data:
            yield bar.instrument, (bar.timestamp, bar.open, bar.high, bar.low, bar.close, bar.volume)
        return
    for pair, value in payload.data.items():
        table = value if value and isinstance(value, list) and isinstance(value[0], list) else [value]
        for cells in table:
            named = (
                dict(zip(payload.metadata.columns, cells, strict=False)) if isinstance(cells, list) else cells
            )
            try:
                row = (
                    int(named["timestamp"]),
                    *(float(named[name]) for name in ("open", "high", "low", "close", "volume")),
                )
            except (KeyError, TypeError, ValueError) as odd:
                text = str(cells)[:80]
                raise VenueError(f"GET {url}: expected a bar of {pair}, found {text}: {odd!r}") from odd
            yield pair, row  # type: ignore[misc]


def _pair(instrument: str) -> str:
    return instrument.lower().replace("/", "_")


def _same_host(link: str, base: str) -> str:
    there, here = urlsplit(link), urlsplit(base)
    if (there.scheme, there.netloc) != (here.scheme, here.netloc):
        raise VenueError(f"amberdata: expected the next page at {here.netloc}, found {there.netloc!r}")
    return link
