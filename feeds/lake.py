"""The lake: recorded bars in Parquet files, checked row by row, as arrays.

Must not know what the bars are for. Called by feeds.replay and training.
Layout: `<root>/ohlcv/<venue>/<BASE-QUOTE>/<timeframe>.parquet` with `ts` (ms UTC of the open),
open, high, low, close, volume and, where the source has it, trades.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.clock import HOUR
from core.errors import DataError, UsageError
from core.market import Bar, Timeframe

QUIET_LIMIT = 6 * HOUR
"""Rows absent for at most this long were quiet; for longer, nobody recorded."""

_MS = 1_000_000
_PRICES = ("open", "high", "low", "close")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BarArrays:
    """Bars of one instrument and timeframe as arrays [T], sorted by time.

    `vwap` is the typical price where the source has none, `trades` 1 for "some" where it does not
    count them. Missing bars are absent rows; quiet bars are rows with `trades == 0`.
    """

    instrument: str
    timeframe: Timeframe
    ts_open: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    vwap: Floats
    trades: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ts_open)

    @property
    def ts_close(self) -> Ints:
        """First ns after each bar."""
        return self.ts_open + self.timeframe.ns

    def between(self, start: int, end: int) -> "BarArrays":
        """Give the bars that open in [start, end); views, no copies."""
        first, last = np.searchsorted(self.ts_open, [start, end])
        return self._with({name: getattr(self, name)[first:last] for name in _ARRAYS})

    def bars(self) -> list[Bar]:
        """Give the rows as values."""
        columns = (getattr(self, name).tolist() for name in _ARRAYS)
        return list(map(Bar, repeat(self.instrument), repeat(self.timeframe), *columns))

    def _with(self, arrays: dict[str, NDArray[np.generic]]) -> "BarArrays":
        return BarArrays(self.instrument, self.timeframe, **arrays)  # type: ignore[arg-type]


_ARRAYS = tuple(field.name for field in fields(BarArrays))[2:]


class Series(NamedTuple):
    """One file of the lake."""

    venue: str
    instrument: str
    timeframe: Timeframe


class Lake:
    """Read access to a folder of recorded bars."""

    def __init__(self, root: Path) -> None:
        self.root = root / "ohlcv"

    def series(self) -> list[Series]:
        """List what is there, sorted."""
        return sorted(self._found(), key=lambda one: (one.venue, one.instrument, one.timeframe.ns))

    def read(
        self,
        venue: str,
        instrument: str,
        timeframe: Timeframe,
        *,
        start: int | None = None,
        end: int | None = None,
        price_increment: Decimal | None = None,
    ) -> BarArrays:
        """Read the bars that open in [start, end), ns UTC, with quiet bars filled in.

        Prices stored as float32 come back exactly when `price_increment` is given. Raises
        DataError for the first row that cannot be trusted, UsageError for a series not in the lake.
        """
        path = self._path(venue, instrument, timeframe)
        if not path.is_file():
            msg = f"lake: expected {path}, found no such file"
            raise UsageError(msg)
        rows = _read(path, start, end)
        _check(rows, path, timeframe)
        bars = _filled(_arrays(rows, Series(venue, instrument, timeframe), price_increment))
        low = start if start is not None else 0
        return bars.between(low, end) if end is not None else bars.between(low, np.iinfo(np.int64).max)

    def _path(self, venue: str, instrument: str, timeframe: Timeframe) -> Path:
        return self.root / venue / instrument.replace("/", "-") / f"{timeframe.value}.parquet"

    def _found(self) -> Iterator[Series]:
        known = {timeframe.value: timeframe for timeframe in Timeframe}
        for path in self.root.glob("*/*/*.parquet"):
            venue, pair = path.parts[-3:-1]
            if path.stem in known:
                yield Series(venue, pair.replace("-", "/"), known[path.stem])


def aggregate(bars: BarArrays, timeframe: Timeframe) -> BarArrays:
    """Give bars of a coarser timeframe; one that lacks any of its parts does not exist."""
    if timeframe is bars.timeframe:
        return bars
    parts, rest = divmod(timeframe.ns, bars.timeframe.ns)
    if rest or not parts:
        msg = f"lake: expected a multiple of {bars.timeframe.value}, found {timeframe.value}"
        raise UsageError(msg)
    opened = bars.ts_open - bars.ts_open % timeframe.ns
    first = np.flatnonzero(np.diff(opened, prepend=-1))
    first = first[np.diff(first, append=len(opened)) == parts]
    at = first[:, None] + np.arange(parts)  # [bars, parts]
    # Quiet parts lend no price, unless there is nothing else.
    priced = bars.trades[at] > 0
    priced |= ~priced.any(axis=1, keepdims=True)
    volume = bars.volume[at].sum(axis=1)
    close = bars.close[at[:, -1]]
    turnover = (bars.vwap[at] * bars.volume[at]).sum(axis=1)
    return BarArrays(
        instrument=bars.instrument,
        timeframe=timeframe,
        ts_open=opened[first],
        open=bars.open[first + priced.argmax(axis=1)],
        high=bars.high[at].max(axis=1, where=priced, initial=-np.inf),
        low=bars.low[at].min(axis=1, where=priced, initial=np.inf),
        close=close,
        volume=volume,
        vwap=np.divide(turnover, volume, out=close.copy(), where=volume > 0.0),
        trades=bars.trades[at].sum(axis=1, dtype=np.int32),
    )


def _read(path: Path, start: int | None, end: int | None) -> pl.DataFrame:
    """Read the rows of a span; raises DataError for a file that is not Parquet with our columns."""
    try:
        table = pl.scan_parquet(path, row_index_name="row")
        _check_columns(table.collect_schema(), path)
        # A quiet bar is known by the rows around it, which may lie outside the span asked for.
        if start is not None:
            table = table.filter(pl.col("ts") >= (start - QUIET_LIMIT) // _MS)
        if end is not None:
            table = table.filter(pl.col("ts") < (end + QUIET_LIMIT) // _MS)
        return table.collect()
    except pl.exceptions.PolarsError as error:
        reason = " ".join(str(error).split())
        raise DataError(f"lake: {path}: expected a Parquet file, found: {reason}") from error


def _check_columns(schema: pl.Schema, path: Path) -> None:
    numeric = {name for name, kind in schema.items() if kind.is_numeric()}
    integer = {name for name, kind in schema.items() if kind.is_integer()}
    lacking = sorted({*_PRICES, "volume"} - numeric | {"ts"} - integer)
    if lacking:
        found = ", ".join(f"{name} {kind}" for name, kind in schema.items())
        raise DataError(f"lake: {path}: expected numbers in the columns {', '.join(lacking)}, found {found}")


def _check(rows: pl.DataFrame, path: Path, timeframe: Timeframe) -> None:
    """Raise DataError for the first row that breaks a rule."""
    values = pl.col(*_PRICES, "volume")
    top = pl.max_horizontal("open", "close", "low")
    bottom = pl.min_horizontal("open", "close", "high")
    rules = {
        "no null": pl.any_horizontal(pl.all().is_null()),
        "finite numbers": pl.any_horizontal(~values.is_finite()),
        f"ts on the {timeframe.value} grid": pl.col("ts") % (timeframe.ns // _MS) != 0,
        "ts above the row before": pl.col("ts").diff() <= 0,
        "low <= open, close <= high": (pl.col("high") < top) | (pl.col("low") > bottom),
        "low > 0": pl.col("low") <= 0,
        "volume >= 0": pl.col("volume") < 0,
    }
    for rule, broken in rules.items():
        found = rows.filter(broken).head(1)
        if len(found):
            row = {name: found[name][0] for name in ("row", "ts", *_PRICES, "volume")}
            text = " ".join(f"{name}={value}" for name, value in row.items())
            msg = f"lake: {path}: expected {rule}, found {text}"
            raise DataError(msg)


def _arrays(rows: pl.DataFrame, series: Series, price_increment: Decimal | None) -> BarArrays:
    prices = {
        name: _on_grid(rows[name].cast(pl.Float64).to_numpy(writable=True), price_increment)
        for name in _PRICES
    }
    volume = rows["volume"].cast(pl.Float64).to_numpy(writable=True)
    counted = "trades" in rows.columns
    trades = rows["trades"].to_numpy(writable=True) if counted else volume > 0.0
    return BarArrays(
        instrument=series.instrument,
        timeframe=series.timeframe,
        ts_open=rows["ts"].to_numpy(writable=True) * _MS,
        volume=volume,
        vwap=(prices["high"] + prices["low"] + prices["close"]) / 3.0,
        trades=trades.astype(np.int32),
        **prices,
    )


def _on_grid(prices: Floats, increment: Decimal | None) -> Floats:
    """Round to the grid; the result is the double nearest to the decimal price."""
    if increment is None:
        return prices
    above, below = increment.as_integer_ratio()
    return np.rint(prices * below / above) * above / below


def _filled(bars: BarArrays) -> BarArrays:
    """Put quiet bars where rows are absent for at most QUIET_LIMIT."""
    length = bars.timeframe.ns
    absent = np.diff(bars.ts_open) // length - 1
    absent[absent * length > QUIET_LIMIT] = 0
    if not absent.any():
        return bars
    repeats = np.append(absent, 0) + 1
    source = np.repeat(np.arange(len(bars)), repeats)
    position = np.arange(len(source)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    silent = position > 0
    close = bars.close[source]
    filled = {name: np.where(silent, close, getattr(bars, name)[source]) for name in (*_PRICES, "vwap")}
    return bars._with(  # noqa: SLF001
        {
            **filled,
            "ts_open": bars.ts_open[source] + position * length,
            "volume": np.where(silent, 0.0, bars.volume[source]),
            "trades": np.where(silent, 0, bars.trades[source]).astype(np.int32),
        }
    )
