"""Bars of a lake for other programs: Parquet files by symbol, or one file of one timeframe.

Must not know the command line. Called by `trader data export`. Nothing here is read back: Seamark
itself loads the lake, and never a pickle.
"""

import os
import pickle
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import polars as pl

from core.errors import DataError
from core.market import Timeframe
from feeds.lake import Lake, Series
from feeds.lake_derived import Derived
from feeds.lake_rows import month_span
from feeds.shards import write_parquet

FORMAT = "seamark-bars-1"


def export_parquet(root: Path, out: Path, venue: str, instruments: frozenset[str]) -> Iterator[Path]:
    """Write `hourly/{venue}_{symbol}_1h_{days}.parquet` and `minute/{venue}_{symbol}_1m_{month}.parquet`.

    Hours are the recorded ones, or made of the finest bars there are. Only bars with trades.
    """
    lake, derived = Lake(root), Derived(root)
    for instrument in _instruments(lake, venue, instruments):
        symbol = instrument.replace("/", "")
        hours = _bars(lake, derived, venue, instrument, Timeframe.H1)
        if hours is not None and len(hours):
            first, last = (f"{moment:%Y%m%d}" for moment in _moments(hours))
            path = out / "hourly" / f"{venue}_{symbol}_1h_{first}_{last}.parquet"
            write_parquet(path, hours)
            yield path
        minutes = Series(venue, instrument, Timeframe.M1)
        if minutes in lake.series():
            for month in lake.months(minutes):
                start, end = month_span(month)
                path = out / "minute" / f"{venue}_{symbol}_1m_{month.replace('-', '')}.parquet"
                write_parquet(path, lake.rows(minutes, start=start, end=end))
                yield path


def export_pickle(
    root: Path, out: Path, venue: str, instruments: frozenset[str], timeframe: Timeframe = Timeframe.M5
) -> Path:
    """Write one pickle of plain words and bytes: for each instrument its bars as a Parquet file."""
    lake, derived = Lake(root), Derived(root)
    series = {}
    for instrument in _instruments(lake, venue, instruments):
        rows = _bars(lake, derived, venue, instrument, timeframe)
        if rows is not None and len(rows):
            buffer = BytesIO()
            rows.write_parquet(buffer, compression="snappy")
            series[instrument] = buffer.getvalue()
    if not series:
        raise DataError(
            f"lake: expected bars of {venue} that make {timeframe.value} bars in {root}; found none"
        )
    content = {"format": FORMAT, "venue": venue, "timeframe": timeframe.value, "series": series}
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.tmp")
    with draft.open("wb") as file:
        pickle.dump(content, file, protocol=4)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(out)
    return out


def _instruments(lake: Lake, venue: str, instruments: frozenset[str]) -> list[str]:
    offered = sorted({one.instrument for one in lake.series() if one.venue == venue})
    absent = sorted(instruments - set(offered))
    if absent or not offered:
        wanted = ", ".join(absent) or "anything"
        raise DataError(f"lake: expected {venue} bars of {wanted}; found {', '.join(offered) or 'none'}")
    return [one for one in offered if not instruments or one in instruments]


def _bars(
    lake: Lake, derived: Derived, venue: str, instrument: str, timeframe: Timeframe
) -> pl.DataFrame | None:
    """Give the recorded bars, or those that the finest recorded ones make; None where there are none."""
    known = [one for one in lake.series() if one[:2] == (venue, instrument)]
    wanted = Series(venue, instrument, timeframe)
    if wanted in known:
        return lake.rows(wanted)
    finer = [one for one in known if one.timeframe.ns < timeframe.ns]
    return derived.rows(finer[0], timeframe) if finer else None


def _moments(rows: pl.DataFrame) -> tuple[object, object]:
    moments = rows.select(pl.from_epoch("ts", "ms")).to_series()
    return moments[0], moments[-1]
