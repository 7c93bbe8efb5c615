"""Trades of one connection's symbols: each seen once, in order, and no hole unnoticed.

Must not know subscriptions or bars. Owned by venue.public. Ids outlive a connection: the venue
counts trades per book without gaps, so the snapshot of a new subscription (the last fifty) tells
what was missed and mostly brings it along.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from core.market import Trade
from venue import wire


class TradeGap(msgspec.Struct, frozen=True):
    """Trades between two ids were never seen."""

    instrument: str
    last_id: int
    next_id: int
    since: int
    until: int


class Read(NamedTuple):
    """What one frame held. `old` trades were missed before and caught up with now."""

    trades: tuple[Trade, ...] = ()
    old: tuple[Trade, ...] = ()
    gaps: tuple[TradeGap, ...] = ()
    impossible: tuple[wire.TradeRow, ...] = ()
    repeated: int = 0
    covered: tuple[str, ...] = ()


class Prints:
    """The newest id and time of each symbol."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int]] = {}
        self._unheard: frozenset[str] = frozenset()

    def restart(self) -> None:
        """Begin a new connection: the first trade of each symbol may be numbered anew."""
        self._unheard = frozenset(self._last)

    def knows(self, symbol: str) -> bool:
        """Tell whether a trade of it was ever seen, so that a snapshot can be joined to it."""
        return symbol in self._last

    def read(self, frame: wire.TradeFrame) -> Read:
        """Take one frame in."""
        if frame.type == "snapshot":
            return self._snapshot(frame.data)
        trades, gaps, odd, repeated = self._rows(frame.data)
        return Read(tuple(trades), (), tuple(gaps), tuple(odd), repeated)

    def _snapshot(self, data: Iterable[wire.TradeRow]) -> Read:
        """Join the last trades to what is known; a first snapshot is only where to count from."""
        rows = sorted(data, key=lambda row: row.trade_id)
        symbols = tuple(dict.fromkeys(row.symbol for row in rows))
        fresh = {symbol for symbol in symbols if symbol not in self._last}
        for row in rows:
            if row.symbol in fresh and (made := _trade(row)) is not None:
                self._last[row.symbol] = (row.trade_id, made.ts_event)
        old, gaps, odd, _ = self._rows(row for row in rows if row.symbol not in fresh)
        self._unheard -= set(symbols)
        return Read((), tuple(old), tuple(gaps), tuple(odd), 0, symbols)

    def _rows(
        self, rows: Iterable[wire.TradeRow]
    ) -> tuple[list[Trade], list[TradeGap], list[wire.TradeRow], int]:
        trades: list[Trade] = []
        gaps: list[TradeGap] = []
        odd: list[wire.TradeRow] = []
        repeated = 0
        for row in rows:
            trade = _trade(row)
            if trade is None:
                odd.append(row)
                continue
            symbol, number, ts_event = row.symbol, row.trade_id, trade.ts_event
            last_id, since = self._last.get(symbol, (number - 1, ts_event))
            if number <= last_id:
                if symbol not in self._unheard or ts_event <= since:
                    repeated += 1
                    continue
                last_id = 0  # numbered anew: what came between cannot be told from the ids
            if number != last_id + 1:
                gaps.append(TradeGap(symbol, last_id, number, since, ts_event))
            if symbol in self._unheard:
                self._unheard -= {symbol}
            self._last[symbol] = (number, ts_event)
            trades.append(trade)
        return trades, gaps, odd, repeated


def _trade(row: wire.TradeRow) -> Trade | None:
    try:
        ts_event = wire.timestamp_ns(row.timestamp)
    except ValueError:
        return None
    if not wire.datable(ts_event) or not wire.possible(row.price, row.qty) or row.qty == 0:
        return None
    return Trade(row.symbol, ts_event, row.price, row.qty, row.side, row.trade_id)
