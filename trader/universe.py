"""What this daemon will trade: the venue's list, its turnovers, and the configured choice from them.

Must not know feeds or models. Called by trader.assemble before anything is made. Every start adds
what changed to the history of listings, so that later tests know what could be traded when.
"""

import os
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import NamedTuple, Protocol

import structlog

from core.clock import Clock
from core.errors import ConfigError, JournalError, Recoverable, VenueUnavailable
from core.instrument import Instrument
from feeds import universe
from feeds.universe import Filters, Market
from trader.config import Config
from trader.statedir import StatePaths
from trader.tables import Universe as UniverseTable

log = structlog.get_logger()


class Listed(Protocol):
    """Who lists pairs; venue.client.PublicRest."""

    async def asset_pairs(self) -> dict[str, Instrument]:
        """Give every tradable pair by its symbol."""
        ...

    async def turnovers(self) -> dict[str, Decimal]:
        """Give every pair's volume of the last 24 hours in quote currency."""
        ...


class Selection(NamedTuple):
    """The configuration with its universe spelt out, the instruments, and what ranks them."""

    config: Config
    instruments: dict[str, Instrument]
    turnovers: Mapping[str, Decimal]


async def select(
    config: Config, rest: Listed, paths: StatePaths, clock: Clock, *, kept: Collection[str] = ()
) -> Selection:
    """Ask the venue and choose; `kept` instruments (open positions and orders) stay whatever they are.

    Raises VenueUnavailable without a list of pairs, ConfigError where the choice is empty or unlisted.
    """
    name = config.venue.name
    try:
        listed = await rest.asset_pairs()
    except Recoverable as error:
        raise VenueUnavailable(f"expected {name} at {config.venue.rest}, found: {error}") from error
    turnovers = await _turnovers(rest)
    history = _observed(paths, listed, clock.now())
    if config.universe.every:
        found = universe.chosen(
            Market(listed, turnovers), _filters(config.universe, kept), history, clock.now()
        )
        if not found:
            raise ConfigError(
                f"universe: expected pairs that fit its filters, found none among {len(listed)}"
            )
        config = config.resolved(found)
        log.info("universe", instruments=len(found), listed=len(listed))
    if missing := [symbol for symbol in config.universe.instruments if symbol not in listed]:
        raise ConfigError(
            f"universe.instruments: expected pairs that {name} lists, found {', '.join(missing)}"
        )
    return Selection(config, {symbol: listed[symbol] for symbol in config.universe.instruments}, turnovers)


def _filters(table: UniverseTable, kept: Collection[str]) -> Filters:
    return Filters(
        quotes=table.quotes,
        minimum_turnover=table.minimum_turnover,
        maximum_minimum_cost=table.maximum_minimum_cost,
        minimum_leverage=table.minimum_leverage,
        minimum_age_days=table.minimum_age_days,
        include=(*table.include, *kept),
        exclude=tuple(symbol for symbol in table.exclude if symbol not in kept),
    )


async def _turnovers(rest: Listed) -> dict[str, Decimal]:
    """Give the last day's turnover of every pair; without it the configured order ranks them."""
    try:
        return await rest.turnovers()
    except Recoverable as error:
        log.warning("turnovers_not_served", reason=str(error))
        return {}


def _observed(paths: StatePaths, listed: Collection[str], now: int) -> universe.Universe:
    """Read the history of listings and add what is new."""
    file = paths.listings
    try:
        known = file.read_bytes() if file.exists() else b""
        history = universe.read(known, str(file))
        news = universe.written(history.observe(listed, now))
        whole = known.rfind(b"\n") + 1
        with file.open("r+b" if known else "wb") as opened:
            opened.truncate(whole)  # of a line that a crash tore
            opened.seek(whole)
            opened.write(news)
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        raise JournalError(f"{file}: expected a file that can be written, found: {error.strerror}") from error
    return history
