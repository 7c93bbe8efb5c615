"""What a lake holds: rows, span, files and bytes of each series and tape, from the files' own footers.

Must not know rules. Called by `trader data list`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict

import polars as pl

from core.text import iso
from feeds import lake_rows
from feeds.lake import Lake
from feeds.lake_rows import MS


class Holding(TypedDict):
    """One series of bars, or one tape of trades."""

    venue: str
    instrument: str
    kind: str
    """A timeframe, or `trades`."""
    rows: int
    first: str
    last: str
    files: int
    bytes: int


def census(root: Path) -> Iterator[Holding]:
    """Count everything, bars first; DataError for a file that is not Parquet."""
    lake = Lake(root)
    for one in lake.series():
        yield _counted(one.venue, one.instrument, one.timeframe.value, lake.files(one), MS)
    for venue, instrument in lake.tapes():
        yield _counted(venue, instrument, "trades", lake.tape_files(venue, instrument), 1)


def _counted(venue: str, instrument: str, kind: str, files: Sequence[Path], unit: int) -> Holding:
    asked = (pl.len().alias("rows"), pl.col("ts").min().alias("first"), pl.col("ts").max().alias("last"))
    counts = [lake_rows.asked(path, asked) for path in files]
    first = min((one["first"] for one in counts if one["rows"]), default=None)
    last = max((one["last"] for one in counts if one["rows"]), default=None)
    return {
        "venue": venue,
        "instrument": instrument,
        "kind": kind,
        "rows": sum(one["rows"] for one in counts),
        "first": "" if first is None else iso(first * unit),
        "last": "" if last is None else iso(last * unit),
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
    }
