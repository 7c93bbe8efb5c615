"""The journal's promise: nothing is released before it is durable, and nothing appended is lost."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from core.clock import ManualClock
from core.errors import JournalError
from core.events import Event, Operator, Timer, Verb
from tests.day import Day, enter_long
from trader.journal import BACKLOG, Journal, Resume
from trader.records import NOBODY
from trader.recovery import recover, verify
from trader.tape import START, TapeReader, TapeWriter

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="/dev/full is not on this machine")


class Kept:
    """A desk whose steps go into a real journal; `released` is what the journal let go, in order."""

    def __init__(self, path: Path, journal: Journal) -> None:
        self.path, self.journal, self.desk = path, journal, Day().desk
        self.released: list[int] = []

    def append(self, event: Event) -> int:
        number = self.journal.seq + 1
        commands = self.desk.on_event(event)
        return self.journal.append(
            event, commands, self.desk.labels, lambda: self.released.append(number)
        ).seq

    def assert_whole(self) -> None:
        """Nothing is missing on disk: recovery gives this very desk, and every step verifies."""
        found = recover(self.path)
        assert found.desk.snapshot() == self.desk.snapshot()
        assert (found.resume.seq, found.remains) == (self.journal.seq, "")
        assert verify(self.path).steps == self.journal.seq


async def opened(path: Path) -> Kept:
    return Kept(path, await Journal.open(path, after=None, clock=ManualClock(1)))


def lived() -> list[Event]:
    """A day's events, from the start to a protected position: rows and tape alternate."""
    day, events = Day(), []
    tell = day.tell

    def noted(event: Event):
        events.append(event)
        return tell(event)

    day.tell = noted
    day.begin()
    day.link_up()
    day.reconcile()
    stop, entry = enter_long(day)
    day.working(stop)
    day.filled(entry, price="60000.1", quantity=entry.quantity, exec_id="T1")
    day.quote("60100.0", "60100.2")
    return events


LATER = lived()[-1].ts + 1


def full():
    """A file on a disk without room."""
    return FULL.open("wb")


