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
_SECOND_NS = 1_000_000_000
_LAST = 2**62
_SHARED = 50_000
"""How many moments that several sources tell are united at once: bounds the memory of a merge."""


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
            _merge(folder / f"{name}.parquet", part, _join_fuller if fuller else _join_newer)
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
            _merge(folder / f"{name}.parquet", part, _join_trades)
            for name, part in _split(rows, "ns", "%Y-%m")
        )

    def merge_tops(self, venue: str, instrument: str, rows: pl.DataFrame) -> Merged:
        """Merge tops of book by day; where two have the same `ts`, the newer row wins."""
        rows = _shaped(rows, TOPS, {}, f"tops of {instrument}")
        folder = self._folder("tops", venue, instrument)
        return _total(
            _merge(folder / f"{name}.parquet", part, _join_newer)
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
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"lake: {path}: expected a Parquet file, found: {reason}") from error


class _Join(NamedTuple):
    rows: pl.DataFrame
    replaced: int


def _merge(
    path: Path, rows: pl.DataFrame, join: Callable[[pl.DataFrame | None, pl.DataFrame], _Join]
) -> Merged:
    """Merge into one file, alone: recorder, fetch and import may share a lake."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _opened(path.parent) as folder:
        fcntl.flock(folder, fcntl.LOCK_EX)
        old = read_parquet(path) if path.is_file() else None
        joined = join(old, rows)
        merged = joined.rows.select(name for name in joined.rows.columns if not _empty(joined.rows[name]))
        if old is None or not merged.equals(old):
            write_parquet(path, merged)
        added = max(0, len(merged) - (0 if old is None else len(old)))
        return Merged(added, joined.replaced, max(0, len(rows) - added - joined.replaced))


def _join_newer(old: pl.DataFrame | None, rows: pl.DataFrame) -> _Join:
    both = rows if old is None else pl.concat([_like(old, rows), rows])
    best = both.unique("ts", keep="last", maintain_order=True).sort("ts")
    return _Join(best, 0 if old is None else _changed(old, best, "ts"))


def _join_fuller(old: pl.DataFrame | None, rows: pl.DataFrame) -> _Join:
    both = rows if old is None else pl.concat([_like(old, rows), rows])
    # Ties are broken by the values, so that the order of arrival never shows.
    rank = ("trades", "volume", "high", "low", "open", "close", "vwap")
    best = both.sort("ts", *rank, nulls_last=False).unique("ts", keep="last", maintain_order=True)
    return _Join(best, 0 if old is None else _changed(old, best, "ts"))


def _join_trades(old: pl.DataFrame | None, rows: pl.DataFrame) -> _Join:
    if old is None and rows["ts"].is_sorted() and not (rows["trade_id"] > 0).any():
        return _Join(rows, 0)
    if old is not None and (glued := _glued(old, rows)) is not None:
        return _Join(glued, 0)
    back = (pl.col("ts").diff() < 0).fill_null(value=False)
    both = rows.with_columns(source=(back.cum_sum() + 1).cast(pl.UInt32))
    if old is not None:
        both = pl.concat([old.with_columns(source=pl.lit(0, pl.UInt32)), both])
    if not (both["trade_id"] > 0).any():
        return _Join(_united(both).drop("source").sort("ts", maintain_order=True), 0)
    numbered = both.filter(pl.col("trade_id") > 0).unique("trade_id", keep="last", maintain_order=True)
    bare = both.filter(pl.col("trade_id") <= 0)
    seconds = numbered["ts"].unique() // _SECOND_NS
    displaced = (pl.col("ts") // _SECOND_NS).is_in(seconds.implode())
    replaced = bare.filter(displaced & (pl.col("source") == 0)).height
    if old is not None:
        replaced += _changed(old.filter(pl.col("trade_id") > 0), numbered.drop("source"), "trade_id")
    whole = pl.concat([_united(bare.filter(~displaced)), numbered]).drop("source")
    return _Join(whole.sort("ts", "trade_id", maintain_order=True), replaced)


def _glued(old: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame | None:
    """Put two sources together where they tell the same about the time they share, which is usual.

    None where they do not, or where trades with numbers would have to displace others.
    """
    if not (old["ts"].is_sorted() and rows["ts"].is_sorted()):
        return None
    begin, end = max(old["ts"][0], rows["ts"][0]), min(old["ts"][-1], rows["ts"][-1])
    cuts = [
        (int(one["ts"].search_sorted(begin, "left")), int(one["ts"].search_sorted(end, "right")))
        for one in (old, rows)
    ]
    if begin > end:
        cuts = [(len(one), len(one)) if one["ts"][-1] < begin else (0, 0) for one in (old, rows)]
    (first, last), (other_first, other_last) = cuts
    shared = old.slice(first, last - first)
    if not shared.equals(rows.slice(other_first, other_last - other_first)):
        return None
    before = old.head(first) if first else rows.head(other_first)
    after = old.slice(last) if last < len(old) else rows.slice(other_last)
    if len(before) + len(shared) + len(after) == max(len(old), len(rows)):
        return old if len(old) >= len(rows) else rows
    if (old["trade_id"] > 0).any() or (rows["trade_id"] > 0).any():
        return None
    return pl.concat([before, shared, after])


def _united(rows: pl.DataFrame) -> pl.DataFrame:
    """Give each trade without a number once, in the order of the source that tells most of its `ts`."""
    told = rows.select("ts", "source").filter(
        ((pl.col("ts").diff() != 0) | (pl.col("source").diff() != 0)).fill_null(value=True)
    )
    shared = told.filter(pl.col("ts").is_duplicated())["ts"].unique().sort()
    if shared.is_empty():
        return rows
    parts = [rows.filter(~pl.col("ts").is_in(shared.implode()))]
    for first in range(0, len(shared), _SHARED):
        some = rows.filter(pl.col("ts").is_in(shared[first : first + _SHARED].implode()))
        parts.append(_united_ts(some))
    return pl.concat(parts)


def _united_ts(rows: pl.DataFrame) -> pl.DataFrame:
    shared = rows.with_columns(
        place=pl.int_range(pl.len()).over("source", "ts"),
        nth=pl.int_range(pl.len()).over("source", "ts", "price", "qty"),
    )
    lists = shared.group_by("source", "ts", maintain_order=True).agg(
        pl.len().alias("told"), "price", "qty", "side", "market"
    )
    # Sources that tell as much and differ are ranked by their values: arrival must not show.
    descending = [False, True, False, False, False, False]
    ranked = lists.sort("ts", "told", "price", "qty", "side", "market", descending=descending).with_columns(
        rank=pl.int_range(pl.len()).over("ts")
    )
    return (
        shared.join(ranked.select("source", "ts", "rank"), on=["source", "ts"], maintain_order="left")
        .with_columns(place=pl.when(pl.col("rank") == 0).then("place").otherwise(_LAST))
        .sort("ts", "place", "price", "qty", "nth", "rank")
        .unique(["ts", "price", "qty", "nth"], keep="first", maintain_order=True)
        .select(rows.columns)
    )


def _changed(old: pl.DataFrame, new: pl.DataFrame, key: str) -> int:
    """Count the rows of `old` whose values differ in `new`."""
    kept = new.join(_like(old, new).select(key), on=key, how="semi")
    same = kept.join(_like(old, new), on=new.columns, how="semi", nulls_equal=True)
    return len(kept) - len(same)


def _like(rows: pl.DataFrame, model: pl.DataFrame) -> pl.DataFrame:
    """Give `rows` the columns of `model`; what they lack is null."""
    lacking = [
        pl.lit(None, kind).alias(name) for name, kind in model.schema.items() if name not in rows.columns
    ]
    return rows.with_columns(lacking).select(model.columns)


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
