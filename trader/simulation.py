"""What the configuration says to the simulated exchange, in its own words.

Must not know sockets or strategies. Called by `trader loopback`.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from core.errors import ConfigError
from trader.config import Config
from venue.loopback import LoopbackSettings, Synthetic
from venue.loopback_keys import LoopbackAccount


def loopback_settings(config: Config, env: Mapping[str, str]) -> LoopbackSettings:
    """Give the loopback's settings; accounts are served only where orders travel to the venue.

    Raises ConfigError for a configuration that is not of the loopback or has no lake, NotPermitted
    where an account's key or secret is missing.
    """
    table = config.exchange
    if config.venue.name != "loopback":
        raise ConfigError(f"venue.name: expected 'loopback'; found '{config.venue.name}'")
    if table.lake is None and not table.synthetic:
        raise ConfigError("exchange.lake: expected a folder of recorded bars; found none")
    return LoopbackSettings(
        lake=table.lake or Path(),
        synthetic=Synthetic(table.synthetic, table.trades_per_s) if table.synthetic else None,
        venue=table.source,
        symbols=config.universe.instruments,
        accounts=_accounts(config, env) if config.execution.style == "venue" else {},
        port=urlsplit(config.venue.rest).port or 0,
        market_epoch=config.clock.market_epoch,
        wall_epoch=config.clock.wall_epoch,
        speed=config.clock.speed,
        seed=table.seed,
        latency_ns=table.latency_ns,
        fees=table.fees,
    )


def _accounts(config: Config, env: Mapping[str, str]) -> dict[str, LoopbackAccount]:
    made = {}
    for account in config.accounts:
        key, secret = account.credentials(env)
        made[account.name] = LoopbackAccount(key.get_secret_value(), secret.get_secret_value(), account.cash)
    return made
