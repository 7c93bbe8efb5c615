"""Closed bars of all pairs at once: one row a moment, one column a pair.

Must not know what they are made of. Called by venue.synthetic_market alone. Bounded: the oldest
rows go when the table is full. Memory is touched, and so used, only as rows come in.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from venue.market_candles import Ints, Pieces, joined
from venue.synthetic_blocks import Block

Row = Mapping[str, npt.NDArray[Any]]

_TYPES: dict[str, npt.DTypeLike] = {
    "open": np.int32,
    "high": np.int32,
    "low": np.int32,
    "close": np.int32,
    "lots": np.int64,
    "value": np.float64,
    "trades": np.int32,
}
_WIDE = {name: np.float64 if name == "value" else np.int64 for name in _TYPES}


class Rows:
    """Bars of one grain without a hole; keeps `limit` rows at most and three quarters at least."""

    def __init__(self, grain: int, pairs: int, limit: int) -> None:
        self.grain = grain
        self.first = 0  # open of the oldest row
        self.count = 0
        self._limit = limit
        self._columns = {name: np.zeros((limit, pairs), kind) for name, kind in _TYPES.items()}

    @property
    def until(self) -> int:
        """First moment after the newest row."""
        return self.first + self.count * self.grain

    def begin(self, columns: Iterable[Pieces]) -> None:
        """Start with bars of each pair, all of the same moments."""
        for pair, pieces in enumerate(columns):
            self.first, self.count = int(pieces.ts[0]), len(pieces.ts)
            for name, column in self._columns.items():
                column[: self.count, pair] = getattr(pieces, name)

    def append(self, ts: int, row: Row) -> None:
        """Add the bars that opened at `ts`."""
        if self.count == self._limit:
            kept = self._limit - self._limit // 4
            for column in self._columns.values():
                column[:kept] = column[self._limit - kept :]
            self.first += (self._limit - kept) * self.grain
            self.count = kept
        if self.count == 0:
            self.first = ts
        for name, column in self._columns.items():
            column[self.count] = row[name]
        self.count += 1

    def newest(self, rows: int) -> Row:
        """Give the newest rows of all pairs."""
        return {name: column[self.count - rows : self.count] for name, column in self._columns.items()}

    def of(self, pair: int, begin: int, end: int) -> Pieces:
        """Give the bars of one pair that open in [begin, end)."""
        low = min(self.count, max(0, -(-(begin - self.first) // self.grain)))
        high = min(self.count, max(low, -(-(end - self.first) // self.grain)))
        if low == high:
            return joined([])
        columns: list[npt.NDArray[Any]] = [
            column[low:high, pair].astype(_WIDE[name]) for name, column in self._columns.items()
        ]
        return Pieces(self.first + np.arange(low, high) * self.grain, *columns)


class Minute:
    """The bars of one minute while its blocks come in."""

    def __init__(self, pairs: int) -> None:
        self._columns = {name: np.zeros(pairs, kind) for name, kind in _WIDE.items()}

    def add(self, block: Block) -> None:
        """Take in the trades of the next block."""
        at = np.flatnonzero(block.lots)
        if not len(at):
            return
        owners = block.owners[at]
        first = np.flatnonzero(np.diff(owners, prepend=-1))
        last = np.concatenate((first[1:], [len(at)])) - 1
        who, ticks, lots = owners[first], block.last[at].astype(np.int64), block.lots[at]
        own = self._columns
        fresh = own["trades"][who] == 0
        high, low = np.maximum.reduceat(ticks, first), np.minimum.reduceat(ticks, first)
        own["open"][who] = np.where(fresh, ticks[first], own["open"][who])
        own["high"][who] = np.where(fresh, high, np.maximum(high, own["high"][who]))
        own["low"][who] = np.where(fresh, low, np.minimum(low, own["low"][who]))
        own["close"][who] = ticks[last]
        own["lots"][who] += np.add.reduceat(lots, first)
        own["value"][who] += np.add.reduceat(ticks * lots.astype(np.float64), first)
        own["trades"][who] += last - first + 1

    def closed(self, before: Ints) -> Row:
        """Give the bars and start anew; who did not trade repeats `before`, the close of the last bar."""
        own = self._columns
        quiet = own["trades"] == 0
        for name in ("open", "high", "low", "close"):
            own[name] = np.where(quiet, before, own[name])
        self._columns = {name: np.zeros_like(column) for name, column in own.items()}
        return own


def coarser(rows: Row) -> Row:
    """Give one bar a pair out of several; quiet rows lend no price."""
    traded = rows["trades"] > 0
    first = traded.argmax(axis=0)[np.newaxis]
    close = rows["close"][-1]
    some = traded.any(axis=0)
    opens = np.take_along_axis(rows["open"], first, axis=0)[0]
    least = np.iinfo(np.int32)
    return {
        "open": np.where(some, opens, close),
        "high": np.where(some, np.where(traded, rows["high"], 0).max(axis=0), close),
        "low": np.where(some, np.where(traded, rows["low"], least.max).min(axis=0), close),
        "close": close,
        "lots": rows["lots"].sum(axis=0),
        "value": rows["value"].sum(axis=0),
        "trades": rows["trades"].sum(axis=0),
    }
