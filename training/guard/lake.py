"""Made markets as a lake, so that any pipeline runs on them as on recorded bars.

Must not know how bars are drawn. Called by training.guard.cli, training.guard.check,
training.synthetic.cli and by tests.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from core.market import Timeframe
from feeds.lake import BarArrays, aggregate
from feeds.lake_rows import MS
from feeds.shards import write_parquet

VENUE = "guard"


def write_lake(
    root: Path, series: Sequence[BarArrays], timeframe: Timeframe = Timeframe.M1, venue: str = VENUE
) -> list[Path]:
    """Write bars of `timeframe` made of each instrument's minutes; give the files.

    A reader of the lake takes holes of up to six hours for quiet minutes: that is the lake's rule.
    """
    written = []
    for minutes in series:
        bars = aggregate(minutes, timeframe)
        path = root / "ohlcv" / venue / bars.instrument.replace("/", "-") / f"{timeframe.value}.parquet"
        columns = {
            name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume", "trades", "vwap")
        }
        write_parquet(path, pl.DataFrame({"ts": bars.ts_open // MS, **columns}))
        written.append(path)
    return written
