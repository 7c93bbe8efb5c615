"""Reading a journal back: database rows and tape records as one sequence of steps.

Must not know the engine. Called by recovery (trader.recovery) and by `trader replay --verify`.
Reads through a read-only connection, so it can run beside a living daemon.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import msgspec

from core.errors import JournalError
from trader.records import COLUMNS, Record
from trader.tape import TapeReader, TapeRecord

SCHEMA_VERSION = 1
TAPE_SUFFIX = ".tape"


class StoredStep(msgspec.Struct, frozen=True):
    """One complete step as stored. `tape_end` is the tape's length after it."""

    seq: int
    body: bytes
    records: tuple[Record, ...]
    chain: bytes
    taped: bool
    tape_end: int


class Closed(msgspec.Struct, frozen=True, array_like=True):
    """What a clean stop leaves behind: nothing may be missing after it."""

    seq: int
    chain: bytes
    tape_size: int


def tape_path(database: Path) -> Path:
    """Give the tape that belongs to a journal database."""
    return database.with_suffix(TAPE_SUFFIX)


class JournalReader:
    """Walk the steps of a journal in order, refusing anything that does not fit together."""

    def __init__(self, database: Path) -> None:
        """Open read-only; JournalError when it is missing, corrupt or of another schema."""
        if not database.exists():
            msg = f"{database}: expected a journal, found no file"
            raise JournalError(msg)
        self.database = database
        self.tape = TapeReader(tape_path(database))
        self.remains = ""
        with self._sound():
            self._db = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
            self._db.execute("PRAGMA busy_timeout=5000")
            self._check()
            self.genesis = self._meta("genesis") or b""
            closed = self._meta("closed")
            self.closed = msgspec.msgpack.decode(closed, type=Closed) if closed else None

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    def snapshot(self) -> tuple[int, bytes] | None:
        """Give the newest stored engine state and the step after which it was taken."""
        with self._sound():
            row = self._db.execute("SELECT seq, state FROM snapshots ORDER BY seq DESC LIMIT 1").fetchone()
        return (int(row[0]), bytes(row[1])) if row else None

    def snapshots(self) -> dict[int, bytes]:
        """Give all stored states by step."""
        with self._sound():
            return {int(s): bytes(b) for s, b in self._db.execute("SELECT seq, state FROM snapshots")}

    def link(self, seq: int) -> bytes | None:
        """Give the chain value of a step that has rows."""
        row = self._db.execute("SELECT chain FROM links WHERE seq = ?", (seq,)).fetchone()
        return bytes(row[0]) if row else None

    def newest(self, kind: str, *, trader: str = "", until: int) -> Iterator[Record]:
        """Give the rows of one kind, newest first, up to a market time; no trader = any."""
        wanted = f"SELECT {', '.join(COLUMNS)} FROM records WHERE kind = ? AND ts <= ? AND ? IN ('', trader)"
        with self._sound():
            for row in self._db.execute(f"{wanted} ORDER BY seq DESC", (kind, until, trader)):
                yield Record(*row)

    def rows(self, seq: int) -> tuple[Record, ...]:
        """Give the rows of one step, unproved."""
        with self._sound():
            found = self._db.execute(
                f"SELECT {', '.join(COLUMNS)} FROM records WHERE seq = ? ORDER BY idx", (seq,)
            )
            return tuple(Record(*row) for row in found)

    def steps(self) -> Iterator[StoredStep]:
        """Give every complete step; afterwards `remains` says what lies beyond the last one."""
        with self._sound():
            yield from self._merge()

    @contextmanager
    def _sound(self) -> Iterator[None]:
        """Turn what SQLite and the file system say of a broken journal into one JournalError."""
        try:
            yield
        except (sqlite3.DatabaseError, msgspec.DecodeError) as error:
            msg = f"{self.database}: expected a sound SQLite journal, found: {error}"
            raise JournalError(msg) from error
        except OSError as error:
            msg = f"{self.tape.path}: expected the tape of {self.database.name}, found: {error.strerror}"
            raise JournalError(msg) from error

    def _merge(self) -> Iterator[StoredStep]:
        last_row = int(self._db.execute("SELECT coalesce(max(seq), 0) FROM records").fetchone()[0])
        if self.tape.genesis() != self.genesis:
            msg = f"{tape_path(self.database)}: belongs to another journal than {self.database.name}"
            raise JournalError(msg)
        tape = iter(self.tape)
        taped = next(tape, None)
        rows = self._row_groups()
        group = next(rows, None)
        seq, tape_end = 0, 0
        while True:
            seq += 1
            on_tape = taped is not None and taped.seq == seq
            records = group[1] if group is not None and group[0] == seq else ()
            complete = len(records) == taped.rows if on_tape and taped else bool(records)
            if not complete:
                self._end(seq, last_row, taped)
                return
            if on_tape and taped is not None:
                tape_end = taped.end
                yield StoredStep(
                    seq, taped.body, records, self._same_link(taped, bool(records)), True, tape_end
                )
                taped = next(tape, None)
            else:
                chain = self.link(seq) or b""
                yield StoredStep(seq, records[0].body, records, chain, False, tape_end)
            if records:
                group = next(rows, None)

    def _same_link(self, taped: TapeRecord, has_rows: bool) -> bytes:
        if has_rows and self.link(taped.seq) != taped.link:
            msg = f"{self.database}: step {taped.seq} has one link on the tape and another in the database"
            raise JournalError(msg)
        return taped.link

    def _end(self, seq: int, last_row: int, taped: TapeRecord | None) -> None:
        if last_row >= seq:
            msg = (
                f"{self.database}: expected step {seq}, found it missing or incomplete before step {last_row}"
            )
            raise JournalError(msg)
        if self.closed is not None and (self.closed.seq != seq - 1 or self.tape.torn or taped is not None):
            after = self.closed.seq
            msg = f"{self.database}: was closed after step {after}, found the last whole step {seq - 1}"
            raise JournalError(msg)
        if taped is not None or self.tape.torn:
            size = tape_path(self.database).stat().st_size
            self.remains = f"an unfinished tail on the tape after step {seq - 1} (tape of {size} bytes)"

    def _row_groups(self) -> Iterator[tuple[int, tuple[Record, ...]]]:
        cursor = self._db.execute(f"SELECT {', '.join(COLUMNS)} FROM records ORDER BY seq, idx")
        for seq, rows in groupby(cursor, key=lambda row: int(row[0])):
            yield seq, tuple(Record(*row) for row in rows)

    def _check(self) -> None:
        verdict = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version != SCHEMA_VERSION:
            msg = f"{self.database}: expected journal schema {SCHEMA_VERSION}, found {version}"
            raise JournalError(msg)

    def _meta(self, key: str) -> bytes | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return bytes(row[0]) if row else None
