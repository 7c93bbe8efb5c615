"""Write access to a lake: monthly Parquet files, merged row by row, atomic and repeatable.

Must not know where rows come from. Called by the importers of feeds, the recorder and `trader data`.
A file is a pure function of its rows: merging the same rows twice, in another order or after a kill
leaves the same bytes. Rows of one call count as one source; see `merge_trades`.
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl

from core.clock import DAY
from core.errors import DataError
from feeds.lake import Series
from feeds.shards_join import Join, fuller_bars, newer_rows, united_trades

BARS = {
    "ts": pl.Int64(),
    "open": pl.Float64(),
    "high": pl.Float64(),
    "low": pl.Float64(),
    "close": pl.Float64(),
    "volume": pl.Float64(),
}
BARS_OPTIONAL = {"trades": pl.Int32(), "vwap": pl.Float64()}
TRADES = {
    "ts": pl.Int64(),
    "trade_id": pl.Int64(),
    "price": pl.Float64(),
    "qty": pl.Float64(),
    "side": pl.Int8(),
    "market": pl.Int8(),
}
TOPS = {
    "ts": pl.Int64(),
    "bid": pl.Float64(),
    "ask": pl.Float64(),
    "bid_qty": pl.Float64(),
    "ask_qty": pl.Float64(),
}
_ROW_GROUP = 131_072
UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What Polars raises over a damaged file; a panic is no Exception and would end the process."""


class Merged(NamedTuple):
    """What became of the rows of one call."""

    added: int
    replaced: int
    repeated: int


class Shards:
    """Write access to a lake: monthly Parquet files, merged row by row, atomic and repeatable."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def merge_bars(self, series: Series, rows: pl.DataFrame, *, fuller: bool = False) -> Merged:
        """Merge bars; where two have the same `ts`, the newer row wins.

        With `fuller` the bar of more trades (then more volume) wins instead, whichever came first:
        the rule for archives, whose last bar may have been cut off.
        """
        rows = _shaped(rows, BARS, BARS_OPTIONAL, f"bars of {series.instrument}")
        folder = self._folder("ohlcv", series.venue, series.instrument) / series.timeframe.value
        return _total(
            _merge(folder / f"{name}.parquet", part, fuller_bars if fuller else newer_rows)
            for name, part in _split(rows, "ms", "%Y-%m")
        )

    def merge_trades(self, venue: str, instrument: str, rows: pl.DataFrame) -> Merged:
        """Merge trades: numbered ones by `trade_id`, the others by position among their equals.

        Rows without a number that share ts, price and qty are different trades when one source
        holds several, and the same trades when two sources do. A step back in time inside `rows`
        counts as the seam of two sources. The order of the source is kept within one `ts`. In a
        second that has numbered trades, those without a number are dropped.
        """
        rows = _shaped(rows, TRADES, {}, f"trades of {instrument}")
        folder = self._folder("trades", venue, instrument)
        return _total(
            _merge(folder / f"{name}.parquet", part, united_trades)
            for name, part in _split(rows, "ns", "%Y-%m")
        )

    def merge_tops(self, venue: str, instrument: str, rows: pl.DataFrame) -> Merged:
        """Merge tops of book by day; where two have the same `ts`, the newer row wins."""
        rows = _shaped(rows, TOPS, {}, f"tops of {instrument}")
        folder = self._folder("tops", venue, instrument)
        return _total(
            _merge(folder / f"{name}.parquet", part, newer_rows)
            for name, part in _split(rows, "ns", "%Y-%m-%d")
        )

    def _folder(self, kind: str, venue: str, instrument: str) -> Path:
        return self.root / kind / venue / instrument.replace("/", "-")


def write_parquet(path: Path, rows: pl.DataFrame) -> None:
    """Put `rows` at `path`: whole or not at all, and the same bytes for the same rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.tmp")
    with draft.open("wb") as file:
        rows.rechunk().write_parquet(file, compression="snappy", row_group_size=_ROW_GROUP, statistics=True)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    with _opened(path.parent) as folder:
        os.fsync(folder)


