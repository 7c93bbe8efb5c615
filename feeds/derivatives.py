"""Funding rates and open interest in the lake, each with the time from which it may be known.

Must not know how a venue spells them: an adapter gives readings. Called by
`trader data fetch funding|open-interest`. Files: `<root>/funding/<venue>/<SYMBOL>/<YYYY-MM>.parquet`
with ts, known_at (ns), relative_rate; `<root>/open_interest/...` with ts, known_at, open_interest.
"""

from collections.abc import AsyncGenerator, Sequence
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import NamedTuple, Protocol

import polars as pl

from core.clock import MINUTE
from core.errors import VenueError
from feeds.history import Mark, Page
from feeds.shards import Merged, read_parquet, write_parquet

PUBLICATION_LAG = MINUTE
"""From the end of a period until its value can have been read from the venue; a cautious guess."""


class Reading(NamedTuple):
    """A value of the period that begins at `ts`, ns."""

    ts: int
    value: float


class Derivatives(Protocol):
    """A venue's public history of perpetuals. `interval` is the period of its open interest, ns."""

    @property
    def venue(self) -> str: ...

    @property
    def interval(self) -> int: ...

    async def funding(self, symbol: str) -> Sequence[Reading]: ...

    async def open_interest(self, symbol: str, since: int, until: int) -> tuple[Sequence[Reading], bool]: ...


class FundingRates:
    """Relative funding rates of one contract that begin in [since, until) ns."""

    def __init__(self, venue: Derivatives, symbol: str, *, since: int, until: int, root: Path) -> None:
        self.since, self.until = since, until
        self.name = f"funding/{venue.venue}/{symbol}"
        self._venue = venue
        self._symbol = symbol
        self._folder = root / "funding" / venue.venue / symbol

    async def pages(self, mark: Mark | None) -> AsyncGenerator[Page, None]:
        readings = await self._venue.funding(self._symbol)
        rows = [row for row in _known(readings) if self.since <= row[0] < self.until]
        since = (mark or self).since
        # The newest period may still run, so the next download begins with it.
        reached = rows[-1][0] if rows else self.since
        yield Page(
            _frame(rows, "relative_rate", self._symbol), Mark(since=since, reached=reached, position="")
        )

    def store(self, rows: pl.DataFrame) -> Merged:
        return _merge(self._folder, rows)


class OpenInterest:
    """Open interest of one contract over [since, until) ns, in periods of the venue's interval."""

    def __init__(self, venue: Derivatives, symbol: str, *, since: int, until: int, root: Path) -> None:
        step = venue.interval
        self.since, self.until = -(-since // step) * step, until // step * step
        self.name = f"open_interest/{venue.venue}/{symbol}"
        self._venue = venue
        self._symbol = symbol
        self._folder = root / "open_interest" / venue.venue / symbol

    async def pages(self, mark: Mark | None) -> AsyncGenerator[Page, None]:
        since, step = (mark or self).since, self._venue.interval
        at = mark.reached if mark else self.since
        while at < self.until:
            readings, more = await self._venue.open_interest(self._symbol, at, self.until)
            # A period counts once it is over.
            whole = [one for one in readings if at <= one.ts and one.ts + step <= self.until]
            if more and not whole:
                raise VenueError(
                    f"{self.name}: expected readings after {at}, found none but a promise of more"
                )
            at = whole[-1].ts + step if whole else self.until
            rows = [(one.ts, one.ts + step + PUBLICATION_LAG, one.value) for one in whole]
            yield Page(
                _frame(rows, "open_interest", self._symbol), Mark(since=since, reached=at, position=str(at))
            )
            if not more:
                return

    def store(self, rows: pl.DataFrame) -> Merged:
        return _merge(self._folder, rows)


def _known(readings: Sequence[Reading]) -> list[tuple[int, int, float]]:
    """Put the time of knowledge beside each: a period ends where the next one begins.

    The newest one's end is not served; it is as long as the one before it. A single reading tells
    no period and is left out.
    """
    if len(readings) < 2:
        return []
    ends = [later.ts for _, later in pairwise(readings)]
    ends.append(2 * readings[-1].ts - readings[-2].ts)
    return [(one.ts, end + PUBLICATION_LAG, one.value) for one, end in zip(readings, ends, strict=True)]


def _frame(rows: Sequence[tuple[int, int, float]], value: str, symbol: str) -> pl.DataFrame:
    for row in rows:
        if not isfinite(row[2]):
            raise VenueError(f"{value} of {symbol}: expected finite numbers, found {row}")
    schema = {"ts": pl.Int64(), "known_at": pl.Int64(), value: pl.Float64()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _merge(folder: Path, rows: pl.DataFrame) -> Merged:
    """Merge rows into monthly files by `ts`; the newer row wins."""
    added = replaced = 0
    months = rows.with_columns(month=pl.from_epoch("ts", time_unit="ns").dt.strftime("%Y-%m"))
    for (month,), part in months.group_by("month", maintain_order=True):
        path = folder / f"{month}.parquet"
        new = part.drop("month").unique("ts", keep="last")
        old = read_parquet(path) if path.is_file() else new.clear()
        merged = pl.concat([old, new]).unique("ts", keep="last", maintain_order=True).sort("ts")
        added += len(merged) - len(old)
        replaced += len(old) - len(old.join(merged, on=merged.columns, how="semi"))
        if not merged.equals(old):
            write_parquet(path, merged)
    return Merged(added, replaced, len(rows) - added - replaced)
