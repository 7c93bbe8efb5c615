"""The lender's side of margin: rollover fees, margin calls, liquidation.

Must not know requests or clients. Called by venue.exchange, where margin rules are in force.
Positions roll every four hours at the rate of their opening; at the stop level the oldest one is
closed at market, whatever its pair, then the next, until the level is above it again.
https://support.kraken.com/hc/en-us/articles/203325763, https://support.kraken.com/articles/206161568
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from core.events import VenuePosition
from core.orders import OrderType, Purpose, Side, SubmitOrder, TimeInForce
from core.portfolio import Portfolio
from venue.exchange_account import ExchangeAccount, leverage
from venue.exchange_matching import Matcher
from venue.exchange_orders import Change, ChangeKind, record
from venue.exchange_positions import MarginPosition, MarginRules
from venue.exchange_rules import lent
from venue.exchange_terms import Terms

_NO_DEADLINE = (1 << 63) - 1
_NEVER = Decimal("Infinity")


class _Room(NamedTuple):
    """Prices between which each held instrument may move; they hold as long as the portfolio is this one."""

    portfolio: Portfolio
    bounds: Mapping[str, tuple[Decimal, Decimal]]


class Lender:
    """Watches accounts that owe. Owns nothing: positions are the accounts'."""

    def __init__(
        self, core: Matcher, rules: MarginRules, later: Callable[[str, MarginPosition], None]
    ) -> None:
        self._core = core
        self._rules = rules
        self._rooms: dict[str, _Room] = {}
        self._called: set[str] = set()
        self._later = later  # a position whose next rollover is due at `rolls`

    def adopt(self, account: ExchangeAccount, positions: Iterable[VenuePosition]) -> None:
        """Take over what an earlier process lent, as if it had been lent now and for no fee."""
        core = self._core
        for held in positions:
            instrument, side = core.instruments[held.instrument], Side.BUY if held.quantity > 0 else Side.SELL
            position = MarginPosition(
                position_id=core.identifier("T"),
                order_id="",
                instrument=held.instrument,
                side=side,
                order_type=OrderType.MARKET,
                opened=core.now,
                leverage=leverage(instrument),
                quantity=abs(held.quantity),
                cost=held.cost,
                fee=Decimal(0),
                rate=self._rules.rate(lent(side, instrument)),
                rolls=core.now + self._rules.period_ns,
            )
            account.positions[position.position_id] = position
            core.opened.append((account.name, position))
        self.plan()

    def plan(self) -> None:
        """Plan the first rollover of positions that were opened since the last call."""
        while self._core.opened:
            self._later(*self._core.opened.pop())

    def roll(self, account: ExchangeAccount, position_id: str) -> None:
        """Charge a position for its next period, unless it was closed meanwhile."""
        core, position = self._core, account.positions.get(position_id)
        if position is None:
            return
        position.rolls += self._rules.period_ns
        if self._rules.fees:
            quote = core.instruments[position.instrument].quote
            line = account.roll(position, core.identifier("R"), core.now, quote)
            core.notify(
                Change(
                    core.now,
                    ChangeKind.ROLLED,
                    account.name,
                    ledger=(line,),
                    instrument=position.instrument,
                )
            )
        self._later(account.name, position)

    def watch(self, symbol: str) -> None:
        """Liquidate what the new price of an instrument has brought to the stop level."""
        for account in self._core.accounts.values():
            if symbol in account.portfolio.positions and not self._is_safe(account, symbol):
                self._warn(account)
                self._watch(account)
                self._rooms[account.name] = self._room(account)

    def called(self, account: ExchangeAccount) -> bool:
        """Tell whether an account is under margin call: warned, not yet closed."""
        level = self._level(account)
        return level is not None and level <= self._rules.call_level

    def _warn(self, account: ExchangeAccount) -> None:
        """Tell once that an account has come under margin call."""
        if not self.called(account):
            self._called.discard(account.name)
        elif account.name not in self._called:
            self._called.add(account.name)
            self._core.notify(Change(self._core.now, ChangeKind.MARGIN_CALL, account.name))

    def _is_safe(self, account: ExchangeAccount, symbol: str) -> bool:
        """Tell whether the price is still where it cannot have brought the account to a margin call."""
        room = self._rooms.get(account.name)
        if room is None or room.portfolio is not account.portfolio or symbol not in room.bounds:
            return False
        (low, high), mid = room.bounds[symbol], self._core.markets[symbol].mid
        return mid is not None and low < mid < high

    def _room(self, account: ExchangeAccount) -> "_Room":
        """Share out what the account may lose before a margin call: to each position the same."""
        core, portfolio = self._core, account.portfolio
        marks = core.marks(account)
        balance = account.trade_balance(core.instruments, marks)
        spare = balance.equity - balance.used * self._rules.call_level / 100
        bounds: dict[str, tuple[Decimal, Decimal]] = {}
        if spare > 0 and not account.assets:
            for symbol, held in portfolio.positions.items():
                if symbol in marks:
                    far = spare / len(portfolio.positions) / abs(held.quantity)
                    low, high = (
                        (marks[symbol] - far, _NEVER) if held.quantity > 0 else (-_NEVER, marks[symbol] + far)
                    )
                    bounds[symbol] = low, high
        return _Room(portfolio, bounds)

    def _watch(self, account: ExchangeAccount) -> None:
        for position in list(account.positions.values()):
            level = self._level(account)
            if level is None or level > self._rules.stop_level:
                return
            if position.remaining and not self._closing(account, position):
                self._liquidate(account, position)

    def _level(self, account: ExchangeAccount) -> Decimal | None:
        core = self._core
        return account.trade_balance(core.instruments, core.marks(account)).level

    def _closing(self, account: ExchangeAccount, position: MarginPosition) -> bool:
        return any(
            order.terms.liquidation and order.submit.instrument == position.instrument
            for order in account.open.values()
        )

    def _liquidate(self, account: ExchangeAccount, position: MarginPosition) -> None:
        core = self._core
        submit = SubmitOrder(
            account=account.name,
            trader="",
            cl_ord_id="",
            instrument=position.instrument,
            side=position.side.opposite,
            quantity=position.remaining,
            order_type=OrderType.MARKET,
            purpose=Purpose.EXIT,
            time_in_force=TimeInForce.GTC,
            deadline=_NO_DEADLINE,
            reduce_only=True,
            leverage=position.leverage,
        )
        terms = Terms(liquidation=True)
        order = record(submit, core.identifier("O"), core.now, terms)
        core.enter(order)
        core.tell(ChangeKind.ACCEPTED, order)
        core.work(order, core.markets[position.instrument], maker=False)
