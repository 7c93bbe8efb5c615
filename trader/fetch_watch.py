"""Who is told how a download goes: a bar for people, lines in a file for `tail -f`.

Must not know sources. Called by trader.fetch, which tells, and by the command, which chooses.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars

from core.clock import SECOND, Clock
from core.errors import UsageError
from core.text import iso
from feeds.history import Fetched, Progress
from feeds.history_pace import Refusal
from trader.fetch_report import row
from trader.telemetry import set_up_logging

LOG_EVERY_S = 5.0


class Watch:
    """Hears everything and says nothing."""

    def on_plan(self, series: int) -> None:
        """Take note of how many series will be fetched, one after the other."""

    def on_series(self, result: Fetched) -> None:
        """Take note that a series is done."""

    def on_progress(self, progress: Progress) -> None:
        """Take note of a page."""

    def on_refusal(self, refusal: Refusal) -> None:
        """Take note of a call that will be repeated."""

    def on_failure(self, reason: str) -> None:
        """Take note of a series that cannot be had; the others go on."""


class Log(Watch):
    """JSON lines in a file: a progress line every few seconds and series, all else at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines = structlog.get_logger("fetch")
        self._told: dict[str, int] = {}

    def on_plan(self, series: int) -> None:
        self._lines.info("fetch_plan", series=series)

    def on_series(self, result: Fetched) -> None:
        self._lines.info("fetch_done", **row(result))

    def on_progress(self, progress: Progress) -> None:
        now = self._clock.monotonic()
        told = self._told.get(progress.series)
        if told is not None and now - told < LOG_EVERY_S * SECOND:
            return
        self._told[progress.series] = now
        eta = progress.eta_s
        self._lines.info(
            "fetch_progress",
            series=progress.series,
            reached=iso(progress.reached),
            share=round(progress.share, 4),
            rows=progress.rows,
            requests=progress.requests,
            retries=progress.retries,
            eta_s=None if eta is None else round(eta, 1),
        )

    def on_refusal(self, refusal: Refusal) -> None:
        self._lines.warning("fetch_refused", **msgspec.to_builtins(refusal))

    def on_failure(self, reason: str) -> None:
        self._lines.error("fetch_failed", reason=reason)


class Terminal(Watch):
    """One bar for the series that is being fetched."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task = bars.add_task("waiting for the first page", total=1.0, rows=0, eta="?")
        self._planned = self._done = 0

    def on_plan(self, series: int) -> None:
        self._planned = series

    def on_series(self, result: Fetched) -> None:
        self._done += 1

    def on_progress(self, progress: Progress) -> None:
        self._bars.update(
            self._task,
            description=f"{self._done + 1}/{self._planned} {progress.series}",
            completed=progress.share,
            rows=progress.rows,
            eta="?" if progress.eta_s is None else f"{progress.eta_s:,.0f} s",
        )

    def on_refusal(self, refusal: Refusal) -> None:
        self._bars.update(self._task, description=f"waiting {refusal.wait_s:.0f} s: {refusal.reason[:50]}")


class Words(Watch):
    """Says what failed, on stderr."""

    def on_failure(self, reason: str) -> None:
        sys.stderr.write(f"trader: {reason}\n")


class All(Watch):
    """Tells several."""

    def __init__(self, watches: Sequence[Watch]) -> None:
        self._watches = watches

    def on_plan(self, series: int) -> None:
        for watch in self._watches:
            watch.on_plan(series)

    def on_series(self, result: Fetched) -> None:
        for watch in self._watches:
            watch.on_series(result)

    def on_progress(self, progress: Progress) -> None:
        for watch in self._watches:
            watch.on_progress(progress)

    def on_refusal(self, refusal: Refusal) -> None:
        for watch in self._watches:
            watch.on_refusal(refusal)

    def on_failure(self, reason: str) -> None:
        for watch in self._watches:
            watch.on_failure(reason)


@contextmanager
def watching(clock: Clock, log: Path | None, secrets: Sequence[str] = ()) -> Iterator[Watch]:
    """Watch with a bar where stderr is a terminal, and into `log` where there is one."""
    watches: list[Watch] = [Words()]
    if log is not None:
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            set_up_logging(clock, secrets=secrets, path=log)
        except OSError as error:
            raise UsageError(f"--log: expected a file to write to; found: {error}") from error
        watches.append(Log(clock))
    if not sys.stderr.isatty():
        yield All(watches)
        return
    figures = TextColumn("{task.percentage:>3.0f} %  {task.fields[rows]:,} rows  ETA {task.fields[eta]}")
    columns = (TextColumn("{task.description}"), BarColumn(), figures)
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield All([*watches, Terminal(bars)])