def read_parquet(path: Path) -> pl.DataFrame:
    """Read a file of the lake; DataError where it is not Parquet."""
    try:
        return pl.read_parquet(path)
    except (*UNREADABLE, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"lake: {path}: expected a Parquet file, found: {reason}") from error


def _merge(
    path: Path, rows: pl.DataFrame, join: Callable[[pl.DataFrame | None, pl.DataFrame], Join]
) -> Merged:
    """Merge into one file, alone: recorder, fetch and import may share a lake."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _opened(path.parent) as folder:
        fcntl.flock(folder, fcntl.LOCK_EX)
        old = _stored(path) if path.is_file() else None
        try:
            joined = join(old, rows)
        except UNREADABLE as error:
            reason = " ".join(str(error).split())
            raise DataError(f"lake: {path}: expected the columns of the lake, found: {reason}") from error
        merged = joined.rows.select(name for name in joined.rows.columns if not _empty(joined.rows[name]))
        if old is None or not merged.equals(old):
            write_parquet(path, merged)
        added = max(0, len(merged) - (0 if old is None else len(old)))
        return Merged(added, joined.replaced, max(0, len(rows) - added - joined.replaced))


def _stored(path: Path) -> pl.DataFrame | None:
    """Read a file to merge into, None if it has no rows; DataError where it cannot be of this lake."""
    old = read_parquet(path)
    kind = old.schema.get("ts")
    if kind != pl.Int64() or old["ts"].has_nulls():
        raise DataError(f"lake: {path}: expected the columns of the lake, found ts as {kind}")
    return None if old.is_empty() else old


def _empty(column: pl.Series) -> bool:
    return column.null_count() == len(column)


def _shaped(
    rows: pl.DataFrame, needed: Mapping[str, pl.DataType], optional: Mapping[str, pl.DataType], what: str
) -> pl.DataFrame:
    """Give the columns of the lake in their order and types; DataError for what cannot be stored."""
    lacking = [name for name in needed if name not in rows.columns]
    if lacking:
        raise DataError(
            f"lake: {what}: expected the columns {', '.join(needed)}; found none of {', '.join(lacking)}"
        )
    whole = {**needed, **optional}
    absent = [pl.lit(None, kind).alias(name) for name, kind in optional.items() if name not in rows.columns]
    try:
        shaped = rows.with_columns(absent).select(pl.col(name).cast(kind) for name, kind in whole.items())
    except pl.exceptions.PolarsError as error:
        raise DataError(f"lake: {what}: expected numbers, found: {' '.join(str(error).split())}") from error
    floats = [name for name, kind in needed.items() if kind.is_float()]
    bad = shaped.filter(
        pl.any_horizontal(pl.col(*needed).is_null()) | ~pl.all_horizontal(pl.col(*floats).is_finite())
    )
    if len(bad):
        raise DataError(f"lake: {what}: expected numbers in every row, found {bad.row(0, named=True)}")
    return shaped


def _split(rows: pl.DataFrame, unit: Literal["ms", "ns"], name: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """Give the rows of each file in time order, as `(2024-01, rows)`; the order of the rows is kept."""
    days = rows["ts"] // (DAY // (1_000_000 if unit == "ms" else 1))
    if rows.is_empty():
        return
    files = days.unique().sort().cast(pl.Int32).cast(pl.Date).dt.strftime(name)
    if files.n_unique() == 1:
        yield files[0], rows
        return
    labelled = rows.with_columns(_file=days.cast(pl.Int32).cast(pl.Date).dt.strftime(name))
    for label in files.unique().sort():
        yield label, labelled.filter(pl.col("_file") == label).drop("_file")


def _total(parts: Iterable[Merged]) -> Merged:
    counts = [sum(column) for column in zip(*parts, strict=True)]
    return Merged(*counts) if counts else Merged(0, 0, 0)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)
