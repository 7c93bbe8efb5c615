"""One account at the exchange model: money, positions, margin, order history.

Must not know quotes, matching or time. Called by the exchange; the loopback reads it for REST.
Plain spot orders move balances. Margin orders move positions: netted per instrument at average
cost (core.portfolio) where no margin rules are given, else one position per opening trade, closed
first in, first out, with the net view kept beside them.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import takewhile

import msgspec

from core.events import Fill
from core.instrument import Instrument
from core.orders import OrderState, Side
from core.portfolio import Portfolio, Position, apply_fill, cost_share
from venue.exchange_limits import EngineCounter
from venue.exchange_orders import ZERO, ExchangeOrder, Execution, LedgerLine, ledger_id
from venue.exchange_positions import FEE_GRID, MarginPosition, MarginRules, TradeBalance
from venue.exchange_volume import Volume

MARGIN_LEVERAGE_CAP = 5  # what Kraken's `margin: true` borrows at most, whatever the pair offers
HISTORY = 10_000
"""Closed orders and fills kept per account for queries; older ones are forgotten."""


class ExchangeAccount:
    """Money and orders of one client. Mutable, owned by the exchange."""

    def __init__(
        self,
        name: str,
        portfolio: Portfolio,
        *,
        history: int = HISTORY,
        margin: MarginRules | None = None,
        counter: EngineCounter | None = None,
    ) -> None:
        self.name = name
        self.portfolio = portfolio
        self.margin = margin
        self.counter = counter
        self.assets: dict[str, Decimal] = {}  # spot holdings other than the quote currency
        self.open: dict[str, ExchangeOrder] = {}  # by order id, oldest first
        self.closed: deque[ExchangeOrder] = deque(maxlen=history)
        self.executions: deque[Execution] = deque(maxlen=history)
        self.ledger: deque[LedgerLine] = deque(maxlen=2 * history)
        self.positions: dict[str, MarginPosition] = {}  # by id, oldest first; only with margin rules
        self.volume = Volume()
        self.switch: int | None = None  # when the dead man's switch fires
        self._index: dict[str, ExchangeOrder] = {}

    @property
    def fills(self) -> Iterable[Fill]:
        """What was filled, oldest first."""
        return (execution.fill for execution in self.executions)

    def fills_since(self, ts: int) -> tuple[Fill, ...]:
        """Give what was filled at `ts` or later, oldest first; looks at no older ones but one."""
        newest_first = (execution.fill for execution in reversed(self.executions))
        return tuple(takewhile(lambda fill: fill.ts_event >= ts, newest_first))[::-1]

    # ---- orders ----

    def find(self, key: str) -> ExchangeOrder | None:
        """Give the newest order with this client or order id, open or closed."""
        return self._index.get(key)

    def referring(self, userref: int) -> list[ExchangeOrder]:
        """Give the open orders with this user reference, oldest first."""
        return [order for order in self.open.values() if order.terms.userref == userref]

    def add(self, order: ExchangeOrder) -> None:
        """Take a new open order in; a client id may be used again once its order is closed."""
        self.open[order.order_id] = order
        self._index[order.order_id] = order
        if order.submit.cl_ord_id:
            self._index[order.submit.cl_ord_id] = order

    def close(self, order: ExchangeOrder) -> None:
        """Move an order that reached a terminal state to the history."""
        del self.open[order.order_id]
        if len(self.closed) == self.closed.maxlen:
            oldest = self.closed[0]
            for key in (oldest.order_id, oldest.submit.cl_ord_id):
                if self._index.get(key) is oldest:
                    del self._index[key]
        self.closed.append(order)

    def uses(self, cl_ord_id: str) -> bool:
        """Tell whether an open order has this client id (unique over open orders only)."""
        found = self._index.get(cl_ord_id)
        return found is not None and found.state is OrderState.WORKING

    # ---- margin ----

    def closable(self, instrument: str, side: Side) -> Decimal:
        """Give how much a fill on this side would shrink the position, at most."""
        held = self.portfolio.quantity(instrument)
        return abs(held) if held * side.sign < 0 else ZERO

    def closing(self, instrument: str, side: Side) -> list[MarginPosition]:
        """Give the positions that a fill on this side closes, in the order in which it does."""
        return [p for p in self.positions.values() if p.instrument == instrument and p.side is not side]

    def used_margin(self, instruments: Mapping[str, Instrument]) -> Decimal:
        """Give the collateral that open positions tie up: cost over leverage."""
        if self.margin is not None:
            return sum((p.margin for p in self.positions.values()), ZERO)
        held = self.portfolio.positions.values()
        return sum((p.cost / leverage(instruments[p.instrument]) for p in held), ZERO)

    def margin_left(
        self, instruments: Mapping[str, Instrument], marks: Mapping[str, Decimal]
    ) -> tuple[Decimal, Decimal | None]:
        """Give free margin and margin level; the level only where margin rules ask for it."""
        if self.margin is None:
            return self.portfolio.equity(marks) - self.used_margin(instruments), None
        balance = self.trade_balance(instruments, marks)
        return balance.free, balance.level

    def trade_balance(
        self, instruments: Mapping[str, Instrument], marks: Mapping[str, Decimal]
    ) -> TradeBalance:
        """Give the margin figures; `marks` are prices of instruments, of held assets too.

        Cash counts in full. Other assets count by their collateral share, where rules are given.
        """
        cash, shares = self.portfolio.cash, self.margin.collateral if self.margin is not None else {}
        worth = (
            {
                instrument.base: self.assets[instrument.base] * marks[symbol]
                for symbol, instrument in instruments.items()
                if symbol in marks and self.assets.get(instrument.base)
            }
            if self.assets
            else {}
        )
        positions = self.portfolio.positions.values()
        return TradeBalance(
            everything=cash + sum(worth.values(), ZERO),
            collateral=cash + sum((shares.get(a, ZERO) * value for a, value in worth.items()), ZERO),
            used=self.used_margin(instruments),
            unrealised=self.portfolio.equity(marks) - cash,
            cost=sum((p.cost for p in positions), ZERO),
            value=self.portfolio.notional(marks),
            unexecuted=sum((o.remaining * (o.limit_price or ZERO) for o in self.open.values()), ZERO),
        )

    def holds(self, asset: str, instruments: Mapping[str, Instrument]) -> Decimal:
        """Give what open spot orders reserve of an asset."""
        total = ZERO
        for order in self.open.values():
            instrument = instruments[order.submit.instrument]
            if order.submit.margin:
                continue
            if order.submit.side is Side.SELL and instrument.base == asset:
                total += order.remaining
            elif order.submit.side is Side.BUY and instrument.quote == asset and order.limit_price:
                total += order.remaining * order.limit_price
        return total

    # ---- booking ----

    def book(self, execution: Execution, instrument: Instrument) -> tuple[Execution, tuple[LedgerLine, ...]]:
        """Book a fill and give it back with the positions that it touched, and its ledger lines."""
        fill, before = execution.fill, self.portfolio.cash
        self.volume.add(fill.ts_event, fill.price * fill.quantity)
        if not execution.order.submit.margin:
            lines = self._exchange(fill, instrument)
        else:
            if self.margin is None:
                self.portfolio, _ = apply_fill(self.portfolio, fill)
            else:
                execution = self._on_margin(execution, instrument, self.margin)
            moved = self.portfolio.cash - before + fill.fee
            lines = (self._line(fill, 0, "margin", instrument.quote, moved),)
        self.executions.append(execution)
        self.ledger.extend(lines)
        return execution, lines

    def _exchange(self, fill: Fill, instrument: Instrument) -> tuple[LedgerLine, ...]:
        sign = fill.side.sign
        self.assets[instrument.base] = self.assets.get(instrument.base, ZERO) + fill.quantity * sign
        self._pay(fill.quantity * fill.price * sign + fill.fee, fee=fill.fee)
        return (
            self._line(fill, 0, "trade", instrument.base, fill.quantity * sign),
            self._line(fill, 1, "trade", instrument.quote, -fill.quantity * fill.price * sign),
        )

    def _on_margin(self, execution: Execution, instrument: Instrument, rules: MarginRules) -> Execution:
        fill, left, profit, closed, trips = execution.fill, execution.fill.quantity, ZERO, [], 0
        for position in self.closing(fill.instrument, fill.side):
            if left == 0:
                break
            part = min(left, position.remaining)
            profit += position.close(part, fill.price, fill.fee * part / fill.quantity, fill.exec_id)
            closed.append(position.position_id)
            left -= part
            if position.remaining == 0:
                del self.positions[position.position_id]
                trips += 1
        opened = None
        if left > 0:
            lent = instrument.quote if fill.side is Side.BUY else instrument.base
            opened = MarginPosition(
                position_id=fill.exec_id,
                order_id=fill.order_id,
                instrument=fill.instrument,
                side=fill.side,
                order_type=execution.order.submit.order_type,
                opened=fill.ts_event,
                leverage=execution.leverage,
                quantity=left,
                cost=left * fill.price,
                fee=fill.fee * left / fill.quantity,
                rate=rules.rate(lent),
                rolls=fill.ts_event + rules.period_ns,
            )
            self.positions[opened.position_id] = opened
        self._pay(fill.fee - profit, fee=fill.fee, profit=profit, trips=trips)
        self._net(fill.instrument)
        margin = opened.margin if opened is not None else ZERO
        return msgspec.structs.replace(execution, opened=opened, closed=tuple(closed), margin=margin)

    def roll(self, position: MarginPosition, ref_id: str, ts: int, quote: str) -> LedgerLine:
        """Charge a position for another period; its rate was locked when it was opened."""
        fee = (position.open_cost * position.rate).quantize(FEE_GRID)
        position.fee += fee
        self._pay(fee, fee=fee)
        line = LedgerLine(ledger_id(ref_id, 0), ref_id, ts, "rollover", quote, ZERO, fee, self.portfolio.cash)
        self.ledger.append(line)
        return line

    def settle(
        self,
        positions: Iterable[MarginPosition],
        quantity: Decimal,
        instrument: Instrument,
        ref_id: str,
        ts: int,
    ) -> tuple[LedgerLine, ...]:
        """Repay positions from balances, oldest first: a long's cost in cash, a short's in kind."""
        left, units, money = quantity, ZERO, ZERO
        for position in positions:
            part = min(left, position.remaining)
            left -= part
            cost = cost_share(position.open_cost, part, position.remaining)
            units, money = units + part * position.side.sign, money - cost * position.side.sign
            position.close(part, cost / part, ZERO, ref_id)
            if position.remaining == 0:
                del self.positions[position.position_id]
            if left == 0:
                break
        self.assets[instrument.base] = self.assets.get(instrument.base, ZERO) + units
        self._pay(-money, fee=ZERO)
        self._net(instrument.symbol)
        lines = (
            LedgerLine(
                ledger_id(ref_id, 0),
                ref_id,
                ts,
                "settled",
                instrument.base,
                units,
                ZERO,
                self.assets[instrument.base],
            ),
            LedgerLine(
                ledger_id(ref_id, 1),
                ref_id,
                ts,
                "settled",
                instrument.quote,
                money,
                ZERO,
                self.portfolio.cash,
            ),
        )
        self.ledger.extend(lines)
        return lines

    def _pay(self, amount: Decimal, *, fee: Decimal, profit: Decimal = ZERO, trips: int = 0) -> None:
        held = self.portfolio
        self.portfolio = msgspec.structs.replace(
            held,
            cash=held.cash - amount,
            fees=held.fees + fee,
            realised=held.realised + profit,
            round_trips=held.round_trips + trips,
        )

    def _net(self, symbol: str) -> None:
        """Bring the net view of one instrument up to its positions."""
        parts = [p for p in self.positions.values() if p.instrument == symbol]
        others = {name: held for name, held in self.portfolio.positions.items() if name != symbol}
        if parts:
            others[symbol] = Position(
                instrument=symbol,
                quantity=sum((p.remaining * p.side.sign for p in parts), ZERO),
                cost=sum((p.open_cost for p in parts), ZERO),
                opened=parts[0].opened,
                fees=sum((p.fee for p in parts), ZERO),
            )
        self.portfolio = msgspec.structs.replace(self.portfolio, positions=others)

    def _line(self, fill: Fill, leg: int, kind: str, asset: str, amount: Decimal) -> LedgerLine:
        """Give a ledger line; fees are charged on the cash leg, which is every leg's last."""
        base = leg == 0 and kind == "trade"
        return LedgerLine(
            ledger_id=ledger_id(fill.exec_id, leg),
            ref_id=fill.exec_id,
            ts=fill.ts_event,
            kind=kind,
            asset=asset,
            amount=amount,
            fee=ZERO if base else fill.fee,
            balance=self.assets[asset] if base else self.portfolio.cash,
        )


def leverage(instrument: Instrument) -> int:
    """Give the leverage of `margin: true` on this instrument."""
    return max(1, min(instrument.max_leverage, MARGIN_LEVERAGE_CAP))
