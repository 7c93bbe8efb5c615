"""Writing the journal: one writer, group commits, nothing leaves before its row is durable.

Must not know the engine or the venue. Called by the live shell: `append` in the engine's loop,
`run` as its own task. A commit that fails ends the process (fsync errors are not retried).
"""

import asyncio
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, closing, contextmanager
from importlib.resources import files
from pathlib import Path

import aiosqlite
import msgspec

from core.clock import Clock
from core.errors import JournalError
from core.events import Command, Event
from trader.journal_read import SCHEMA_VERSION, Closed, tape_path
from trader.records import COLUMNS, Labels, Step, is_taped, make_step
from trader.tape import START, TapeWriter

_INSERT = f"INSERT INTO records ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
BACKLOG = 5_000
"""Steps that may wait for a commit; beyond it the disk is dead and going on would be blind."""

Release = Callable[[], None]


class Journal:
    """The single writer of one journal database and its tape."""

    def __init__(
        self, db: aiosqlite.Connection, tape: TapeWriter, *, seq: int, chain: bytes, clock: Clock
    ) -> None:
        """Take over an opened journal after step `seq`; use `Journal.open` instead."""
        self._db = db
        self._tape = tape
        self._clock = clock
        self._pending: list[tuple[Step, Release | None, int]] = []
        self._wake = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._unsure = False
        self._failure = ""
        self.seq = seq
        self.chain = chain
        self.commit_ns: list[int] = []

    @classmethod
    async def open(cls, database: Path, *, after: "Resume | None", clock: Clock) -> "Journal":
        """Create a journal, or go on after the last whole step that recovery found."""
        try:
            async with AsyncExitStack() as stack:
                if after is None:
                    genesis = hashlib.sha256(f"{database}{clock.now()}{clock.monotonic()}".encode()).digest()
                    await asyncio.to_thread(_create, database, genesis)
                    after = Resume(seq=0, chain=genesis, tape_size=START)
                db = await stack.enter_async_context(aiosqlite.connect(database, isolation_level=None))
                await db.execute("PRAGMA busy_timeout=5000")
                await db.execute("PRAGMA journal_mode=WAL")
                await db.execute("PRAGMA synchronous=FULL")
                await db.execute("DELETE FROM meta WHERE key = 'closed'")
                tape = TapeWriter(tape_path(database), genesis=after.chain, size=after.tape_size)
                stack.pop_all()
        except (sqlite3.Error, OSError) as error:
            msg = f"{database}: expected a journal that can be written, found: {error}"
            raise JournalError(msg) from error
        return cls(db, tape, seq=after.seq, chain=after.chain, clock=clock)

    def append(
        self, event: Event, commands: Sequence[Command], labels: Labels, release: Release | None = None
    ) -> Step:
        """Add one step; `release` is called once its rows are committed (at once if it has none)."""
        # Before anything is noted: the journal stays whole up to the step before this one.
        if len(self._pending) >= BACKLOG:
            msg = f"expected commits to keep up, found {BACKLOG} steps waiting after step {self.seq}"
            raise JournalError(msg)
        step = make_step(self.seq + 1, event, commands, labels=labels, before=self.chain)
        self.seq, self.chain = step.seq, step.chain
        if is_taped(event):
            self._tape.append(step.seq, len(step.records), step.taped, step.chain)
        if step.records:
            self._pending.append((step, release, self._clock.monotonic()))
            self._wake.set()
        elif release is not None:
            release()
        return step

    async def run(self) -> None:
        """Commit what waits, all of it in one transaction, for ever."""
        while True:
            await self._wake.wait()
            await self.commit()

    async def commit(self) -> None:
        """Make everything appended so far durable, then release it in order."""
        async with self._one_at_a_time:
            self._wake.clear()
            with self._lasting():
                await self._write()

    @contextmanager
    def _lasting(self) -> Iterator[None]:
        """Make a failure of the disk final: after one, a second fsync may succeed and mean nothing."""
        if self._failure:
            raise JournalError(self._failure)
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self._failure = f"expected to commit up to step {self.seq}, found: {error}"
            raise JournalError(self._failure) from error

    async def _write(self) -> None:
        if self._unsure:
            await self._settle()
        batch = tuple(self._pending)
        if not batch:
            return
        rows = [tuple(getattr(r, c) for c in COLUMNS) for step, _, _ in batch for r in step.records]
        self._unsure = True
        # The tape first: a row on disk must never be younger than the events that led to it.
        await asyncio.to_thread(self._tape.sync)
        await self._db.execute("BEGIN IMMEDIATE")
        await self._db.executemany(_INSERT, rows)
        await self._db.executemany("INSERT INTO links VALUES (?, ?)", [(s.seq, s.chain) for s, _, _ in batch])
        await self._db.execute("COMMIT")
        self._unsure = False
        now = self._clock.monotonic()
        self.commit_ns = (self.commit_ns + [now - began for _, _, began in batch])[-2000:]
        self._released(len(batch))

    async def _settle(self) -> None:
        """Find out what became of a commit that was cancelled: nobody saw whether it took place."""
        await self._db.execute("SELECT 1")
        if self._db.in_transaction:
            await self._db.execute("ROLLBACK")
        async with self._db.execute("SELECT coalesce(max(seq), 0) FROM links") as cursor:
            row = await cursor.fetchone()
        durable = int(row[0]) if row else 0
        self._unsure = False
        self._released(sum(step.seq <= durable for step, _, _ in self._pending))

    def _released(self, count: int) -> None:
        done, self._pending = self._pending[:count], self._pending[count:]
        for _, release, _ in done:
            if release is not None:
                release()

    async def snapshot(self, state: bytes) -> None:
        """Store the engine's state after the last appended step, to make the next start short."""
        seq = self.seq
        await self.commit()
        with self._lasting():
            # The step may be on the tape only, and a snapshot must not outlive its step.
            await asyncio.to_thread(self._tape.sync)
            await self._db.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?)", (seq, state))

    async def close(self) -> None:
        """Commit, mark the journal as whole, and let go of both files; JournalError if it is not whole."""
        try:
            while self._pending:
                await self.commit()
            with self._lasting():
                closed = Closed(self.seq, self.chain, self._tape.close())
                await self._db.execute(
                    "INSERT OR REPLACE INTO meta VALUES ('closed', ?)", (msgspec.msgpack.encode(closed),)
                )
        finally:
            self._tape.abandon()
            await self._db.close()


class Resume(msgspec.Struct, frozen=True):
    """Where to go on: the last whole step, its link, and the tape's length after it."""

    seq: int
    chain: bytes
    tape_size: int | None


def _create(database: Path, genesis: bytes) -> None:
    """Make an empty journal, whole or not at all: a start that dies in here was no start."""
    if database.exists():
        msg = f"{database}: expected no journal yet, found one"
        raise JournalError(msg)
    fresh = database.with_suffix(".new")
    # A log that outlived its database would be played into the new one.
    for left in (fresh, *(database.with_name(f"{database.name}-{end}") for end in ("wal", "shm"))):
        left.unlink(missing_ok=True)
    with closing(sqlite3.connect(fresh)) as db:
        db.executescript(files("trader").joinpath("schema.sql").read_text())
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        db.execute("INSERT INTO meta VALUES ('genesis', ?)", (genesis,))
        db.commit()
    TapeWriter(tape_path(database), genesis=genesis, size=None).close()
    fresh.replace(database)
    folder = os.open(database.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
