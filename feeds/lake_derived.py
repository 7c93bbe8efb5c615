"""Hour bars (and other coarser ones) made of minutes once and kept: `<root>/derived/...`.

Must not know what they are for. Called by feeds.lake_export and whoever trains on hours.
One file for each month, named by the content of the minutes it was made of; a changed month is made
anew and its old file goes. Only one month is in memory at a time.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from core.market import Timeframe
from feeds import lake_rows
from feeds.archive_bars import coarser
from feeds.lake import Lake, Series
from feeds.shards import read_parquet, write_parquet

_RULE = b"coarser-1"
"""Part of every key: bars made by another rule are not these bars."""


class Derived:
    """Coarser bars of a lake's series, from the cache where they are current."""

    def __init__(self, root: Path) -> None:
        self._root = root / "derived"
        self._lake = Lake(root)

    def months(self, source: Series, timeframe: Timeframe) -> Iterator[tuple[str, pl.DataFrame]]:
        """Give each month of the source with its bars in `timeframe`; raises as Lake.read does."""
        self._lake.rows(source, start=0, end=0)  # refuse a series that is not there
        files: dict[str, list[Path]] = {}
        for path in self._lake.files(source):
            for month in lake_rows.months_in(path):
                files.setdefault(month, []).append(path)
        digests = {path: _digest(path) for paths in files.values() for path in paths}
        for month in sorted(files):
            yield month, self._month(source, timeframe, month, [digests[path] for path in files[month]])

    def rows(self, source: Series, timeframe: Timeframe) -> pl.DataFrame:
        """Give the bars of all months as one table; only bars with trades, nothing filled in."""
        return pl.concat([rows for _, rows in self.months(source, timeframe)], how="diagonal_relaxed")

    def _month(self, source: Series, timeframe: Timeframe, month: str, digests: list[bytes]) -> pl.DataFrame:
        words = (_RULE, source.timeframe.value.encode(), month.encode(), *digests)
        key = hashlib.sha256(b"\0".join(words)).hexdigest()[:16]
        folder = self._root / source.venue / source.instrument.replace("/", "-") / timeframe.value
        path = folder / f"{month}-{key}.parquet"
        if path.is_file():
            return read_parquet(path)
        start, end = lake_rows.month_span(month)
        made = coarser(self._lake.rows(source, start=start, end=end), timeframe)
        write_parquet(path, made)
        for old in folder.glob(f"{month}-*.parquet"):
            if old != path:
                old.unlink()
        return made


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
