"""Which of the venue's pairs are worth trading, now and at any moment of the past.

Must not know how pairs, turnovers or configuration are read. Called by trader.assemble, which asks
the venue and keeps the history of listings; a backtest asks that history what was listed then, or
it would only ever trade what survived.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

import msgspec

from core.clock import DAY
from core.errors import DataError
from core.instrument import Instrument
from core.text import iso, parse_iso


class Filters(msgspec.Struct, frozen=True):
    """What a pair must be. Turnover is of the last 24 hours, in quote currency; empty or 0 = any.

    `include` is taken whatever the filters say, as long as it is listed; `exclude` never is.
    """

    quotes: tuple[str, ...] = ()
    minimum_turnover: Decimal = Decimal(0)
    maximum_minimum_cost: Decimal = Decimal(0)
    minimum_leverage: int = 1
    minimum_age_days: int = 0
    statuses: tuple[str, ...] = ("online",)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Listing(msgspec.Struct, frozen=True, omit_defaults=True):
    """One pair was listed from one moment until another; 0 = it still is. ISO times in the file."""

    symbol: str
    listed_from: str
    listed_until: str = ""


class Universe:
    """The listings ever seen, point in time. What was listed when they began counts as old."""

    def __init__(self, listings: Iterable[Listing] = ()) -> None:
        self._spans: dict[str, list[tuple[int, int]]] = {}
        for one in listings:
            until = parse_iso(one.listed_until) if one.listed_until else 0
            self._note(one.symbol, parse_iso(one.listed_from), until)
        self._began = min((spans[0][0] for spans in self._spans.values()), default=0)

    def _note(self, symbol: str, since: int, until: int) -> None:
        spans = self._spans.setdefault(symbol, [])
        if until and spans and spans[-1][0] == since:
            spans[-1] = (since, until)
        else:
            spans.append((since, until))

    def at(self, ts: int) -> frozenset[str]:
        """Give what was listed at a moment (ns UTC)."""
        return frozenset(
            symbol
            for symbol, spans in self._spans.items()
            if any(since <= ts and (not until or ts < until) for since, until in spans)
        )

    def moments(self) -> list[int]:
        """Give every moment at which something was listed or taken off, sorted."""
        spans = (span for spans in self._spans.values() for span in spans)
        return sorted({ts for span in spans for ts in span if ts})

    def seasoned(self, symbol: str, ts: int, days: int) -> bool:
        """Tell whether a pair has been listed for so many days, as far as anybody watched."""
        spans = self._spans.get(symbol, ())
        since = next((since for since, until in spans if not until or ts < until), None)
        return since is not None and (since == self._began or ts - since >= days * DAY)

    def observe(self, symbols: Iterable[str], ts: int) -> list[Listing]:
        """Take what is listed now; gives the lines that are new in the history."""
        now, before = frozenset(symbols), self.at(ts)
        self._began = self._began or ts
        news: list[Listing] = []
        for symbol in sorted(now - before):
            self._note(symbol, ts, 0)
            news.append(Listing(symbol, iso(ts)))
        for symbol in sorted(before - now):
            since = self._spans[symbol][-1][0]
            self._note(symbol, since, ts)
            news.append(Listing(symbol, iso(since), iso(ts)))
        return news


class Market(NamedTuple):
    """What the venue says now."""

    instruments: Mapping[str, Instrument]
    turnovers: Mapping[str, Decimal]


def chosen(market: Market, filters: Filters, universe: Universe, now: int) -> tuple[str, ...]:
    """Give the pairs that fit, those of the largest turnover first."""
    excluded = frozenset(filters.exclude)
    fitting = {
        symbol
        for symbol, one in market.instruments.items()
        if symbol not in excluded and (symbol in filters.include or _fits(one, market, filters))
    }
    old = {
        symbol
        for symbol in fitting
        if symbol in filters.include
        or not filters.minimum_age_days
        or universe.seasoned(symbol, now, filters.minimum_age_days)
    }
    return tuple(sorted(old, key=lambda symbol: (-market.turnovers.get(symbol, Decimal(0)), symbol)))


def _fits(one: Instrument, market: Market, filters: Filters) -> bool:
    limit = filters.maximum_minimum_cost
    return (
        (not filters.quotes or one.quote in filters.quotes)
        and (not filters.statuses or one.status in filters.statuses)
        and one.max_leverage >= filters.minimum_leverage
        and (not limit or one.minimum_cost <= limit)
        and market.turnovers.get(one.symbol, Decimal(0)) >= filters.minimum_turnover
    )


def read(lines: bytes, where: str) -> Universe:
    """Read a history of listings, one JSON object a line; a torn last line counts as not written.

    Raises DataError for a line that is none, with its number.
    """
    whole = lines[: lines.rfind(b"\n") + 1]
    found: list[Listing] = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            one = msgspec.json.decode(line, type=Listing)
            parse_iso(one.listed_from)
            found.append(one)
        except (msgspec.DecodeError, ValueError) as broken:
            raise DataError(f"{where}: line {number}: expected a listing, found: {broken}") from broken
    return Universe(found)


def written(listings: Iterable[Listing]) -> bytes:
    """Give the lines to append."""
    return b"".join(msgspec.json.encode(one) + b"\n" for one in listings)
