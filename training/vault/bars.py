"""Which bars lie in the vault: the newest months of all series of one venue and timeframe together.

Must not know openings or who asks. Called by training.vault.cli and training.walkforward.
"""

from pathlib import Path
from typing import NamedTuple

from core.errors import DataError, UsageError
from core.market import Timeframe
from core.text import iso
from feeds.lake import BarArrays, Lake, Series
from training.dataset import fingerprint
from training.vault.log import MONTHS, start_of


class Shut(NamedTuple):
    """The span [start, end), ns UTC, of the instruments' bars that the vault holds."""

    venue: str
    timeframe: Timeframe
    instruments: tuple[str, ...]
    start: int
    end: int


def series_of(
    lake: Path, venue: str, timeframe: Timeframe, instruments: tuple[str, ...] = ()
) -> list[Series]:
    """Give the series of these instruments, of all without any named; DataError where one is absent."""
    found = {one.instrument: one for one in Lake(lake).series() if one[::2] == (venue, timeframe)}
    absent = [name for name in instruments if name not in found]
    if absent or not found:
        raise DataError(
            f"{lake}: expected {timeframe.value} bars of {venue} {', '.join(absent) or 'of any pair'}; "
            f"found {', '.join(found) or 'none'}"
        )
    return [found[name] for name in instruments or tuple(sorted(found))]


def shut(lake: Path, series: list[Series], *, months: int = MONTHS, start: int | None = None) -> Shut:
    """Give the vault of these series: their newest `months`, or everything from `start` on.

    A lake that ends where the vault begins keeps it as well as can be; UsageError for a start beyond that.
    """
    end = max(int(Lake(lake).read(*one).ts_close[-1]) for one in series)
    if months < 1:
        raise UsageError(f"vault: expected one month or more; found {months}")
    if start is not None and start > end:
        raise UsageError(
            f"vault: expected a start up to the newest bar's close at {iso(end)}; found {iso(start)}"
        )
    venue, _, timeframe = series[0]
    instruments = tuple(one.instrument for one in series)
    return Shut(venue, timeframe, instruments, start_of(end, months) if start is None else start, end)


def contents_hash(lake: Path, vault: Shut) -> str:
    """Give one SHA-256 over the bars in the vault."""
    return fingerprint([_read(lake, vault, name) for name in vault.instruments])


def _read(lake: Path, vault: Shut, instrument: str) -> BarArrays:
    return Lake(lake).read(vault.venue, instrument, vault.timeframe, start=vault.start, end=vault.end)
