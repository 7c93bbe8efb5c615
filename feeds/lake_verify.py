"""Every row of a lake against its rules, and its timeframes against each other.

Must not know why somebody asks. Called by `trader data verify`. Constant memory: files are read in
batches, timeframes are compared month by month.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl

from core.clock import DAY
from core.errors import DataError
from core.market import Timeframe
from feeds import lake_rows
from feeds.archive_bars import coarser
from feeds.lake import Lake, Series
from feeds.lake_rows import MS, PRICES, Broken

BATCH = 500_000
PRICE_TOLERANCE = 1e-6
"""Relative; a lake may store prices as float32."""
VOLUME_TOLERANCE = 1e-4
"""Relative; sums of thousands of float32 volumes."""
_BOUNDS = {"high": 1.0, "low": -1.0, "volume": 1.0}
"""What some parts of a bar cannot exceed, whatever the others were."""


class Finding(msgspec.Struct, frozen=True):
    """The first bad row of a file; `row` counts from 0 and is -1 where the file itself is bad."""

    file: str
    row: int
    rule: str
    found: str


class Checked(NamedTuple):
    """One file, or one pair of timeframes, how many rows were checked, and what is wrong."""

    name: str
    rows: int
    finding: Finding | None


def checks(root: Path) -> list[Callable[[], Checked]]:
    """Plan every check of a lake: bars, trades, tops of book, agreement of timeframes."""
    lake = Lake(root)
    plan: list[Callable[[], Checked]] = []
    for series in lake.series():
        plan += [
            partial(_checked, root, path, partial(_bars, path, series.timeframe))
            for path in lake.files(series)
        ]
    for venue, instrument in lake.tapes():
        plan += [
            partial(_checked, root, path, partial(_trades, path))
            for path in lake.tape_files(venue, instrument)
        ]
    tops = sorted((root / "tops").glob("*/*/????-??-??.parquet"))
    plan += [partial(_checked, root, path, partial(_tops, path)) for path in tops]
    pairs: dict[tuple[str, str], list[Series]] = {}
    for series in lake.series():
        pairs.setdefault((series.venue, series.instrument), []).append(series)
    for finest, *others in pairs.values():
        plan += [partial(_agreement, root, lake, finest, other) for other in others]
    return plan


def _checked(root: Path, path: Path, check: Callable[[], Iterator[tuple[int, Broken | None]]]) -> Checked:
    name, rows = str(path.relative_to(root)), 0
    try:
        for count, broken in check():
            rows += count
            if broken is not None:
                return Checked(
                    name, rows, Finding(name, broken.row, f"expected {broken.rule}", broken.values)
                )
    except DataError as error:
        return Checked(name, rows, Finding(name, -1, "expected a file of the lake", str(error)))
    return Checked(name, rows, None)


def _bars(path: Path, timeframe: Timeframe) -> Iterator[tuple[int, Broken | None]]:
    monthly = path.parent.name == timeframe.value
    for count, rows in lake_rows.batches(path, [*PRICES, "volume"], BATCH):
        yield count, lake_rows.broken_bar(rows, path, timeframe)
        if monthly:
            yield 0, lake_rows.misplaced(rows, path, lake_rows.month_span(path.stem), MS)


def _trades(path: Path) -> Iterator[tuple[int, Broken | None]]:
    for count, rows in lake_rows.batches(path, ["trade_id", "price", "qty", "side", "market"], BATCH):
        yield count, lake_rows.broken_trade(rows, path)
        yield 0, lake_rows.misplaced(rows, path, lake_rows.month_span(path.stem), 1)
    yield 0, lake_rows.repeated_trade(path)


def _tops(path: Path) -> Iterator[tuple[int, Broken | None]]:
    first = lake_rows.day_start(path.stem)
    for count, rows in lake_rows.batches(path, ["bid", "ask", "bid_qty", "ask_qty"], BATCH):
        yield count, lake_rows.broken_top(rows, path)
        yield 0, lake_rows.misplaced(rows, path, (first, first + DAY), 1)


def _agreement(root: Path, lake: Lake, finest: Series, other: Series) -> Checked:
    """Compare a timeframe with the bars that the finest one makes."""
    name = f"{other.venue}/{other.instrument}: {other.timeframe.value} of {finest.timeframe.value}"
    rows = 0
    try:
        for count, finding in _disagreements(root, lake, finest, other):
            rows += count
            if finding is not None:
                return Checked(name, rows, finding)
    except DataError:
        pass  # the check of the file itself says so
    return Checked(name, rows, None)


def _disagreements(
    root: Path, lake: Lake, finest: Series, other: Series
) -> Iterator[tuple[int, Finding | None]]:
    for path in lake.files(other):
        for month in lake_rows.months_in(path):
            start, end = lake_rows.month_span(month)
            if not lake.files(finest, start=start, end=end):
                continue
            fine = lake.rows(finest, start=start, end=end)
            if fine.is_empty():
                continue
            told = lake_rows.numbered_bars(path, start, end)
            yield _compared(root, path, fine, told, finest.timeframe, other.timeframe)


def _compared(
    root: Path, path: Path, fine: pl.DataFrame, told: pl.DataFrame, part: Timeframe, whole: Timeframe
) -> tuple[int, Finding | None]:
    """Compare bars: equal where the parts are known to be whole, and never less than its parts.

    Parts are whole when all of them are there, or when they count as many trades as the bar.
    """
    made = coarser(fine, whole)
    length = whole.ns // MS
    parts = fine.group_by(pl.col("ts") // length * length).agg(pl.len().alias("parts"))
    both = told.join(made, on="ts", suffix="_made").join(parts, on="ts").sort("ts")
    complete = pl.col("parts") == whole.ns // part.ns
    if {"trades", "trades_made"} <= set(both.columns):
        complete |= pl.col("trades") == pl.col("trades_made")
    exact = both.select(complete.fill_null(value=False)).to_series().to_numpy()
    differs = np.zeros(len(both), np.bool_)
    for name in (*PRICES, "volume"):
        one, other = both[name].cast(pl.Float64).to_numpy(), both[f"{name}_made"].to_numpy()
        tolerance = VOLUME_TOLERANCE if name == "volume" else PRICE_TOLERANCE
        room = tolerance * np.maximum(np.abs(one), np.abs(other)) + 1e-12
        differs |= exact & (np.abs(one - other) > room)
        if name in _BOUNDS:
            differs |= _BOUNDS[name] * (other - one) > room
    if not differs.any():
        return len(both), None
    row = both.row(int(differs.argmax()), named=True)
    values = " ".join(f"{name}={row[name]}/{row[f'{name}_made']}" for name in (*PRICES, "volume"))
    rule = f"expected {whole.value} bars as {part.value} bars make them"
    return len(both), Finding(str(path.relative_to(root)), row["row"], rule, f"ts={row['ts']} {values}")
