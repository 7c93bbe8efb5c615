"""The exchange that a backtest trades on, as the configuration describes it.

Must not know the desk or bars. Called by trader.backtest.world.
"""

from collections.abc import Mapping

from core.instrument import Instrument
from trader.config import Config
from venue.exchange import Exchange
from venue.exchange_orders import FeeSchedule

MS = 1_000_000


def open_exchange(config: Config, instruments: Mapping[str, Instrument]) -> Exchange:
    """Give the exchange model that a configuration asks for, its accounts open."""
    table = config.exchange
    exchange = Exchange(
        instruments,
        fees=FeeSchedule(maker=table.maker_fee, taker=table.taker_fee),
        latency_ns=table.latency_ms * MS,
        seed=table.seed,
    )
    for account in config.accounts:
        exchange.open_account(account.name, account.cash)
    return exchange
