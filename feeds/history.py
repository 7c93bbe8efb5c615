"""History over the network: resumable, and the same bytes in the lake however often it was cut off.

Must not know any venue: a source gives pages, this stores them. Called by `trader data fetch`.
Rows go into the lake first, the cursor file after: what a kill leaves unsaid is asked again, and
rows that are in the lake already are recognised by the lake.
"""

import fcntl
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
import polars as pl

from core.clock import SECOND, Clock
from core.errors import DataError, TemporaryError
from feeds.history_pace import Polite
from feeds.shards import Merged

FLUSH_ROWS = 50_000
FLUSH_S = 20.0
"""A shard is rewritten at least this often, and not much more: a month of trades is megabytes."""


class Gap(msgspec.Struct, frozen=True):
    """What the source could not give: ids (or times, where `ids` is 0) strictly between two rows."""

    after_ts: int
    before_ts: int
    ids: int = 0


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """How far a series is: rows of [since, reached) ns are in the lake.

    `position` is what the source is asked next, in its own spelling; `last_id` the newest trade id.
    `gaps` are all that were found since the first download.
    """

    since: int
    reached: int
    position: str
    last_id: int = 0
    gaps: tuple[Gap, ...] = ()


class Page(NamedTuple):
    """Rows that are new, and where to go on once they are in the lake."""

    rows: pl.DataFrame
    mark: Mark
    gaps: tuple[Gap, ...] = ()


class Source(Protocol):
    """One series of one venue over [since, until) ns."""

    @property
    def name(self) -> str:
        """Path of the series below the lake's cursors, e.g. `trades/kraken/BTC-USD`."""
        ...

    @property
    def since(self) -> int: ...

    @property
    def until(self) -> int: ...

    def pages(self, mark: Mark | None) -> AsyncGenerator[Page, None]:
        """Give pages from `mark` on, or from `since`; raises when the source cannot go on."""
        ...

    def store(self, rows: pl.DataFrame) -> Merged:
        """Merge rows into the lake; they are durable when this returns."""
        ...


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a download is. `eta_s` is None until there is a pace to judge by."""

    series: str
    since: int
    until: int
    reached: int
    rows: int
    requests: int
    retries: int
    eta_s: float | None

    @property
    def share(self) -> float:
        """Give the part of the span that is done, 0 to 1."""
        span = self.until - self.since
        return 1.0 if span <= 0 else max(0.0, min(1.0, (self.reached - self.since) / span))


class Fetched(msgspec.Struct, kw_only=True):
    """What one run did for one series; grows while it runs."""

    series: str
    since: int
    until: int
    reached: int
    rows: int = 0
    added: int = 0
    replaced: int = 0
    repeated: int = 0
    requests: int = 0
    retries: int = 0
    gaps: list[Gap] = []
    finished: bool = False


class Cursors:
    """The cursor files of a lake: one per series, replaced as a whole."""

    def __init__(self, root: Path) -> None:
        self._root = root / "cursors"

    def path(self, series: str) -> Path:
        """Tell where the cursor of a series lies."""
        return self._root / f"{series}.json"

    def read(self, series: str) -> Mark | None:
        """Give the mark of a series, or None; raises DataError for a file that is something else."""
        path = self.path(series)
        try:
            return msgspec.json.decode(path.read_bytes(), type=Mark)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as broken:
            msg = f"{path}: expected a cursor, found: {broken}. Delete the file to begin anew"
            raise DataError(msg) from broken

    def write(self, series: str, mark: Mark) -> None:
        """Replace the mark; survives kill -9 and power loss as the old or the new one."""
        path = self.path(series)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.draft")
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(mark))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def held(self, series: str) -> Iterator[None]:
        """Own a series for the life of the block; raises TemporaryError where another process does."""
        path = self.path(series).with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        # The lock goes with the descriptor, so a kill -9 releases it and a stale file never blocks.
        with path.open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise TemporaryError(
                    f"{path}: expected no other download of this series, found one"
                ) from error
            yield


def usable(mark: Mark | None, since: int) -> Mark | None:
    """Give the mark if a download from `since` may go on there: no hole before it, none behind."""
    return mark if mark is not None and mark.since <= since <= mark.reached else None


class Download:
    """Runs sources one after the other into one lake."""

    def __init__(
        self,
        cursors: Cursors,
        polite: Polite,
        clock: Clock,
        *,
        on_progress: Callable[[Progress], None] = lambda _: None,
        flush_rows: int = FLUSH_ROWS,
        restart: bool = False,
    ) -> None:
        self._cursors = cursors
        self._polite = polite
        self._clock = clock
        self._on_progress = on_progress
        self._flush_rows = flush_rows
        self._restart = restart

    async def run(self, source: Source, result: Fetched) -> None:
        """Fetch a series to its end, adding to `result` as it goes.

        However it ends, by an error or by being cancelled, what has been received is stored first.
        """
        with self._cursors.held(source.name):
            await self._run(source, result)
        result.finished = True

    async def _run(self, source: Source, result: Fetched) -> None:
        mark = None if self._restart else usable(self._cursors.read(source.name), source.since)
        result.reached = mark.reached if mark else source.since
        result.gaps = list(mark.gaps) if mark else []
        if result.reached >= source.until:
            return
        batch = _Batch(self._cursors, source, result)
        began, from_ = self._clock.monotonic(), result.reached
        requests, retries = self._polite.requests, self._polite.retries
        flushed_at = began
        try:
            async with aclosing(source.pages(mark)) as pages:
                async for page in pages:
                    batch.add(page)
                    now = self._clock.monotonic()
                    if batch.size >= self._flush_rows or now - flushed_at >= FLUSH_S * SECOND:
                        batch.flush()
                        flushed_at = now
                    result.requests = self._polite.requests - requests
                    result.retries = self._polite.retries - retries
                    self._on_progress(_progress(result, batch.size, page.mark.reached, now - began, from_))
        finally:
            result.requests = self._polite.requests - requests
            result.retries = self._polite.retries - retries
            batch.flush()


class _Batch:
    """Pages that are not in the lake yet.

    Storing blocks the loop on purpose: nothing else runs here, and a merge that is half done when
    the task is cancelled could not be waited for.
    """

    def __init__(self, cursors: Cursors, source: Source, result: Fetched) -> None:
        self._cursors = cursors
        self._source = source
        self._result = result
        self._pages: list[Page] = []
        self.size = 0

    def add(self, page: Page) -> None:
        self._pages.append(page)
        self.size += len(page.rows)

    def flush(self) -> None:
        pages, self._pages, self.size = self._pages, [], 0
        if not pages:
            return
        rows = [page.rows for page in pages if len(page.rows)]
        if rows:
            merged = self._source.store(pl.concat(rows))
            self._result.rows += sum(map(len, rows))
            self._result.added += merged.added
            self._result.replaced += merged.replaced
            self._result.repeated += merged.repeated
        self._result.gaps += [gap for page in pages for gap in page.gaps]
        self._result.reached = pages[-1].mark.reached
        mark = msgspec.structs.replace(pages[-1].mark, gaps=tuple(self._result.gaps))
        self._cursors.write(self._source.name, mark)


def _progress(result: Fetched, waiting: int, reached: int, elapsed: int, from_: int) -> Progress:
    done, left = reached - from_, result.until - reached
    return Progress(
        series=result.series,
        since=result.since,
        until=result.until,
        reached=reached,
        rows=result.rows + waiting,
        requests=result.requests,
        retries=result.retries,
        eta_s=elapsed / SECOND * left / done if done > 0 else None,
    )
