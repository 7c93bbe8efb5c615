"""The files of a lake: which hold a span, and whether their rows can be trusted.

Must not know arrays, models or where rows came from. Called by feeds.lake and the lake's house-keeping.
A series is one file `<timeframe>.parquet`, or monthly parts `<timeframe>/<YYYY-MM>.parquet`, or both;
a part wins over the one file.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from core.clock import DAY, SECOND
from core.errors import DataError
from core.market import Timeframe

PRICES = ("open", "high", "low", "close")
MS = 1_000_000
"""Nanoseconds in the unit of `ts` of bars."""

_OPTIONAL = ("trades", "vwap")


class Broken(NamedTuple):
    """The first row that breaks a rule; `row` counts from 0 in its file."""

    path: Path
    rule: str
    row: int
    values: str

    def __str__(self) -> str:
        return f"lake: {self.path}: expected {self.rule}, found row={self.row} {self.values}"


def month_span(name: str) -> tuple[int, int]:
    """Give [start, end) of a month such as `2024-01` in ns UTC; ValueError for another name."""
    first = date.fromisoformat(f"{name}-01")
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    epoch = date(1970, 1, 1)
    return (first - epoch).days * DAY, (following - epoch).days * DAY


def day_start(name: str) -> int:
    """Give the first ns of a day such as `2024-01-31`; ValueError for another name."""
    return (date.fromisoformat(name) - date(1970, 1, 1)).days * DAY


def parts(folder: Path, start: int | None = None, end: int | None = None) -> list[Path]:
    """List the monthly parts of a folder that can hold rows of [start, end), in time order."""
    found = []
    for path in sorted(folder.glob("????-??.parquet")):
        try:
            first, following = month_span(path.stem)
        except ValueError:
            continue
        if (start is None or following > start) and (end is None or first < end):
            found.append(path)
    return found


def bar_files(folder: Path, timeframe: Timeframe, start: int | None, end: int | None) -> list[Path]:
    """List the files that can hold bars of [start, end): the one file, then the monthly parts."""
    whole = folder / f"{timeframe.value}.parquet"
    return [*([whole] if whole.is_file() else []), *parts(folder / timeframe.value, start, end)]


def read_bars(
    files: Sequence[Path], timeframe: Timeframe, start: int | None = None, end: int | None = None
) -> pl.DataFrame:
    """Read the bars of a span as they are stored; DataError for the first row that cannot be trusted."""
    tables = []
    for path in files:
        rows = _scanned(path, [*PRICES, "volume"], MS, start, end)
        if (bad := broken_bar(rows, path, timeframe)) is not None:
            raise DataError(str(bad))
        tables.append(rows.drop("row"))
    whole = pl.concat(tables, how="diagonal_relaxed")
    if len(tables) > 1:
        whole = whole.unique("ts", keep="last", maintain_order=True).sort("ts")
    return whole


def read_trades(path: Path, start: int | None = None, end: int | None = None) -> pl.DataFrame:
    """Read one file of trades; DataError for the first row that cannot be trusted."""
    rows = _scanned(path, ["trade_id", "price", "qty", "side", "market"], 1, start, end)
    if (bad := broken_trade(rows, path)) is not None:
        raise DataError(str(bad))
    return rows.drop("row")


def broken_bar(rows: pl.DataFrame, path: Path, timeframe: Timeframe) -> Broken | None:
    """Find the first row that breaks a rule of bars."""
    values = pl.col(*PRICES, "volume")
    rules = {
        "no null": pl.any_horizontal(pl.col("ts", *PRICES, "volume").is_null()),
        "finite numbers": pl.any_horizontal(~values.is_finite()),
        f"ts on the {timeframe.value} grid": pl.col("ts") % (timeframe.ns // MS) != 0,
        "ts above the row before": pl.col("ts").diff() <= 0,
        "low <= open, close <= high": (pl.col("high") < pl.max_horizontal("open", "close", "low"))
        | (pl.col("low") > pl.min_horizontal("open", "close", "high")),
        "low > 0": pl.col("low") <= 0,
        "volume >= 0": pl.col("volume") < 0,
    }
    return _first_broken(rows, path, rules, ("ts", *PRICES, "volume"))


def broken_trade(rows: pl.DataFrame, path: Path) -> Broken | None:
    """Find the first row that breaks a rule of trades."""
    rules = {
        "no null": pl.any_horizontal(pl.all().is_null()),
        "finite numbers": pl.any_horizontal(~pl.col("price", "qty").is_finite()),
        "ts not below the row before": pl.col("ts").diff() < 0,
        "price > 0": pl.col("price") <= 0,
        "qty >= 0": pl.col("qty") < 0,
        "side -1, 0 or 1": ~pl.col("side").is_in([-1, 0, 1]),
        "market -1, 0 or 1": ~pl.col("market").is_in([-1, 0, 1]),
    }
    return _first_broken(rows, path, rules, ("ts", "trade_id", "price", "qty", "side", "market"))


def broken_top(rows: pl.DataFrame, path: Path) -> Broken | None:
    """Find the first row that breaks a rule of tops of book."""
    values = pl.col("bid", "ask", "bid_qty", "ask_qty")
    rules = {
        "no null": pl.any_horizontal(pl.all().is_null()),
        "finite numbers": pl.any_horizontal(~values.is_finite()),
        "ts on the 1 s grid": pl.col("ts") % SECOND != 0,
        "ts above the row before": pl.col("ts").diff() <= 0,
        "0 < bid <= ask": (pl.col("bid") <= 0) | (pl.col("ask") < pl.col("bid")),
        "quantities >= 0": (pl.col("bid_qty") < 0) | (pl.col("ask_qty") < 0),
    }
    return _first_broken(rows, path, rules, ("ts", "bid", "ask", "bid_qty", "ask_qty"))


def misplaced(rows: pl.DataFrame, path: Path, span: tuple[int, int], unit: int) -> Broken | None:
    """Find the first row outside the span that its file is named for; `unit` is ns per `ts`."""
    first, following = span
    outside = (pl.col("ts") < first // unit) | (pl.col("ts") >= following // unit)
    return _first_broken(rows, path, {f"ts inside {path.stem}": outside}, ("ts",))


def repeated_trade(path: Path) -> Broken | None:
    """Find the first trade whose number the file already had."""
    numbered = scan(path, ["trade_id"]).filter(pl.col("trade_id") > 0).collect()
    again = numbered.filter(~pl.col("trade_id").is_first_distinct())
    return _first_broken(again, path, {"each trade_id once": pl.lit(value=True)}, ("ts", "trade_id"))


def asked(path: Path, what: Sequence[pl.Expr]) -> dict[str, Any]:
    """Give one row of answers about a file, by name."""
    table = scan(path, []).select(what)
    try:
        return table.collect().row(0, named=True)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _not_parquet(path, error) from error


def months_in(path: Path) -> list[str]:
    """List the months that a file of bars has rows of."""
    table = scan(path, []).select(pl.from_epoch("ts", "ms").dt.strftime("%Y-%m").alias("month"))
    try:
        return table.unique().sort("month").collect()["month"].to_list()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _not_parquet(path, error) from error


def numbered_bars(path: Path, start: int, end: int) -> pl.DataFrame:
    """Read the bars of a span with their row numbers, unchecked."""
    return _scanned(path, [*PRICES, "volume"], MS, start, end)


def scan(path: Path, columns: Sequence[str]) -> pl.LazyFrame:
    """Scan `ts`, these columns and the optional ones, with the row number; DataError where they lack."""
    try:
        table = pl.scan_parquet(path, row_index_name="row", glob=False)
        schema = table.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _not_parquet(path, error) from error
    numeric = {name for name, kind in schema.items() if kind.is_numeric()}
    lacking = sorted({*columns} - numeric | {"ts"} - {n for n, kind in schema.items() if kind.is_integer()})
    if lacking:
        found = ", ".join(f"{name} {kind}" for name, kind in schema.items())
        raise DataError(f"lake: {path}: expected numbers in the columns {', '.join(lacking)}, found {found}")
    return table.select("row", "ts", *columns, *(name for name in _OPTIONAL if name in numeric))


def _scanned(
    path: Path, columns: Sequence[str], unit: int, start: int | None, end: int | None
) -> pl.DataFrame:
    table = scan(path, columns)
    if start is not None:
        table = table.filter(pl.col("ts") >= -(-start // unit))
    if end is not None:
        table = table.filter(pl.col("ts") < -(-end // unit))
    try:
        return table.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _not_parquet(path, error) from error


def _not_parquet(path: Path, error: Exception) -> DataError:
    return DataError(f"lake: {path}: expected a Parquet file, found: {' '.join(str(error).split())}")


def _first_broken(
    rows: pl.DataFrame, path: Path, rules: dict[str, pl.Expr], shown: Sequence[str]
) -> Broken | None:
    for rule, breaks in rules.items():
        found = rows.filter(breaks).head(1)
        if len(found):
            values = " ".join(f"{name}={found[name][0]}" for name in shown)
            return Broken(path, rule, found["row"][0], values)
    return None


def batches(path: Path, columns: Sequence[str], size: int) -> Iterator[tuple[int, pl.DataFrame]]:
    """Give every row of a file in batches, and how many are new: one row overlaps for comparison."""
    table = scan(path, columns)
    try:
        count = table.select(pl.len()).collect().item()
        for first in range(0, max(count, 1), size):
            begin = max(0, first - 1)
            rows = table.slice(begin, first - begin + size).collect()
            yield len(rows) - (first - begin), rows
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _not_parquet(path, error) from error
