"""Import of Kraken's downloadable archives into a lake: streaming, resumable, in constant memory.

Must not know the command line. Called by `trader data import-zip`.
Archives: https://support.kraken.com/hc/en-us/articles/360047124832 (OHLCVT, `<ALTNAME>_<minutes>.csv`) and
https://support.kraken.com/hc/en-us/articles/360047543791 (time and sales, `<ALTNAME>.csv`).
A member is first read to its end, month by month, into a scratch folder; only then is it merged. So a
member that turns out to be broken leaves nothing behind, and a kill at any moment costs one member.
"""

import re
import shutil
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

import msgspec
import numpy as np
import polars as pl

from core.errors import DataError, TemporaryError
from core.market import Timeframe
from feeds.archive_bars import coarser, minutes
from feeds.archive_ledger import Entry, Ledger, ledger
from feeds.archive_names import PairNames
from feeds.archive_rows import Layout, Malformed, Rows, Tally, bars_layout, parse, trades_layout
from feeds.lake import Lake, Series
from feeds.lake_rows import month_span
from feeds.shards import Merged, Shards

VENUE = "kraken"
SCRATCH = ".import"
TRADES = "trades"

_BARS = re.compile(r"(?P<altname>.+)_(?P<minutes>\d+)")
_TIMEFRAMES = {timeframe.minutes: timeframe for timeframe in Timeframe}
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)
"""What zipfile raises for a member: bad CRC, cut-off deflate, unknown method, encryption."""


class Step(NamedTuple):
    """How far an import is, in bytes of members; `text` is set where something is worth a line."""

    done: int
    total: int
    text: str = ""


class Refused(msgspec.Struct, frozen=True):
    """A member that is not in the lake, and why."""

    member: str
    reason: str


class MemberReport(msgspec.Struct, frozen=True):
    """What one member added."""

    member: str
    instrument: str
    kind: str
    rows: int
    added: int
    replaced: int
    repeated: int
    malformed: dict[str, int]
    first: tuple[Malformed, ...]

    def __str__(self) -> str:
        text = (
            f"member={self.member} rows={self.rows} added={self.added} replaced={self.replaced} "
            f"repeated={self.repeated} malformed={sum(self.malformed.values())}"
        )
        return text + "".join(f" [line {one.line}: {one.reason}: {one.text!r}]" for one in self.first)


class ImportReport(msgspec.Struct, frozen=True):
    """What one archive added to the lake, and what it did not."""

    archive: str
    members: tuple[MemberReport, ...]
    already: int
    """Members that an earlier import had finished."""
    skipped: dict[str, int]
    unresolved: tuple[str, ...]
    refused: tuple[Refused, ...]


class Wanted(NamedTuple):
    """What to take out of an archive."""

    names: PairNames
    instruments: frozenset[str] = frozenset()
    """Empty: every instrument."""
    bars: bool = False
    """Whether to make bars of the trades, too."""


def import_archive(
    archive: Path, root: Path, wanted: Wanted, tell: Callable[[Step], None] = lambda _: None
) -> ImportReport:
    """Import one archive. DataError where it is no zip file; a broken member is in the report."""
    try:
        file = zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{archive}: expected a zip archive, found: {error}") from error
    scratch = root / SCRATCH
    with file:
        try:
            with ledger(root) as finished:
                try:
                    return _Import(archive, file, root, wanted, finished, tell).run()
                finally:
                    shutil.rmtree(scratch, ignore_errors=True)
        except OSError as error:
            raise TemporaryError(f"{root}: expected a folder to write into, found: {error}") from error


class _Member(NamedTuple):
    info: zipfile.ZipInfo
    instrument: str
    timeframe: Timeframe | None

    @property
    def kind(self) -> str:
        return self.timeframe.value if self.timeframe else TRADES

    @property
    def layout(self) -> Layout:
        return bars_layout(self.timeframe) if self.timeframe else trades_layout()


