"""What was ingested, series by series, and whether it is good enough to train on.

Must not know models. Called by `trader data report`, which writes the verdict into the lake, and by
training, which asks `blocking` before it reads. A lake without a verdict has not been judged and
blocks nothing.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from core.clock import HOUR
from core.errors import DataError
from core.text import iso
from feeds import lake_rows
from feeds.archive import VENUE
from feeds.archive_ledger import read_entries
from feeds.lake import Lake, Series
from feeds.lake_rows import MS

NAME = "ingest-report.json"
OUTLIER_MULTIPLE = 20.0
OUTLIER_RULE = (
    "|log return between adjacent bars| > 20 x 1.4826 x median |log return| of the returns that are not 0"
)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a series may show and still be trained on."""

    max_missing_percent: float = 50.0
    max_gap_h: float = 72.0
    max_outliers_percent: float = 0.5


class SeriesReport(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument and timeframe. Nothing is counted as missing before the first or after the last bar."""

    venue: str
    instrument: str
    timeframe: str
    rows: int = 0
    first: str = ""
    last: str = ""
    missing_percent: float = 0.0
    longest_gap_h: float = 0.0
    """Longest distance between two rows beyond their own length."""
    gap_from: str = ""
    outliers: int = 0
    outliers_percent: float = 0.0
    first_outlier: str = ""
    duplicates: int | None = None
    """Rows that imports read and did not keep; None where nothing of it came from an archive."""
    malformed: int | None = None
    bytes: int
    breaches: dict[str, str]
    """By limit (`missing`, `gap`, `outliers`; `rows` where one cannot be trusted): what was found."""

    @property
    def name(self) -> str:
        """The name that a waiver uses: `kraken/BTC-USD/1m`."""
        return series_name(self.venue, self.instrument, self.timeframe)


class Verdict(msgspec.Struct, frozen=True):
    """The reports of a lake and the limits they were held against."""

    limits: Limits
    series: tuple[SeriesReport, ...]


class Blocked(msgspec.Struct, frozen=True):
    """A series that must not be trained on; `limit` is what a waiver may name after a colon."""

    name: str
    limit: str
    found: str

    def __str__(self) -> str:
        return f"{self.name}:{self.limit} ({self.found})"


def series_name(venue: str, instrument: str, timeframe: str) -> str:
    """Give the name of a series as its folder in the lake spells it."""
    return f"{venue}/{instrument.replace('/', '-')}/{timeframe}"


def examine(root: Path, series: Series, limits: Limits) -> SeriesReport:
    """Measure one series, a month in memory at a time; DataError for a row that cannot be trusted."""
    lake = Lake(root)
    times, closes = [], []
    for month in lake.months(series):
        start, end = lake_rows.month_span(month)
        rows = lake.rows(series, start=start, end=end)
        times.append(rows["ts"].to_numpy())
        closes.append(rows["close"].cast(pl.Float64).to_numpy())
    if not times:
        raise DataError(f"lake: expected bars of {series_name(*_words(series))}, found none")
    ts, close = np.concatenate(times), np.concatenate(closes)
    length = series.timeframe.ns // MS
    steps = np.diff(ts) // length
    gap = int(steps.argmax()) if len(steps) else 0
    adjacent = np.flatnonzero(steps == 1)
    moves = np.abs(np.log(close[adjacent + 1] / close[adjacent]))
    moved = moves[moves > 0]
    outlying = adjacent[moves > OUTLIER_MULTIPLE * 1.4826 * np.median(moved)] if len(moved) else adjacent[:0]
    expected = int((ts[-1] - ts[0]) // length) + 1
    entries = [one for one in read_entries(root) if _tells(one.kind, one.instrument, series)]
    read = sum(entry.rows for entry in entries)
    report = SeriesReport(
        venue=series.venue,
        instrument=series.instrument,
        timeframe=series.timeframe.value,
        rows=len(ts),
        first=iso(int(ts[0]) * MS),
        last=iso(int(ts[-1]) * MS),
        missing_percent=round(100.0 * (1.0 - len(ts) / expected), 4),
        longest_gap_h=round((int(steps[gap]) - 1) * series.timeframe.ns / HOUR, 4) if len(steps) else 0.0,
        gap_from=iso(int(ts[gap]) * MS) if len(steps) and steps[gap] > 1 else "",
        outliers=len(outlying),
        outliers_percent=round(100.0 * len(outlying) / len(ts), 4),
        first_outlier=iso(int(ts[outlying[0] + 1]) * MS) if len(outlying) else "",
        duplicates=max(0, read - len(ts)) if entries else None,
        malformed=sum(sum(entry.malformed.values()) for entry in entries) if entries else None,
        bytes=_bytes(lake, series),
        breaches={},
    )
    return msgspec.structs.replace(report, breaches=_breaches(report, limits))


def judge(root: Path, limits: Limits) -> Iterator[SeriesReport]:
    """Measure every series of a lake; one that cannot be read is in breach of `rows`."""
    lake = Lake(root)
    for series in lake.series():
        try:
            yield examine(root, series, limits)
        except DataError as error:
            yield SeriesReport(
                venue=series.venue,
                instrument=series.instrument,
                timeframe=series.timeframe.value,
                bytes=_bytes(lake, series),
                breaches={"rows": str(error)},
            )


def write_verdict(root: Path, verdict: Verdict) -> Path:
    """Put the verdict into the lake, whole or not at all."""
    path = root / NAME
    draft = path.with_name(f".{NAME}.tmp")
    with draft.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(verdict), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    return path


def read_verdict(root: Path) -> Verdict | None:
    """Read the verdict of a lake; None where nobody judged it, DataError where it cannot be read."""
    path = root / NAME
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Verdict)
    except (msgspec.MsgspecError, OSError) as error:
        raise DataError(f"{path}: expected a report of `trader data report`, found: {error}") from error


def blocking(root: Path, wanted: Sequence[Series], waived: Iterable[str] = ()) -> list[Blocked]:
    """Give what forbids training on these series.

    A waiver is the name of a series (`kraken/BTC-USD/1m`) or of one limit of it
    (`kraken/BTC-USD/1m:gap`). A series that changed since it was judged is blocked by `stale`.
    """
    verdict = read_verdict(root)
    if verdict is None:
        return []
    lake, excused = Lake(root), set(waived)
    known = {one.name: one for one in verdict.series}
    found: list[Blocked] = []
    for series in wanted:
        name = series_name(*_words(series))
        report = known.get(name)
        if report is None:
            reasons = {"stale": "not in the last report; run `trader data report` again"}
        elif report.bytes != (now := _bytes(lake, series)):
            reasons = {
                "stale": f"{report.bytes} bytes when judged, {now} now; run `trader data report` again"
            }
        else:
            reasons = report.breaches
        found.extend(Blocked(name, limit, text) for limit, text in reasons.items())
    return [one for one in found if not {one.name, f"{one.name}:{one.limit}"} & excused]


def _breaches(report: SeriesReport, limits: Limits) -> dict[str, str]:
    checks = {
        "missing": (report.missing_percent, limits.max_missing_percent, "% of the bars are missing"),
        "gap": (report.longest_gap_h, limits.max_gap_h, f"h without a bar from {report.gap_from}"),
        "outliers": (report.outliers_percent, limits.max_outliers_percent, "% of the bars are outliers"),
    }
    return {
        limit: f"{found:g} {text}, limit {most:g}"
        for limit, (found, most, text) in checks.items()
        if found > most
    }


def _tells(kind: str, instrument: str, series: Series) -> bool:
    return series.venue == VENUE and instrument == series.instrument and kind == series.timeframe.value


def _words(series: Series) -> tuple[str, str, str]:
    return series.venue, series.instrument, series.timeframe.value


def _bytes(lake: Lake, series: Series) -> int:
    return sum(path.stat().st_size for path in lake.files(series))
