"""The command that judges feature columns over recorded bars.

Must not know figures or columns. Called by trader.commands.data.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from core.clock import LiveClock
from core.errors import DataError, UsageError
from trader.commands.data_options import Instruments, LakeFolder, LogFile, chosen, existing, progress
from trader.commands.options import AsJson, columns, emit

if TYPE_CHECKING:
    from trader.column_report import Merged, Report

HEAD = ("column", "NaN %", "mean", "std", "IQR", "lag 1", "DF t", "shift", "look at")

UNEXPLAINED = "NO REASON TO KEEP BOTH"


def data_columns(
    lake: LakeFolder,
    venue: Annotated[str, typer.Option(help="Whose bars; empty = all.")] = "",
    instruments: Instruments = "",
    timeframes: Annotated[
        str, typer.Option("--timeframes", metavar="LIST", help="Of 1m,5m,15m,30m,1h,4h,1d; empty = all.")
    ] = "",
    spec: Annotated[
        str, typer.Option("--spec", metavar="NAME", help="The vector of this feature specification.")
    ] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Every column of the catalogue, in each series' own timeframe.")
    ] = False,
    log: LogFile = None,
    as_json: AsJson = False,
) -> int:
    """Show what feature columns look like on real bars, and refuse two that say the same.

    A table for each timeframe: figures are medians over its series, but NaN %, the Dickey-Fuller t (above
    -2.86 a random walk is not ruled out) and the shift (mean of the later half less the earlier, in
    deviations) are the worst. Exit 65 names pairs of columns with a correlation above 0.98 that no line
    of inference/features/kept.py explains.
    """
    # Products of narrow blocks gain nothing by threads, and lose all where other work holds a core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from trader.column_report import Wanted, reports

    if bool(spec) == everything:
        raise UsageError(f"expected either --spec NAME or --all; found {'both' if spec else 'neither'}")
    wanted = Wanted(venue, chosen(instruments), _words(timeframes), spec)
    found: list[Report] = []
    with progress("columns", log, LiveClock()) as tell:
        found.extend(reports(existing(lake), wanted, tell))
    return _told(found, as_json=as_json)


def _table(table: "Merged") -> list[str]:
    """Give one timeframe's columns and the pairs that are alike."""
    cells = [
        (
            one.name,
            f"{100 * one.nan_share:.1f}",
            *(_figure(value) for value in (one.mean, one.std, one.iqr)),
            *(_figure(value, 2) for value in (one.autocorrelation, one.dickey_fuller, one.shift)),
            ", ".join(f"{hint} {count}" for hint, count in one.hints.items()),
        )
        for one in table.columns
    ]
    pairs = [
        f"      {pair.first} ~ {pair.second}: {pair.correlation:+.4f}: {pair.reason or UNEXPLAINED}"
        for pair in table.alike
    ]
    return [
        f"{table.timeframe}: {table.series} series, {table.rows} rows",
        *columns([HEAD, *cells]),
        *pairs,
        "",
    ]


def _figure(value: float | None, places: int = 4) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def _words(text: str) -> frozenset[str]:
    from core.market import TIMEFRAMES

    words = frozenset(part.strip() for part in text.split(",") if part.strip())
    known = {timeframe.value for timeframe in TIMEFRAMES}
    if strange := sorted(words - known):
        raise UsageError(f"--timeframes: expected some of 1m,5m,15m,30m,1h,4h,1d; found {', '.join(strange)}")
    return words


def _told(found: "Sequence[Report]", *, as_json: bool) -> int:
    import msgspec

    from trader.column_report import merged

    tables = merged(found)
    refused = [pair for table in tables for pair in table.alike if not pair.reason]
    lines = [line for table in tables for line in _table(table)]
    lines.append(
        f"{'BAD' if refused else 'ok'}   {len(found)} series, {sum(one.rows for one in found)} rows; "
        f"{len(refused)} pairs of columns alike without a reason"
    )
    emit(
        {"ok": not refused, "merged": msgspec.to_builtins(tables), "series": msgspec.to_builtins(found)},
        as_json=as_json,
        lines=lines if found else ["expected series of bars as asked for; found none"],
    )
    return DataError.exit_code if refused or not found else 0
