"""The exchange that a backtest trades on, as the configuration describes it.

Must not know the desk or bars. Called by trader.backtest.world.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

import msgspec

from core.instrument import Instrument
from core.orders import Purpose, Side, SubmitOrder
from core.portfolio import ZERO
from trader.config import Config
from venue.exchange import NOBODY, Exchange
from venue.exchange_orders import Change

IMPACT = Decimal(1)
"""Spreads that a taker pays further for all that one quote offers (trader.backtest.quotes.DEPTH_S)."""


class Stake(msgspec.Struct):
    """What the way through a bar depends on: what is held, and prices at which something happens.

    `held` is the sum of all accounts, `limits` holds resting orders' prices with their sides, `positions`
    what each account holds; an entry on its way counts as if it had filled. Mutable while it is put
    together.
    """

    held: Decimal = ZERO
    stops: list[Decimal] = []
    limits: list[tuple[Decimal, Side]] = []
    positions: dict[str, Decimal] = {}

    @property
    def against(self) -> frozenset[str]:
        """The accounts whose position lies against the sum.

        The price goes first to the extreme that hurts the sum, which is the good one to these.
        """
        if len(self.positions) < 2:
            return NOBODY
        sign = 1 if self.held >= 0 else -1
        return frozenset(name for name, quantity in self.positions.items() if quantity * sign < 0)

    def hold(self, account: str, quantity: Decimal) -> None:
        """Add a signed quantity of an account."""
        self.held += quantity
        self.positions[account] = self.positions.get(account, ZERO) + quantity


def stakes(exchange: Exchange, accounts: Iterable[str], sent: Iterable[SubmitOrder]) -> dict[str, Stake]:
    """Give every instrument that something could happen to; `sent` are the orders that have not ended."""
    found: dict[str, Stake] = {}
    for order in sent:
        stake = found.setdefault(order.instrument, Stake())
        if order.purpose is Purpose.ENTRY:  # it may fill in this bar, whose bad extreme comes first
            stake.hold(order.account, order.quantity * order.side.sign)
    for name in accounts:
        account = exchange.account(name)
        for symbol, position in account.portfolio.positions.items():
            found.setdefault(symbol, Stake()).hold(name, position.quantity)
        for resting in account.open.values():
            stake = found.setdefault(resting.submit.instrument, Stake())
            if resting.trigger_price is not None and resting.waits_for_trigger:
                stake.stops.append(resting.trigger_price)
            elif (limit := resting.resting_limit) is not None:
                stake.limits.append((limit, resting.submit.side))
    return found


def open_exchange(
    config: Config,
    instruments: Mapping[str, Instrument],
    listener: Callable[[Change], None] | None = None,
) -> Exchange:
    """Give the exchange model that a configuration asks for, its accounts open.

    `listener` is told of every change at the moment it happens, before the desk can know it.
    """
    table = config.exchange
    exchange = Exchange(
        instruments,
        fees=table.fees,
        latency_ns=table.latency_ns,
        latency_sigma=table.latency_sigma,
        rules=msgspec.structs.replace(table.rules, impact=IMPACT),
        seed=table.seed,
        listener=listener,
    )
    for account in config.accounts:
        exchange.open_account(account.name, account.cash)
    return exchange
