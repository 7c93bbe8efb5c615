"""The exchange that a backtest trades on, as the configuration describes it.

Must not know the desk or bars. Called by trader.backtest.world.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec

from core.instrument import Instrument
from trader.config import Config
from venue.exchange import Exchange
from venue.exchange_orders import Change

IMPACT = Decimal(1)
"""Spreads that a taker pays further for all that one quote offers (trader.backtest.quotes.DEPTH_S)."""


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
