"""Kraken's whole tape of a pair, page by page, from the public Trades endpoint.

Must not know files but the lake's. Called by `trader data fetch kraken-trades`. The paging itself
is feeds.kraken_tape; this asks, decodes and stores.
"""

from collections.abc import AsyncGenerator, Sequence

import polars as pl

from core.errors import VenueError
from feeds.history import Mark, Page
from feeds.history_http import Get
from feeds.history_pace import Polite
from feeds.kraken_answer import result
from feeds.kraken_tape import COUNT, Piece, Tape, TradeRow
from feeds.shards import TRADES, Merged, Shards
from venue.client import KRAKEN_REST

VENUE = "kraken"
_SIDES = {"b": 1, "s": -1}
_KINDS = {"m": 1, "l": 0}


class KrakenTrades:
    """The tape of one instrument over [since, until) ns; `altname` is its REST name."""

    def __init__(
        self,
        instrument: str,
        altname: str,
        *,
        since: int,
        until: int,
        get: Get,
        polite: Polite,
        shards: Shards,
        url: str = KRAKEN_REST,
        count: int = COUNT,
    ) -> None:
        self.instrument = instrument
        self.since = since
        self.until = until
        self.name = f"trades/{VENUE}/{instrument.replace('/', '-')}"
        self._altname = altname
        self._get = get
        self._polite = polite
        self._shards = shards
        self._host = url.rstrip("/")
        self._url = f"{self._host}/0/public/Trades"
        self._count = count

    async def pages(self, mark: Mark | None) -> AsyncGenerator[Page, None]:
        since = mark.since if mark else self.since
        # `since` is exclusive at the venue and inclusive here.
        position = mark.position if mark else str(max(0, self.since - 1))
        tape = Tape(position, until=self.until, last_id=mark.last_id if mark else 0, count=self._count)
        while not tape.done:
            # A page that was served before raises LinkLost in `take`, so it is asked for again.
            what = f"trades of {self.instrument}"
            piece = await self._polite.ask(self._host, what, lambda: self._next(tape))
            position, last_id, reached = piece.mark
            where = Mark(since=since, reached=max(reached, since), position=position, last_id=last_id)
            yield Page(frame(piece.rows), where, piece.gaps)

    def store(self, rows: pl.DataFrame) -> Merged:
        return self._shards.merge_trades(VENUE, self.instrument, rows)

    async def _next(self, tape: Tape) -> Piece:
        params = {"pair": self._altname, "since": tape.position, "count": str(self._count)}
        page = result(self._url, await self._get(self._url, params), dict[str, list[TradeRow] | str | int])
        # The rows lie under the pair's REST id, whichever name was asked for.
        rows = next((value for value in page.values() if isinstance(value, list)), None)
        last = page.get("last")
        if rows is None or not isinstance(last, str | int):
            raise VenueError(f"GET {self._url}: expected rows and `last`, found only {sorted(page)}")
        return tape.take(rows, str(last))


def frame(rows: Sequence[TradeRow]) -> pl.DataFrame:
    """Give rows in the lake's columns; a side or kind of another letter is unknown."""
    return pl.DataFrame(
        {
            "ts": [row.ts for row in rows],
            "trade_id": [row.trade_id for row in rows],
            "price": [float(row.price) for row in rows],
            "qty": [float(row.quantity) for row in rows],
            "side": [_SIDES.get(row.side, 0) for row in rows],
            "market": [_KINDS.get(row.kind, -1) for row in rows],
        },
        schema=TRADES,
    )
