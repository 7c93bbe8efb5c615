"""The desk that trades a fold: a configuration with its model, instruments, threshold and fees put in.

Must not know how models or thresholds come about. Called by training.walkforward.fold.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from core.errors import ConfigError
from feeds.lake import Lake, Series
from trader.backtest.schedules import with_schedule
from trader.config import Config, load


def desk(path: Path, venue: str, instruments: Sequence[str], model: Path) -> Config:
    """Give the desk of one trader with these instruments, on an account in their quote currency.

    Nothing but the file speaks: no environment. ConfigError unless it has one account and one trader and
    all instruments one quote.
    """
    quotes = {symbol.partition("/")[2] for symbol in instruments}
    if len(quotes) != 1:
        found = ", ".join(sorted(quotes))
        raise ConfigError(f"walk-forward: expected pairs of one quote currency; found {found}")
    (quote,) = quotes
    plain = load([path], {})
    if len(plain.accounts) != 1 or len(plain.traders) != 1:
        raise ConfigError(f"{path}: expected one account with one trader; found {len(plain.traders)} traders")
    put_in = {
        "universe.instruments": list(instruments),
        "exchange.source": venue,
        f"account.{plain.accounts[0].name}.currency": quote,
    }
    config = load([path], {}, put_in)
    return config.with_model(config.traders[0].name, model)


def acting(config: Config, schedule: str, min_confidence: float) -> Config:
    """Give the desk at a schedule's fees that acts from this confidence on."""
    (trader,) = config.traders
    policy = msgspec.structs.replace(trader.policy, min_confidence=min_confidence)
    sure = config.model_copy(update={"traders": (trader.model_copy(update={"policy": policy}),)})
    return with_schedule(sure, schedule)


@contextmanager
def only(lake: Path, series: Sequence[Series]) -> Iterator[Path]:
    """Give a lake that holds these series alone: the engine takes the finest bars that it finds."""
    with tempfile.TemporaryDirectory(prefix="seamark-lake-") as name:
        root, source = Path(name), Lake(lake)
        for one in series:
            for file in source.files(one):
                place = root / file.resolve().relative_to(lake.resolve())
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(file.resolve())
        yield root
