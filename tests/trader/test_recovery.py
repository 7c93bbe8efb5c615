"""Recovery and verification: the same steps give the same desk, and no byte may change unseen."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.clock import ManualClock
from core.errors import JournalError
from core.events import Event, Timer
from tests.day import Day, enter_long
from trader.journal import Journal
from trader.recovery import recover, verify
from trader.tape import START


class Written:
    """A day whose every event went through a real journal on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.day = Day()
        self.events: list[Event] = []
        tell = self.day.tell

        def noted(event: Event):
            self.events.append(event)
            return tell(event)

        self.day.tell = noted

    def live(self) -> None:
        day = self.day
        day.begin()
        day.link_up()
        day.reconcile()
        stop, entry = enter_long(day)
        day.working(stop)
        day.filled(entry, price="60000.1", quantity=entry.quantity, exec_id="T1")
        day.quote("60100.0", "60100.2")

    async def write(self, *, upto: int | None = None, clean: bool = True) -> None:
        clock = ManualClock(1)
        journal = await Journal.open(self.path, after=None, clock=clock)
        desk = Day().desk
        for event in self.events[:upto]:
            commands = desk.on_event(event)
            journal.append(event, commands, desk.labels)
        if clean:
            await journal.snapshot(desk.snapshot())
            await journal.close()
        else:
            await journal.commit()
            journal._tape.close()
            await journal._db.close()


@pytest.fixture
def written(tmp_path: Path) -> Written:
    made = Written(tmp_path / "journal.db")
    made.live()
    return made


async def test_recovery_gives_the_desk_that_was_left(written: Written):
    await written.write()
    found = recover(written.path)
    assert found.desk.snapshot() == written.day.desk.snapshot()
    assert found.resume.seq == len(written.events)
    assert found.remains == ""


async def test_recovery_after_a_crash_folds_every_step(written: Written):
    await written.write(clean=False)
    assert recover(written.path).desk.snapshot() == written.day.desk.snapshot()


async def test_a_resumed_journal_verifies_as_one(written: Written):
    await written.write(clean=False)
    found = recover(written.path)
    clock = ManualClock(2)
    journal = await Journal.open(written.path, after=found.resume, clock=clock)
    event = Timer(written.day.now + 1)
    journal.append(event, found.desk.on_event(event), found.desk.labels)
    await journal.snapshot(found.desk.snapshot())
    await journal.close()
    verdict = verify(written.path)
    assert verdict.steps == len(written.events) + 1
    assert verdict.snapshots == 1


async def test_verification_counts_what_it_reproduced(written: Written):
    await written.write()
    verdict = verify(written.path)
    assert verdict.steps == len(written.events)
    assert verdict.sessions == 1
    assert verdict.commands > 0


async def test_a_torn_tape_verifies_to_the_last_whole_record(written: Written):
    written.day.quote("60100.0", "60100.2")
    await written.write(clean=False)
    tape = written.path.with_suffix(".tape")
    with tape.open("r+b") as file:
        file.truncate(tape.stat().st_size - 7)
    verdict = verify(written.path)
    assert verdict.steps == len(written.events) - 1
    assert "unfinished tail" in verdict.remains


async def test_a_torn_tape_after_a_clean_stop_is_an_error(written: Written):
    written.day.quote("60100.0", "60100.2")
    await written.write(clean=True)
    tape = written.path.with_suffix(".tape")
    with tape.open("r+b") as file:
        file.truncate(tape.stat().st_size - 7)
    with pytest.raises(JournalError):
        verify(written.path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2**31), bit=st.integers(0, 7))
async def test_any_altered_byte_of_the_tape_is_found(written: Written, place: int, bit: int):
    if not written.path.exists():
        await written.write()
    tape = written.path.with_suffix(".tape")
    sound = tape.read_bytes()
    at = 8 + place % (len(sound) - 8)
    broken = bytearray(sound)
    broken[at] ^= 1 << bit
    tape.write_bytes(bytes(broken))
    try:
        with pytest.raises(JournalError):
            verify(written.path)
    finally:
        tape.write_bytes(sound)


RECORD_COLUMNS = (
    "ts",
    "kind",
    "account",
    "trader",
    "stage",
    "model_hash",
    "config_hash",
    "prediction_id",
    "cl_ord_id",
    "body",
)


@pytest.mark.parametrize("column", RECORD_COLUMNS)
async def test_any_altered_column_of_a_record_is_found(written: Written, column: str):
    await written.write()
    database = sqlite3.connect(written.path)
    rows = database.execute("SELECT seq, idx FROM records").fetchall()
    sound = written.path.read_bytes()
    for seq, idx in rows[:: max(1, len(rows) // 5)]:
        value = database.execute(
            f"SELECT {column} FROM records WHERE seq=? AND idx=?", (seq, idx)
        ).fetchone()[0]
        changed = (
            value + 1 if isinstance(value, int) else value[:-1] + (b"!" if isinstance(value, bytes) else "!")
        )
        database.execute(f"UPDATE records SET {column}=? WHERE seq=? AND idx=?", (changed, seq, idx))
        database.commit()
        with pytest.raises(JournalError):
            verify(written.path)
        database.execute(f"UPDATE records SET {column}=? WHERE seq=? AND idx=?", (value, seq, idx))
        database.commit()
    database.close()
    assert sound
    verify(written.path)


@pytest.mark.parametrize("walk", [recover, verify])
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM records WHERE seq = (SELECT max(seq) FROM records)",
        "DELETE FROM records WHERE idx = 1",
        "UPDATE records SET trader = 'nobody' WHERE seq = 1",
        "UPDATE links SET chain = zeroblob(32) WHERE seq = 2",
        "UPDATE snapshots SET state = zeroblob(length(state))",
        "UPDATE snapshots SET seq = seq + 5",
        "DELETE FROM links WHERE seq = 1",
        "UPDATE meta SET value = zeroblob(32) WHERE key = 'genesis'",
    ],
)
async def test_rows_that_are_missing_or_moved_are_found(
    written: Written, statement: str, walk: Callable[[Path], object]
):
    """Also rows from before the snapshot that a start begins with."""
    await written.write()
    walk(written.path)
    database = sqlite3.connect(written.path)
    database.execute(statement)
    database.commit()
    database.close()
    with pytest.raises(JournalError):
        walk(written.path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE snapshots SET state = zeroblob(length(state))",
        "UPDATE snapshots SET state = substr(state, 1, length(state) - 1)",
        "UPDATE snapshots SET seq = seq + 5",
        "UPDATE meta SET value = x'00' WHERE key = 'closed'",
        "DELETE FROM meta",
        "DROP TABLE snapshots",
    ],
)
async def test_a_daemon_is_not_restored_from_an_altered_state(written: Written, statement: str):
    await written.write()
    database = sqlite3.connect(written.path)
    database.execute(statement)
    database.commit()
    database.close()
    with pytest.raises(JournalError):
        recover(written.path)


async def test_a_journal_without_its_tape_is_refused(written: Written):
    await written.write()
    written.path.with_suffix(".tape").unlink()
    with pytest.raises(JournalError, match=r"journal\.tape: expected the tape of journal\.db"):
        recover(written.path)


def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path: Path):
    path = tmp_path / "journal.db"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(JournalError, match=r"expected a sound SQLite journal") as refused:
        recover(path)
    assert "\n" not in str(refused.value)


def test_an_empty_file_is_refused(tmp_path: Path):
    path = tmp_path / "journal.db"
    path.touch()
    with pytest.raises(JournalError):
        recover(path)


def test_tape_start_is_magic_and_genesis():
    assert START == 40