class _Import:
    def __init__(
        self,
        archive: Path,
        file: zipfile.ZipFile,
        root: Path,
        wanted: Wanted,
        finished: Ledger,
        tell: Callable[[Step], None],
    ) -> None:
        self._archive = archive
        self._size = archive.stat().st_size
        self._file = file
        self._root = root
        self._scratch = root / SCRATCH
        self._shards = Shards(root)
        self._wanted = wanted
        self._finished = finished
        self._tell = tell
        self._skipped: Counter[str] = Counter()
        self._unresolved: set[str] = set()
        self._done = 0
        self._total = 0

    def run(self) -> ImportReport:
        members = [member for info in self._file.infolist() if (member := self._member(info)) is not None]
        due = [
            one for one in members if not self._finished.finished(self._identity(one), bars=self._bars(one))
        ]
        self._total = sum(member.info.file_size for member in due)
        reports, refused = [], []
        for number, member in enumerate(due, 1):
            try:
                report = self._take(member)
            except _BadMember as error:
                refused.append(Refused(member.info.filename, str(error)))
                self._say(f"refused member={member.info.filename} reason={error}")
            else:
                reports.append(report)
                self._say(f"finished number={number}/{len(due)} {report}")
        return ImportReport(
            archive=self._archive.name,
            members=tuple(reports),
            already=len(members) - len(due),
            skipped=dict(sorted(self._skipped.items())),
            unresolved=tuple(sorted(self._unresolved)),
            refused=tuple(refused),
        )

    def _member(self, info: zipfile.ZipInfo) -> _Member | None:
        path = PurePosixPath(info.filename)
        if info.is_dir():
            return None
        if path.suffix.lower() != ".csv" or path.name.startswith(".") or "__MACOSX" in path.parts:
            self._skipped["not a csv file"] += 1
            return None
        altname, timeframe = path.stem, None
        if (named := _BARS.fullmatch(path.stem)) is not None:
            altname, length = named["altname"], int(named["minutes"])
            if length not in _TIMEFRAMES:
                self._skipped[f"bars of {length} minutes"] += 1
                return None
            timeframe = _TIMEFRAMES[length]
        instrument = self._wanted.names.instrument(altname)
        if instrument is None:
            self._unresolved.add(altname)
            return None
        if self._wanted.instruments and instrument not in self._wanted.instruments:
            self._skipped["another instrument"] += 1
            return None
        return _Member(info, instrument, timeframe)

    def _bars(self, member: _Member) -> bool:
        return self._wanted.bars and member.timeframe is None

    def _identity(self, member: _Member) -> tuple[str, int, str, int, int]:
        info = member.info
        return (self._archive.name, self._size, info.filename, info.file_size, info.CRC)

    def _take(self, member: _Member) -> MemberReport:
        before = self._done
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(parents=True)
        tally = Tally()
        try:
            months = self._spill(member, tally)
        finally:
            self._done = before + member.info.file_size
        merged = [self._merge(member, month) for month in sorted(months)]
        archive, archive_size, name, size, crc = self._identity(member)
        self._finished.add(
            Entry(
                archive=archive,
                archive_size=archive_size,
                member=name,
                member_size=size,
                crc=crc,
                kind=member.kind,
                instrument=member.instrument,
                bars=self._bars(member),
                rows=tally.rows,
                malformed=dict(sorted(tally.reasons.items())),
            )
        )
        return MemberReport(
            member=name,
            instrument=member.instrument,
            kind=member.kind,
            rows=tally.rows,
            added=sum(one.added for one in merged),
            replaced=sum(one.replaced for one in merged),
            repeated=sum(one.repeated for one in merged),
            malformed=dict(sorted(tally.reasons.items())),
            first=tuple(tally.first),
        )

    def _spill(self, member: _Member, tally: Tally) -> set[str]:
        """Read a member to its end, its rows sorted into one scratch file for each month."""
        months: set[str] = set()
        before = self._done
        with _opened(self._file, member.info) as source:
            for rows in parse(source, member.layout, tally):
                for month, part in _by_month(rows, member.layout.unit):
                    months.add(month)
                    with (self._scratch / month).open("ab") as file:
                        part.tofile(file)
                self._done = before + source.bytes
                self._say("")
        return months

    def _merge(self, member: _Member, month: str) -> Merged:
        path = self._scratch / month
        rows = np.fromfile(path, member.layout.dtype)
        table = pl.DataFrame({name: rows[name] for name in rows.dtype.names or ()})
        del rows
        path.unlink()
        if member.timeframe is not None:
            series = Series(VENUE, member.instrument, member.timeframe)
            return self._shards.merge_bars(series, table, fuller=True)
        unknown = (pl.lit(0, pl.Int64).alias("trade_id"), pl.lit(0, pl.Int8).alias("side"))
        table = table.with_columns(*unknown, market=pl.lit(-1, pl.Int8))
        merged = self._shards.merge_trades(VENUE, member.instrument, table)
        del table
        if self._wanted.bars:
            start, end = month_span(month)
            for tape in Lake(self._root).trades(VENUE, member.instrument, start=start, end=end):
                merge_made_bars(self._shards, VENUE, member.instrument, tape)
        return merged

    def _say(self, text: str) -> None:
        self._tell(Step(self._done, self._total, text))


class _BadMember(Exception):
    """A member that cannot be read to its end."""


class _Source:
    """An open member that knows how much of it was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.bytes = 0

    def read(self, size: int, /) -> bytes:
        with _blamed():
            part = self._file.read(size)
        self.bytes += len(part)
        return part


@contextmanager
def _opened(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[_Source]:
    with _blamed():
        file = archive.open(info)
    with file:
        yield _Source(file)


@contextmanager
def _blamed() -> Iterator[None]:
    """Blame the member for what zipfile raises, and for nothing else."""
    try:
        yield
    except _BROKEN as error:
        raise _BadMember(f"expected a whole member, found {type(error).__name__}: {error}") from error


def merge_made_bars(shards: Shards, venue: str, instrument: str, trades: pl.DataFrame) -> None:
    """Put the bars of all timeframes that a whole month of trades makes into the lake."""
    finest = minutes(trades)
    for timeframe in Timeframe:
        made = finest if timeframe is Timeframe.M1 else coarser(finest, timeframe)
        shards.merge_bars(Series(venue, instrument, timeframe), made, fuller=True)


def _by_month(rows: Rows, unit: int) -> Iterable[tuple[str, Rows]]:
    if not len(rows):
        return
    months = (rows["ts"] * unit).view("datetime64[ns]").astype("datetime64[M]")
    first = months.min()
    if first == months.max():
        yield str(first), rows
        return
    for month in np.unique(months):
        yield str(month), rows[months == month]
