"""The lake: recorded bars in Parquet files, checked row by row, as arrays.

Must not know what the bars are for. Called by feeds.replay and training.
Layout: `<root>/ohlcv/<venue>/<BASE-QUOTE>/<timeframe>.parquet`, or `<timeframe>/<YYYY-MM>.parquet`, with
`ts` (ms UTC of the open), open, high, low, close, volume and, where the source has them, trades and vwap;
`<root>/trades/<venue>/<BASE-QUOTE>/<YYYY-MM>.parquet` as written by feeds.shards.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from itertools import repeat
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.clock import HOUR
from core.errors import UsageError
from core.market import Bar, Timeframe
from feeds import lake_rows
from feeds.lake_rows import MS, PRICES

QUIET_LIMIT = 6 * HOUR
"""Rows absent for at most this long were quiet; for longer, nobody recorded."""

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
    """Bars of one venue, instrument and timeframe in the lake."""

    venue: str
    instrument: str
    timeframe: Timeframe


class Lake:
    """Read access to a folder of recorded bars."""

    def __init__(self, root: Path) -> None:
        self.root = root / "ohlcv"
        self.trades_root = root / "trades"

    def series(self) -> list[Series]:
        """List what is there, sorted."""
        return sorted(set(self._found()), key=lambda one: (one.venue, one.instrument, one.timeframe.ns))

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
        # A quiet bar is known by the rows around it, which may lie outside the span asked for.
        rows = self.rows(
            Series(venue, instrument, timeframe),
            start=None if start is None else start - QUIET_LIMIT,
            end=None if end is None else end + QUIET_LIMIT,
        )
        bars = _filled(arrays(rows, Series(venue, instrument, timeframe), price_increment))
        low = start if start is not None else 0
        return bars.between(low, end) if end is not None else bars.between(low, np.iinfo(np.int64).max)

    def rows(self, series: Series, *, start: int | None = None, end: int | None = None) -> pl.DataFrame:
        """Read the stored rows that open in [start, end), nothing filled in; raises as `read` does."""
        if not (files := self.files(series)):
            expected = self._folder(series) / f"{series.timeframe.value}.parquet"
            msg = f"lake: expected {expected} or monthly parts, found no such file"
            raise UsageError(msg)
        touched = [path for path in files if path in set(self.files(series, start=start, end=end))]
        # A span between the months has no rows, but it has columns.
        return lake_rows.read_bars(touched or files[:1], series.timeframe, start, end)

    def files(self, series: Series, *, start: int | None = None, end: int | None = None) -> list[Path]:
        """List the files that can hold bars of [start, end): one file and monthly parts."""
        return lake_rows.bar_files(self._folder(series), series.timeframe, start, end)

    def months(self, series: Series) -> list[str]:
        """List the months that have bars, such as `2024-01`."""
        return sorted({month for path in self.files(series) for month in lake_rows.months_in(path)})

    def tapes(self) -> list[tuple[str, str]]:
        """List venue and instrument of each recorded tape of trades, sorted."""
        found = {path.parts[-3:-1] for path in self.trades_root.glob("*/*/*.parquet")}
        return sorted((venue, pair.replace("-", "/")) for venue, pair in found)

    def tape_files(
        self, venue: str, instrument: str, *, start: int | None = None, end: int | None = None
    ) -> list[Path]:
        """List the monthly files of a tape that can hold trades of [start, end)."""
        return lake_rows.parts(self.trades_root / venue / instrument.replace("/", "-"), start, end)

    def trades(
        self, venue: str, instrument: str, *, start: int | None = None, end: int | None = None
    ) -> Iterator[pl.DataFrame]:
        """Give the trades of [start, end) month by month; DataError for a row that cannot be trusted."""
        for path in self.tape_files(venue, instrument, start=start, end=end):
            yield lake_rows.read_trades(path, start, end)

    def _folder(self, series: Series) -> Path:
        return self.root / series.venue / series.instrument.replace("/", "-")

    def _found(self) -> Iterator[Series]:
        known = {timeframe.value: timeframe for timeframe in Timeframe}
        for path in self.root.glob("*/*/*.parquet"):
            venue, pair = path.parts[-3:-1]
            if path.stem in known:
                yield Series(venue, pair.replace("-", "/"), known[path.stem])
        for path in self.root.glob("*/*/*/"):
            venue, pair, name = path.parts[-3:]
            if name in known and lake_rows.parts(path):
                yield Series(venue, pair.replace("-", "/"), known[name])


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


def arrays(rows: pl.DataFrame, series: Series, price_increment: Decimal | None = None) -> BarArrays:
    """Give stored rows as arrays, nothing filled in."""
    prices = {
        name: _on_grid(rows[name].cast(pl.Float64).to_numpy(writable=True), price_increment)
        for name in PRICES
    }
    volume = rows["volume"].cast(pl.Float64).to_numpy(writable=True)
    some = (volume > 0.0).astype(np.int32)
    typical = (prices["high"] + prices["low"] + prices["close"]) / 3.0
    return BarArrays(
        instrument=series.instrument,
        timeframe=series.timeframe,
        ts_open=rows["ts"].to_numpy(writable=True) * MS,
        volume=volume,
        vwap=_told(rows, "vwap", typical),
        trades=_told(rows, "trades", some),
        **prices,
    )


_Number = TypeVar("_Number", bound=np.generic)


def _told(rows: pl.DataFrame, name: str, otherwise: NDArray[_Number]) -> NDArray[_Number]:
    """Give a column where the source has it, and something else where it has not."""
    if name not in rows.columns:
        return otherwise
    column = rows[name]
    told = column.fill_null(0).to_numpy(writable=True).astype(otherwise.dtype)
    return np.where(column.is_null().to_numpy(), otherwise, told) if column.null_count() else told


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
    filled = {name: np.where(silent, close, getattr(bars, name)[source]) for name in (*PRICES, "vwap")}
    return bars._with(  # noqa: SLF001
        {
            **filled,
            "ts_open": bars.ts_open[source] + position * length,
            "volume": np.where(silent, 0.0, bars.volume[source]),
            "trades": np.where(silent, 0, bars.trades[source]).astype(np.int32),
        }
    )
