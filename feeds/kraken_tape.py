"""Kraken's pages of Trades put together to one tape: nothing lost, nothing twice, no endless loop.

Must not know HTTP, files or clocks. Called by feeds.kraken_trades, which asks for `position` and
hands every page to `take`.

Facts of the endpoint (https://docs.kraken.com/api/docs/rest-api/get-recent-trades): `since` is
exclusive, in nanoseconds; `last` is the cursor of the newest row and goes back verbatim, because a
row's own time is a float that has lost the last digits; trade ids run without gaps per pair and are
0 or absent on old rows.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

import msgspec

from core.clock import SECOND
from core.errors import LinkLost, VenueError
from feeds.history import Gap

COUNT = 1000
"""Most rows of a page, and what is asked for."""
_LATEST_NS = 2**62
"""In the year 2116; beyond it a number is no time, and would not fit the lake's columns."""
_LEAST, _MOST = Decimal(10) ** -18, Decimal(10) ** 18
"""No venue has more decimals; text such as 1e-999999999 is a Decimal and no price."""


class TradeRow(msgspec.Struct, frozen=True, array_like=True):
    """One row of Trades; `time` in seconds, `side` b or s, `kind` m or l, both the taker's."""

    price: Decimal
    quantity: Decimal
    time: Decimal
    side: str
    kind: str
    misc: str = ""
    trade_id: int = 0

    @property
    def ts(self) -> int:
        """Give the time in ns, as exact as the row says it."""
        return int(self.time * SECOND)


class TapeMark(NamedTuple):
    """Where the tape can be taken up: what to ask, the newest id, and the ns up to which it is whole."""

    position: str
    last_id: int
    reached: int


class Piece(NamedTuple):
    """Rows that go on where the piece before ended, and where to go on after them."""

    rows: Sequence[TradeRow]
    mark: TapeMark
    gaps: tuple[Gap, ...] = ()


class Tape:
    """The tape of one pair from `position` on, until a row of `until` ns or the end of the record.

    Ask for `position` until `done`. Raises LinkLost for a page that was served before.
    """

    def __init__(self, position: str, *, until: int, last_id: int = 0, count: int = COUNT) -> None:
        self.position = position
        self.done = False
        self._until = until
        self._count = count
        self._last_id = last_id
        self._last_ts = int(position)
        self._full = last_id > 0  # what is taken up may have ended with a full page
        self._probed = -1  # the cursor before which one ns was looked at
        self._held: list[TradeRow] = []
        self._held_position = position

    def take(self, rows: Sequence[TradeRow], last: str) -> Piece:
        """Take the page that answers `position`."""
        _check(rows)
        asked, progress = self.position, _cursor(last) - int(self.position)
        probing = int(asked) == self._probed - 1
        new = [row for row in rows if row.trade_id > self._last_id]
        if progress > 0 and not probing:
            new = [row for row in rows if row.trade_id > self._last_id or row.trade_id == 0]
        if not new:
            self._nothing_new(rows, progress, probing=probing)
            return self._piece((), asked)
        if progress < 0:
            raise LinkLost(_again(asked))
        torn = 0 < self._last_id < new[0].trade_id - 1
        if torn and not probing and int(asked) != self._probed:
            self._probe()
            return self._piece((), asked)
        gaps = self._gaps(new)
        kept = [row for row in new if row.ts < self._until]
        self.position, self._last_ts, self._full = last, new[-1].ts, len(rows) >= self._count
        if len(kept) < len(new):
            # A later download asks for this page again, for the rows that were too young today.
            self.done, self.position = True, asked
            gaps = tuple(gap for gap in gaps if gap.before_ts < self._until)
        self._last_id = max([self._last_id, *(row.trade_id for row in kept)])
        return self._piece(kept, asked, gaps)

    def _probe(self) -> None:
        """Look again from one ns earlier: a page's end may have cut a burst in one ns."""
        self._probed = int(self.position)
        self.position = str(self._probed - 1)

    def _nothing_new(self, rows: Sequence[TradeRow], progress: int, *, probing: bool) -> None:
        """Tell the end of the record from a burst that fills the page and from a page served twice."""
        burst = bool(rows) and progress == 0 and all(row.ts == rows[0].ts for row in rows)
        if probing:
            self.position = str(self._probed)
        elif not rows and self._full and self._last_id > 0 and int(self.position) != self._probed:
            self._probe()
        elif not rows or (burst and len(rows) < self._count):
            self.done = True
        elif burst:
            self.position = str(int(self.position) + 1)
        else:
            raise LinkLost(_again(self.position))

    def _gaps(self, fresh: Sequence[TradeRow]) -> tuple[Gap, ...]:
        known = [(self._last_id, self._last_ts), *((row.trade_id, row.ts) for row in fresh)]
        return tuple(
            Gap(after_ts=after, before_ts=before, ids=following - one - 1)
            for (one, after), (following, before) in pairwise(known)
            if one > 0 and following > one + 1
        )

    def _piece(self, rows: Sequence[TradeRow], asked: str, gaps: tuple[Gap, ...] = ()) -> Piece:
        """Give what is whole. Rows without id at the newest instant wait for the rest of theirs.

        The lake tells such rows apart by counting equal ones, so an instant must arrive as one.
        """
        ready = [*self._held, *rows]
        held: list[TradeRow] = []
        if not self.done and ready and ready[-1].trade_id == 0:
            newest = ready[-1].ts
            while ready and ready[-1].ts == newest:
                held.insert(0, ready.pop())
            if len(held) <= len(rows):
                self._held_position = asked
        self._held = held
        # The place of a second look is no place to go on from: only what it follows tells what it means.
        whence = str(self._probed) if int(self.position) == self._probed - 1 else self.position
        position = self._held_position if held else whence
        reached = self._until if self.done else (held[0].ts if held else min(self._last_ts, self._until))
        return Piece(ready, TapeMark(position, self._last_id, reached), gaps)


def _again(asked: str) -> str:
    return f"Trades: expected rows after {asked}, found the page before once more"


def _cursor(last: str) -> int:
    if not (last.isdecimal() and len(last) <= len(str(_LATEST_NS))):
        raise VenueError(f"Trades: expected nanoseconds in `last`, found {last[:40]!r}")
    return int(last)


def _check(rows: Sequence[TradeRow]) -> None:
    for row in rows:
        amounts = (row.price, row.quantity)
        possible = all(amount.is_finite() and _LEAST <= amount <= _MOST for amount in amounts)
        if not (possible and row.time.is_finite() and 0 < row.time < _LATEST_NS // SECOND):
            raise VenueError(f"Trades: expected positive price, volume and time, found {row}")
        if not 0 <= row.trade_id < _LATEST_NS:
            raise VenueError(f"Trades: expected a trade id, found {row}")
