"""One account of a backtest, to the last digit: round trips, equity by the hour, drawdown.

Must not know the desk, the exchange or files. Filled by trader.backtest.books while the exchange
trades and by the World with marks; read by BacktestResult and turned into the frames of a RunRecord.

Nothing is divided before it is shown: a trip sums price x quantity, so that the net of all trips is
the equity less the starting cash, exactly, as long as a sum has no more than 28 digits.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import polars as pl

from core.clock import HOUR
from core.errors import InternalError
from core.events import Fill
from core.orders import Purpose, Side, SubmitOrder
from core.portfolio import ZERO
from trader.backtest.record import Trip

_ENDED_BY = {Purpose.STOP: "stop", Purpose.TARGET: "target"}

Schema = Mapping[str, type[pl.DataType]]
CurveRow = tuple[int, float, float, float]
"""Hour's end, equity, gross exposure, fees paid so far."""
PairRow = tuple[int, float, float, float]
"""Hour's end, net so far (open profit too), fees paid so far, signed exposure."""


class _Running(msgspec.Struct):
    """A trip under way; `held` is what is open of the `entered` quantity, both positive."""

    trader: str
    instrument: str
    side: Side
    opened: int
    prediction_id: str
    held: Decimal = ZERO
    entered: Decimal = ZERO
    bought_for: Decimal = ZERO  # value of what entered
    left_for: Decimal = ZERO  # value of what has left
    entry: Decimal = ZERO
    exit: Decimal = ZERO
    fees: Decimal = ZERO
    margin_fees: Decimal = ZERO
    slippage: Decimal = ZERO
    mark: Decimal = ZERO
    fills: int = 0

    @property
    def exposure(self) -> Decimal:
        """Signed worth of what is open."""
        return self.held * self.mark * self.side.sign

    @property
    def gross(self) -> Decimal:
        """Profit of prices, what is open at its mark."""
        return (self.left_for + self.held * self.mark - self.bought_for) * self.side.sign

    @property
    def net(self) -> Decimal:
        """Profit after fees, what is open at its mark."""
        return self.gross - self.fees - self.margin_fees


