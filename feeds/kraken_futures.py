"""Funding rates and open interest of Kraken Futures, as the venue speaks until 1 March 2027.

Must not know the lake. Called by feeds.derivatives, which knows only the `Derivatives` protocol: on
SUNSET another adapter takes this one's place.
https://docs.kraken.com/api/docs/futures-api/trading/historical-funding-rates and
https://docs.kraken.com/api/docs/futures-api/charts/market-analytics
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from core.clock import SECOND
from core.errors import VenueError
from core.text import parse_iso
from feeds.derivatives import Reading
from feeds.history_http import Get, decoded, json_body
from feeds.history_pace import AskLater, Polite

URL = "https://futures.kraken.com"
SUNSET = parse_iso("2027-03-01T00:00:00Z")
"""From here on the venue has announced to answer no more."""
INTERVAL_S = 3600
_BUSY_S = 5.0


class _Rate(msgspec.Struct, rename="camel"):
    """One rate: zero fields are left out, exponents are common; `relative` is a fraction a period."""

    timestamp: str
    funding_rate: float = 0.0
    relative_funding_rate: float | None = None


class _Rates(msgspec.Struct):
    result: str
    error: str = ""
    rates: list[_Rate] = []


class _Analytics(msgspec.Struct):
    timestamp: list[int]
    data: list[Any]
    more: bool = False


class _AnalyticsBody(msgspec.Struct):
    result: _Analytics | None = None
    errors: list[Any] = []


class KrakenFutures:
    """Public history of perpetual contracts, named as the venue names them (`PF_XBTUSD`)."""

    venue = "kraken-futures"
    interval = INTERVAL_S * SECOND

    def __init__(self, *, get: Get, polite: Polite, url: str = URL) -> None:
        self._get = get
        self._polite = polite
        self._url = url.rstrip("/")

    async def funding(self, symbol: str) -> Sequence[Reading]:
        """Give all rates that are served, oldest first; the venue has no paging here."""
        url = f"{self._url}/derivatives/api/v3/historical-funding-rates"

        async def once() -> _Rates:
            body: _Rates = decoded(url, json_body(url, await self._get(url, {"symbol": symbol})), _Rates)
            if body.error == "apiLimitExceeded":
                raise AskLater(f"GET {url}: {body.error}", _BUSY_S)
            if body.result != "success":
                raise VenueError(
                    f"GET {url}: expected success for {symbol}, found {body.error or body.result}"
                )
            return body

        body = await self._polite.ask(self._url, f"funding rates of {symbol}", once)
        return sorted(_rate(rate, symbol) for rate in body.rates)

    async def open_interest(self, symbol: str, since: int, until: int) -> tuple[Sequence[Reading], bool]:
        """Give readings by the hour from `since` ns, and whether there are more behind them."""
        url = f"{self._url}/api/charts/v1/analytics/{symbol}/open-interest"
        # `to` is taken as inclusive or not by different texts; what is too much is cut by the caller.
        params = {"since": str(since // SECOND), "to": str(until // SECOND), "interval": str(INTERVAL_S)}

        async def once() -> _Analytics:
            answer = await self._get(url, params)
            body: _AnalyticsBody = decoded(url, json_body(url, answer), _AnalyticsBody)
            if body.result is None or body.errors:
                raise VenueError(f"GET {url}: expected a result, found errors {str(body.errors)[:120]}")
            return body.result

        found = await self._polite.ask(self._url, f"open interest of {symbol}", once)
        if len(found.timestamp) != len(found.data):
            counts = f"{len(found.timestamp)} times, found {len(found.data)}"
            raise VenueError(f"GET {url}: expected a value for each of {counts}")
        pairs = zip(found.timestamp, found.data, strict=True)
        return sorted(Reading(seconds * SECOND, _last(value, symbol)) for seconds, value in pairs), found.more


def _rate(rate: _Rate, symbol: str) -> Reading:
    relative = rate.relative_funding_rate
    if relative is None:
        if rate.funding_rate != 0.0:
            raise VenueError(
                f"{symbol}: expected relativeFundingRate beside a rate, found none at {rate.timestamp}"
            )
        relative = 0.0
    try:
        return Reading(parse_iso(rate.timestamp), relative)
    except ValueError as odd:
        raise VenueError(f"{symbol}: {odd}") from odd


def _last(value: Any, symbol: str) -> float:
    """Give a reading's number: plain, as text, or the close of open, high, low, close."""
    last = value[-1] if isinstance(value, list) and value else value
    try:
        number = float(last)
    except (TypeError, ValueError) as odd:
        raise VenueError(f"open interest of {symbol}: expected a number, found {str(value)[:60]}") from odd
    return number
