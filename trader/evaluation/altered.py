"""Copies of a recorded market that differ from it in one way, to see what notices.

Must not know models, the desk or verdicts. Called by trader.evaluation.checks. Every copy is written as a
lake, so that whatever is looked at reads it as it reads the recorded one.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from feeds.lake import BarArrays, Lake, Series
from feeds.shards import write_parquet

MS = 1_000_000
PRICES = ("open", "high", "low", "close", "vwap")

Change = Callable[[BarArrays], BarArrays]


def write(lake: Lake, series: Sequence[Series], root: Path, change: Change, *, start: int, end: int) -> Path:
    """Write the bars of [start, end), ns UTC, as `change` leaves them; gives `root`."""
    for one in series:
        bars = change(lake.read(*one, start=start, end=end))
        columns = {name: getattr(bars, name) for name in (*PRICES, "volume", "trades")}
        pair = one.instrument.replace("/", "-")
        path = root / "ohlcv" / one.venue / pair / f"{one.timeframe.value}.parquet"
        write_parquet(path, pl.DataFrame({"ts": bars.ts_open // MS, **columns}))
    return root


def truncated(at: int) -> Change:
    """Give a market that ends at `at`: what closed by then is there, nothing else."""
    return lambda bars: bars.between(0, at)


def permuted(at: int, seed: int) -> Change:
    """Give a market with another future: bars that open at `at` or later change places.

    Each keeps its shape, as multiples of the close before it, and its volume; prices start from the last
    close that is left as it was. The order is drawn for each instrument by its name and `seed`.
    """

    def change(bars: BarArrays) -> BarArrays:
        first = int(np.searchsorted(bars.ts_open, at))
        if first == 0 or first == len(bars):
            return bars
        rng = np.random.default_rng([seed, *bars.instrument.encode()])
        order = first + rng.permutation(len(bars) - first)
        before = bars.close[order - 1]
        closes = bars.close[first - 1] * np.cumprod(bars.close[order] / before)
        base = np.concatenate([[bars.close[first - 1]], closes[:-1]])
        columns = {
            name: np.concatenate([getattr(bars, name)[:first], base * (getattr(bars, name)[order] / before)])
            for name in PRICES
        }
        return BarArrays(
            bars.instrument,
            bars.timeframe,
            bars.ts_open,
            volume=np.concatenate([bars.volume[:first], bars.volume[order]]),
            trades=np.concatenate([bars.trades[:first], bars.trades[order]]),
            **columns,
        )

    return change


def early(bars: BarArrays) -> BarArrays:
    """Give bars stamped one bar too soon: what a right-closed resample of opening times makes of them.

    A window (t - 1h, t] of bars named by their opening holds the one that opens at t, which nobody knows
    at t; naming every bar by the opening before its own puts it into the same window.
    """
    columns = {name: getattr(bars, name) for name in (*PRICES, "volume", "trades")}
    return BarArrays(bars.instrument, bars.timeframe, bars.ts_open - bars.timeframe.ns, **columns)