class Ledger:
    """One account as its fills, rollovers and marks tell it. Mutable, one owner.

    `closed` counts trips that reached flat, `wins` those of them with a net above 0.
    """

    def __init__(self, account: str, cash: Decimal) -> None:
        self.account = account
        self.start = cash
        self.fees = ZERO
        self.fills = 0
        self.wins = 0
        self.closed = 0
        self.margin_calls = 0
        self.drawdown = 0.0
        self.trips: list[Trip] = []
        self.curve: list[CurveRow] = []
        self.pairs: dict[str, list[PairRow]] = {}
        self._earned = ZERO  # net of the trips that are done
        self._peak = cash
        self._open: dict[str, _Running] = {}
        self._done: dict[str, tuple[Decimal, Decimal]] = {}  # net and fees of done trips
        self._hour = 0
        self._changed: dict[str, None] = {}

    @property
    def equity(self) -> Decimal:
        """Starting cash and the net of all trips, open ones at their last mark."""
        return self.start + self._earned + sum((trip.net for trip in self._open.values()), ZERO)

    @property
    def marks(self) -> dict[str, Decimal]:
        """The marks of what is open."""
        return {symbol: trip.mark for symbol, trip in self._open.items()}

    def on_fill(
        self,
        fill: Fill,
        mid: Decimal | None,
        order: SubmitOrder,
        *,
        lending: Decimal = ZERO,
        ended_by: str = "",
        reason: str = "",
    ) -> None:
        """Fold one fill in, with the mid that it met; `lending` is the part of its fee for margin.

        `ended_by` and `reason` say why a position ends here; without them the order's purpose does.
        A fill that is larger than the position ends one trip and begins another.
        """
        self._pass(fill.ts_event)
        self.fills += 1
        trip = self._open.get(fill.instrument)
        left, fee = fill.quantity, fill.fee - lending
        if trip is not None and trip.side is not fill.side:
            closing = min(left, trip.held)
            paid = fee if closing == left else (fee * closing / left).quantize(fee)
            _leave(trip, fill, closing, mid, fee=paid)
            left, fee = left - closing, fee - paid
            self.fees += paid
            if trip.held == 0:
                self._end(trip, fill.ts_event, ended_by or _ENDED_BY.get(order.purpose, "opinion"), reason)
                trip = None
        if left > 0:
            if trip is None:
                trip = self._open[fill.instrument] = _Running(
                    order.trader, fill.instrument, fill.side, fill.ts_event, order.prediction_id
                )
            _enter(trip, fill, left, mid, fee=fee)
            fee += lending
            trip.margin_fees += lending
            self.fees += fee
        self._changed[fill.instrument] = None
        self._measure()

    def on_rollover(self, ts: int, instrument: str, fee: Decimal) -> None:
        """Charge an open position for another period; InternalError if there is none."""
        trip = self._open.get(instrument)
        if trip is None:
            raise InternalError(f"expected an open position that rolls over, found none in {instrument}")
        self._pass(ts)
        trip.margin_fees += fee
        self.fees += fee
        self._changed[instrument] = None
        self._measure()

    def on_marks(self, ts: int, marks: Mapping[str, Decimal]) -> None:
        """Value what is open; marks of anything else are not looked at."""
        if not self._open:
            return
        self._pass(ts)
        for symbol, trip in self._open.items():
            mark = marks.get(symbol)
            if mark is not None and mark != trip.mark:
                trip.mark = mark
                self._changed[symbol] = None
        self._measure()

    def finish(self, ts: int, marks: Mapping[str, Decimal]) -> None:
        """Value what is still open at the end, write the last hour, and end the trips by `end`."""
        self.on_marks(ts, marks)
        self._flush()
        for trip in list(self._open.values()):
            self._end(trip, max(ts, trip.opened), "end", "")  # an order of the last close fills after it

    def _end(self, trip: _Running, ts: int, ended_by: str, reason: str) -> None:
        open_ = trip.held != 0
        self.closed += not open_
        self.wins += not open_ and trip.net > 0
        value = trip.left_for + trip.held * trip.mark
        ended = Trip(
            account=self.account,
            trader=trip.trader,
            instrument=trip.instrument,
            side="long" if trip.side is Side.BUY else "short",
            opened=trip.opened,
            closed=ts,
            quantity=trip.entered,
            entry=_average(trip.bought_for, trip.entered, trip.entry),
            exit=_average(value, trip.entered, trip.mark if open_ else trip.exit),
            gross=trip.gross,
            fees=trip.fees or ZERO,  # a nought of eight decimals reads badly
            margin_fees=trip.margin_fees or ZERO,
            slippage=trip.slippage,
            turnover=trip.bought_for + trip.left_for,
            ended_by=ended_by,
            reason=reason,
            fills=trip.fills,
            prediction_id=trip.prediction_id,
        )
        self.trips.append(ended)
        self._earned += ended.net
        net, fees = self._done.get(trip.instrument, (ZERO, ZERO))
        self._done[trip.instrument] = net + ended.net, fees + ended.fees + ended.margin_fees
        del self._open[trip.instrument]

    def _measure(self) -> None:
        equity = self.equity
        if equity >= self._peak:
            self._peak = equity
        else:
            self.drawdown = max(self.drawdown, float(1 - equity / self._peak))

    def _pass(self, ts: int) -> None:
        """Write the row of the hour that is over; what happens on the hour still belongs to it."""
        if ts > self._hour:
            self._flush()
            self._hour = -(-ts // HOUR) * HOUR

    def _flush(self) -> None:
        if not self._changed:
            return
        open_ = self._open.values()
        exposure = sum((abs(trip.exposure) for trip in open_), ZERO)
        self.curve.append((self._hour, float(self.equity), float(exposure), float(self.fees)))
        for symbol in self._changed:
            net, fees = self._done.get(symbol, (ZERO, ZERO))
            trip = self._open.get(symbol)
            if trip is not None:
                net, fees = net + trip.net, fees + trip.fees + trip.margin_fees
            row = (self._hour, float(net), float(fees), float(trip.exposure if trip else ZERO))
            self.pairs.setdefault(symbol, []).append(row)
        self._changed.clear()


CURVE: Schema = {
    "ts": pl.Int64,
    "account": pl.String,
    "equity": pl.Float64,
    "exposure": pl.Float64,
    "fees": pl.Float64,
}
PAIRS: Schema = {
    "ts": pl.Int64,
    "instrument": pl.String,
    "net": pl.Float64,
    "fees": pl.Float64,
    "exposure": pl.Float64,
}


def curve_rows(ledgers: Iterable[Ledger]) -> tuple[tuple[Any, ...], ...]:
    """Give the rows of all accounts with the columns of CURVE, by time, then account."""
    rows = ((ts, ledger.account, *figures) for ledger in ledgers for ts, *figures in ledger.curve)
    return tuple(sorted(rows, key=lambda row: row[:2]))


def pairs_rows(ledgers: Sequence[Ledger]) -> tuple[tuple[Any, ...], ...]:
    """Give the rows of all instruments with the columns of PAIRS, accounts added up."""
    symbols = sorted({symbol for ledger in ledgers for symbol in ledger.pairs})
    rows = (
        (ts, symbol, *figures)
        for symbol in symbols
        for ts, *figures in _summed([ledger.pairs.get(symbol, []) for ledger in ledgers])
    )
    return tuple(sorted(rows, key=lambda row: row[:2]))


def framed(rows: Sequence[tuple[Any, ...]], schema: Schema) -> pl.DataFrame:
    """Give rows as a frame."""
    return pl.DataFrame(rows, schema=dict(schema), orient="row")


def _summed(accounts: Sequence[Sequence[PairRow]]) -> list[PairRow]:
    """Add accounts' rows up at every hour of any of them, each filled forward."""
    if sum(map(bool, accounts)) == 1:
        return list(next(rows for rows in accounts if rows))
    latest: list[PairRow] = [(0, 0.0, 0.0, 0.0)] * len(accounts)
    found: dict[int, PairRow] = {}
    for row, number in sorted((row, number) for number, rows in enumerate(accounts) for row in rows):
        latest[number] = row
        net, fees, exposure = (sum(known[place] for known in latest) for place in (1, 2, 3))
        found[row[0]] = (row[0], net, fees, exposure)
    return list(found.values())


def _enter(trip: _Running, fill: Fill, quantity: Decimal, mid: Decimal | None, *, fee: Decimal) -> None:
    trip.entry = fill.price if trip.entered == 0 or trip.entry == fill.price else ZERO
    trip.held += quantity
    trip.entered += quantity
    trip.bought_for += quantity * fill.price
    _meet(trip, fill, quantity, mid, fee=fee)


def _leave(trip: _Running, fill: Fill, quantity: Decimal, mid: Decimal | None, *, fee: Decimal) -> None:
    trip.exit = fill.price if trip.left_for == 0 or trip.exit == fill.price else ZERO
    trip.held -= quantity
    trip.left_for += quantity * fill.price
    _meet(trip, fill, quantity, mid, fee=fee)


def _meet(trip: _Running, fill: Fill, quantity: Decimal, mid: Decimal | None, *, fee: Decimal) -> None:
    trip.fees += fee
    trip.fills += 1
    trip.mark = fill.price if mid is None else mid
    trip.slippage += (fill.price - trip.mark) * quantity * fill.side.sign


def _average(value: Decimal, quantity: Decimal, alone: Decimal) -> Decimal:
    """Give the price of one unit; `alone` is the only price there was, 0 where there were several."""
    return alone or round(value / quantity, 10)
