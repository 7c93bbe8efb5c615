"""What series of bars a lake offers to training, and reading them up to where the vault begins.

Must not know features, labels or models. Called by training.provenance and by whoever builds a panel.
"""

from pathlib import Path

import msgspec

from core.errors import DataError
from core.market import Timeframe
from core.text import iso
from feeds.ingest_report import blocking
from feeds.lake import BarArrays, Lake, Series


class Source(msgspec.Struct, frozen=True):
    """Which bars. No `instruments` are all that there are; `vault_start` (ns) is not even read.

    `waived` names series that may be used although their ingestion report blocks them.
    """

    venue: str
    timeframe: Timeframe
    instruments: tuple[str, ...] = ()
    vault_start: int | None = None
    waived: tuple[str, ...] = ()


def offered(root: Path, venue: str, timeframe: Timeframe) -> tuple[str, ...]:
    """List the instruments that a lake has at this venue and timeframe, sorted."""
    return tuple(one.instrument for one in Lake(root).series() if one[::2] == (venue, timeframe))


def read(root: Path, source: Source) -> list[BarArrays]:
    """Read the bars, an instrument each; DataError where the lake lacks them or its report blocks them."""
    there = offered(root, source.venue, source.timeframe)
    wanted = source.instruments or there
    absent = sorted(set(wanted) - set(there))
    if absent or not wanted:
        raise DataError(
            f"lake: expected {source.venue} {source.timeframe.value} bars of "
            f"{', '.join(absent) or 'anything'} in {root}; found {', '.join(there) or 'nothing'}"
        )
    series = [Series(source.venue, instrument, source.timeframe) for instrument in wanted]
    if blocked := blocking(root, series, source.waived):
        found = "; ".join(map(str, blocked))
        raise DataError(
            f"lake: expected series within the limits of the ingestion report; found {found}. "
            f"Mend the data, or waive by name: --waive {blocked[0].name}"
        )
    lake = Lake(root)
    bars = [lake.read(*one, end=source.vault_start) for one in series]
    if not all(map(len, bars)):
        raise DataError(f"lake: expected bars before the vault at {iso(source.vault_start or 0)}; found none")
    return bars
