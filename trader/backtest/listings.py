"""What was listed when: a backtest enters only what a trader could have found at that moment.

Must not know the desk. Called by trader.backtest.run. The lake's `listings.jsonl` is the history that a
daemon keeps (feeds.universe); without it a run trades what the configuration names, all the time.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from core.instrument import Instrument
from feeds import universe

FILE = "listings.jsonl"
UNLISTED = "not listed"
SURVIVORS = (
    "Survivors: the lake has no history of listings, so pairs were chosen by what is known today. "
    "Pairs that failed are missing, which makes results look better than they were."
)
POINT_IN_TIME = (
    "Listings: a pair is entered only while it was listed by the lake's listings.jsonl; before that "
    "history begins, the pairs of its first day count as listed."
)


class Relisting(NamedTuple):
    """Instruments whose status changes at a moment, ns UTC."""

    ts: int
    instruments: tuple[Instrument, ...]


def relistings(
    lake_root: Path, instruments: Mapping[str, Instrument], start: int, end: int
) -> list[Relisting] | None:
    """Give the changes of status at `start` and in (start, end], None where nobody kept a history."""
    file = lake_root / FILE
    if not file.is_file():
        return None
    history = universe.read(file.read_bytes(), str(file))
    moments = history.moments()
    if not moments:
        return None
    before = frozenset(instruments)
    found = []
    for ts in [start, *(ts for ts in moments if start < ts <= end)]:
        now = history.at(max(ts, moments[0])) & instruments.keys()
        changed = _changed(instruments, before ^ now, now)
        if changed:
            found.append(Relisting(ts, changed))
        before = now
    return found


def _changed(
    instruments: Mapping[str, Instrument], symbols: frozenset[str], now: frozenset[str]
) -> tuple[Instrument, ...]:
    return tuple(
        instruments[symbol]
        if symbol in now
        else msgspec.structs.replace(instruments[symbol], status=UNLISTED)
        for symbol in sorted(symbols)
    )
