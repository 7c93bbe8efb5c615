"""A configuration under another fee schedule: what the exchange takes and what risk reckons with.

Must not know reports or files. Called by `trader backtest run --schedule` and by walk-forward runs.
"""

import msgspec

from core.errors import UsageError
from trader.config import Config
from venue.exchange_fees import SCHEDULES


def with_schedule(config: Config, name: str) -> Config:
    """Give the configuration with a named schedule; raises UsageError for a name that is none."""
    if name not in SCHEDULES:
        raise UsageError(f"expected a fee schedule of {', '.join(SCHEDULES)}; found {name!r}")
    fees = SCHEDULES[name].fees
    rates = {"taker_fee": float(fees.taker), "maker_fee": float(fees.maker)}
    traders = tuple(
        trader.model_copy(update={"policy": msgspec.structs.replace(trader.policy, **rates)})
        for trader in config.traders
    )
    exchange = config.exchange.model_copy(update={"schedule": name})
    return config.model_copy(update={"exchange": exchange, "traders": traders})