def rows(path: Path, query: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as other:
        return other.execute(query, values).fetchall()


class CancelledAt:
    """Await a coroutine and cancel it where it waits for the nth time; True if it got to its end."""

    def __init__(self, coroutine, nth: int) -> None:
        self._coroutine, self._nth = coroutine, nth

    def __await__(self):
        waits = 0
        try:
            waiting = self._coroutine.send(None)
            while True:
                waits += 1
                if waits == self._nth:
                    waiting.cancel()
                    waiting = self._coroutine.throw(asyncio.CancelledError())
                    continue
                yield waiting
                waiting = self._coroutine.send(None)
        except StopIteration:
            return True
        except asyncio.CancelledError:
            return False


# ---- cancelled commits ----


@pytest.mark.parametrize("nth", range(1, 21))
async def test_a_cancelled_commit_loses_nothing_and_releases_once(tmp_path, nth):
    kept = await opened(tmp_path / "journal.db")
    events = lived()
    size = -(-len(events) // 4)

    async def in_four_commits():
        while kept.journal.seq < len(events):
            for event in events[kept.journal.seq : kept.journal.seq + size]:
                kept.append(event)
            await kept.journal.commit()

    assert await CancelledAt(in_four_commits(), nth) is False
    for event in events[kept.journal.seq :]:
        kept.append(event)
    await kept.journal.close()
    assert sorted(kept.released) == list(range(1, len(events) + 1))
    kept.assert_whole()


@pytest.mark.parametrize("first", range(1, 6))
@pytest.mark.parametrize("second", range(1, 9))
async def test_finding_out_about_a_cancelled_commit_may_be_cancelled_too(tmp_path, first, second):
    kept = await opened(tmp_path / "journal.db")
    for event in lived():
        kept.append(event)
    assert not await CancelledAt(kept.journal.commit(), first)
    await CancelledAt(kept.journal.commit(), second)
    await kept.journal.close()
    assert sorted(kept.released) == list(range(1, kept.journal.seq + 1))
    kept.assert_whole()


async def test_a_cancelled_writer_of_a_task_group_leaves_a_whole_journal(tmp_path):
    kept = await opened(tmp_path / "journal.db")
    async with asyncio.TaskGroup() as group:
        writer = group.create_task(kept.journal.run())
        for event in lived():
            kept.append(event)
            await asyncio.sleep(0)
        writer.cancel()
    await kept.journal.close()
    kept.assert_whole()


@pytest.mark.parametrize("nth", range(1, 7))
async def test_a_cancelled_close_is_a_crash_that_recovery_heals(tmp_path, nth):
    kept = await opened(tmp_path / "journal.db")
    for event in lived():
        kept.append(event)
    await kept.journal.commit()
    kept.append(Operator(LATER, Verb.PAUSE, "test"))
    await CancelledAt(kept.journal.close(), nth)
    assert recover(kept.path).resume.seq >= kept.journal.seq - 1


# ---- release ----


async def test_a_release_finds_its_rows_from_another_connection(tmp_path):
    path = tmp_path / "journal.db"
    kept = await opened(path)
    seen = []

    def look(seq):
        (count,) = rows(path, "SELECT count(*) FROM links JOIN records USING (seq) WHERE seq = ?", seq)[0]
        seen.append((seq, count > 0))

    for event in lived():
        number = kept.journal.seq + 1
        commands = kept.desk.on_event(event)
        step = kept.journal.append(event, commands, kept.desk.labels, lambda n=number: look(n))
        if step.records:
            assert (step.seq, True) not in seen
    waiting = [step.seq for step, _, _ in kept.journal._pending]
    seen.clear()
    await kept.journal.commit()
    assert seen == [(seq, True) for seq in waiting]
    assert len(kept.journal.commit_ns) == len(waiting)
    await kept.journal.close()


async def test_a_step_without_rows_has_nothing_to_wait_for(tmp_path):
    kept = await opened(tmp_path / "journal.db")
    kept.journal.append(Timer(LATER), (), NOBODY, lambda: kept.released.append(1))
    assert kept.released == [1]
    await kept.journal.close()


# ---- what ends the process ----


async def test_a_backlog_is_an_error_and_the_journal_stays_whole(tmp_path):
    kept = await opened(tmp_path / "journal.db")
    kept.append(lived()[0])
    now = lived()[0].ts
    for _ in range(BACKLOG - 1):
        kept.append(Operator(now, Verb.PAUSE, "test"))
    before = kept.desk.snapshot()
    with pytest.raises(JournalError, match=f"found {BACKLOG} steps waiting after step {BACKLOG}"):
        kept.append(Operator(now, Verb.RESUME, "test"))
    assert kept.released == []
    await kept.journal.close()
    assert recover(kept.path).desk.snapshot() == before
    assert verify(kept.path).steps == BACKLOG


async def test_a_full_disk_releases_nothing_and_is_final(tmp_path):
    kept = await opened(tmp_path / "journal.db")
    kept.append(lived()[0])
    await kept.journal.commit()
    before = kept.desk.snapshot()
    (pages,) = rows(kept.path, "PRAGMA page_count")[0]
    await kept.journal._db.execute(f"PRAGMA max_page_count={pages}")
    kept.released.clear()
    for _ in range(200):
        kept.append(Operator(LATER, Verb.PAUSE, "test"))
    with pytest.raises(JournalError, match="commit up to step 201, found: database or disk is full"):
        await kept.journal.commit()
    await kept.journal._db.execute("PRAGMA max_page_count=1000000")
    for again in (kept.journal.commit, kept.journal.close):
        with pytest.raises(JournalError, match="full"):
            await again()
    assert kept.released == []
    assert recover(kept.path).desk.snapshot() == before


@needs_full
async def test_a_tape_that_cannot_be_written_stops_the_rows_too(tmp_path):
    kept = await opened(tmp_path / "journal.db")
    sound = kept.journal._tape._file
    kept.journal._tape._file = full()
    for event in lived():
        kept.append(event)
    kept.released.clear()
    with pytest.raises(JournalError, match="No space left"):
        await kept.journal.commit()
    with pytest.raises(JournalError, match="No space left"):
        await kept.journal.snapshot(b"")
    with pytest.raises(JournalError, match="No space left"):
        await kept.journal.close()
    sound.close()
    assert kept.released == []
    assert rows(kept.path, "SELECT * FROM links UNION ALL SELECT * FROM snapshots") == []


# ---- files ----


async def test_a_snapshot_never_outlives_its_step(tmp_path):
    kept = await opened(tmp_path / "journal.db")
    for event in lived():
        kept.append(event)
    kept.append(Timer(LATER))
    await kept.journal.snapshot(kept.desk.snapshot())
    kept.assert_whole()
    await kept.journal.close()


def test_a_record_that_arrives_while_the_tape_syncs_is_synced_next(tmp_path):
    path = tmp_path / "journal.tape"
    tape = TapeWriter(path, genesis=bytes(32), size=None)

    class Interrupted:
        """The file, with a record appended between flush and fdatasync."""

        def __init__(self, file) -> None:
            self.file, self.flush, self.write, self.close = file, file.flush, file.write, file.close
            self.tell = file.tell

        def fileno(self) -> int:
            tape._file = self.file
            tape.append(2, 0, b"two", bytes(32))
            return self.file.fileno()

    tape._file = Interrupted(tape._file)
    tape.append(1, 0, b"one", bytes(32))
    tape.sync()
    assert [record.seq for record in TapeReader(path)] == [1]
    tape.sync()
    assert [record.seq for record in TapeReader(path)] == [1, 2]
    assert tape.close() == path.stat().st_size
    tape.abandon()


async def test_a_journal_is_made_once(tmp_path):
    path = tmp_path / "journal.db"
    await (await opened(path)).journal.close()
    with pytest.raises(JournalError, match="expected no journal yet"):
        await opened(path)


async def test_a_first_start_that_died_is_a_first_start_again(tmp_path):
    path = tmp_path / "journal.db"
    for name in ("journal.new", "journal.tape", "journal.db-wal", "journal.db-shm"):
        (tmp_path / name).write_bytes(b"left behind" * 100)
    kept = await opened(path)
    for event in lived():
        kept.append(event)
    await kept.journal.close()
    kept.assert_whole()
    assert not (tmp_path / "journal.new").exists()


async def test_what_cannot_be_opened_is_let_go_in_one_line(tmp_path):
    path = tmp_path / "journal.db"
    await (await opened(path)).journal.close()
    path.with_suffix(".tape").unlink()
    path.with_suffix(".tape").mkdir()
    for database in (path, tmp_path / "none" / "journal.db"):
        with pytest.raises(JournalError, match="expected a journal that can be written") as refused:
            await Journal.open(database, after=Resume(0, bytes(32), START), clock=ManualClock(1))
        assert "\n" not in str(refused.value)
    # A connection's thread that nobody ended would keep the process from ending.
    left = [t for t in threading.enumerate() if "_connection_worker_thread" in t.name]
    for thread in left:
        thread.join(5)
    assert not any(thread.is_alive() for thread in left)
