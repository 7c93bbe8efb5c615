"""Public REST answers about trades and the day's turnover, as values.

Must not know HTTP or retries. Called by venue.client. Rules: Kraken's pages "Get Recent Trades"
and "Get Ticker Information" (read 2026-11).
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from core.clock import SECOND
from core.errors import VenueError
from core.market import Trade
from core.orders import Side
from venue.rest import PairNames
from venue.wire import possible


class TradePage(NamedTuple):
    """One page of trades, oldest first; `last` is the cursor of the next page, to be used verbatim."""

    trades: tuple[Trade, ...]
    last: str


class TradeRow(msgspec.Struct, frozen=True, array_like=True):
    """A row of Trades; the time is read as text, for a float rounds it. Old rows have no id."""

    price: Decimal
    quantity: Decimal
    time: Decimal
    side: str
    order_type: str
    misc: str
    trade_id: int = 0


class Ticker(msgspec.Struct, frozen=True):
    """One row of Ticker: `v` and `p` hold volume and vwap of today and of the last 24 hours."""

    v: tuple[Decimal, Decimal]
    p: tuple[Decimal, Decimal]

    @property
    def turnover(self) -> Decimal:
        """Give the last day's volume in quote currency, 0 for figures that cannot be."""
        volume, price = self.v[1], self.p[1]
        return volume * price if price and possible(price, volume) else Decimal(0)


def trade_page(symbol: str, answer: Mapping[str, Any]) -> TradePage:
    """Read one page; raises VenueError where it is not as documented."""
    rows = next((value for key, value in answer.items() if key != "last"), None)
    if not isinstance(rows, msgspec.Raw):
        raise VenueError(f"expected trades of {symbol}, found only {sorted(answer)}")
    try:
        read = msgspec.json.decode(rows, type=tuple[TradeRow, ...])
        last = str(msgspec.json.decode(answer.get("last", msgspec.Raw(b'""'))))
    except msgspec.DecodeError as broken:
        raise VenueError(f"expected trades of {symbol} as documented, found: {broken}") from broken
    return TradePage(tuple(_trades(symbol, read)), last)


def _trades(symbol: str, rows: Iterable[TradeRow]) -> Iterable[Trade]:
    for row in rows:
        if possible(row.price, row.quantity) and row.quantity and 0 < row.time < 10**12:
            side = Side.BUY if row.side == "b" else Side.SELL
            yield Trade(symbol, int(row.time * SECOND), row.price, row.quantity, side, row.trade_id)


def turnovers(rows: Mapping[str, msgspec.Raw], names: PairNames) -> dict[str, Decimal]:
    """Give the last day's volume in quote currency by symbol, 0 where a row tells none.

    Row by row: one pair with an odd figure costs the others nothing.
    """
    return {names.symbol(name): _turnover(row) for name, row in rows.items()}


def _turnover(row: msgspec.Raw) -> Decimal:
    try:
        return msgspec.json.decode(row, type=Ticker).turnover
    except msgspec.DecodeError:
        return Decimal(0)
