"""Bars made of trades, and coarser bars of finer ones; only bars with trades, nothing filled in.

Must not know files. Called by feeds.archive, feeds.lake_derived and the lake's house-keeping.
Sums run in the order of the rows, so that equal rows give equal bars on every machine.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.clock import MINUTE
from core.market import Timeframe

_MS = 1_000_000


def minutes(trades: pl.DataFrame) -> pl.DataFrame:
    """Give the 1m bars of trades sorted by time (`ts` ns); a trade belongs to [open, open + 1m)."""
    if trades.is_empty():
        return _table(np.empty(0, np.int64), *[np.empty(0)] * 6, np.empty(0, np.int32))
    ts = trades["ts"].to_numpy()
    price = trades["price"].to_numpy()
    quantity = trades["qty"].to_numpy()
    opened = ts - ts % MINUTE
    first = np.flatnonzero(np.diff(opened, prepend=-1))
    last = np.append(first[1:], len(ts)) - 1
    volume = np.add.reduceat(quantity, first)
    turnover = np.add.reduceat(price * quantity, first)
    close = price[last]
    return _table(
        opened[first] // _MS,
        price[first],
        np.maximum.reduceat(price, first),
        np.minimum.reduceat(price, first),
        close,
        volume,
        np.divide(turnover, volume, out=close.copy(), where=volume > 0.0),
        (last - first + 1).astype(np.int32),
    )


def coarser(bars: pl.DataFrame, timeframe: Timeframe) -> pl.DataFrame:
    """Give the bars of a coarser timeframe; one exists where any of its parts does.

    `trades` and `vwap` come out where every row has them. Quiet rows (no volume) lend no price while
    a bar has others.
    """
    length = timeframe.ns // _MS
    bars = bars.select(name for name in bars.columns if not bars[name].null_count())
    bars = bars.with_columns(pl.col("ts") // length * length, active=(pl.col("volume") > 0.0))
    bars = bars.filter(pl.col("active") | ~pl.col("active").any().over("ts"))
    opened = bars["ts"].to_numpy()
    if not len(opened):
        return bars.drop("active")
    first = np.flatnonzero(np.diff(opened, prepend=-1))
    last = np.append(first[1:], len(opened)) - 1
    column = {name: bars[name].cast(pl.Float64).to_numpy() for name in bars.columns}
    close, volume = column["close"][last], np.add.reduceat(column["volume"], first)
    made = {
        "ts": opened[first],
        "open": column["open"][first],
        "high": np.maximum.reduceat(column["high"], first),
        "low": np.minimum.reduceat(column["low"], first),
        "close": close,
        "volume": volume,
    }
    if "trades" in column:
        made["trades"] = np.add.reduceat(column["trades"], first).astype(np.int32)
    if "vwap" in column:
        turnover = np.add.reduceat(column["vwap"] * column["volume"], first)
        made["vwap"] = np.divide(turnover, volume, out=close.copy(), where=volume > 0.0)
    return pl.DataFrame(made)


def _table(*columns: NDArray[np.generic]) -> pl.DataFrame:
    names = ("ts", "open", "high", "low", "close", "volume", "vwap", "trades")
    return pl.DataFrame(dict(zip(names, columns, strict=True)))
