"""From a journal to a desk that stands where the last one stood.

Must not know sockets or the venue. Called at daemon start; `verify` is `trader replay --verify`.
Both walk the same steps through the same engine and compare what comes out with what is stored.
"""

from pathlib import Path

import msgspec

from core.errors import DataError, JournalError
from core.events import SessionStarted
from trader.desk import Desk
from trader.journal import Resume
from trader.journal_read import JournalReader, StoredStep
from trader.records import decode_event, link, make_records
from trader.tape import START


class Recovered(msgspec.Struct, frozen=True):
    """A desk after the last whole step, and where the journal goes on."""

    desk: Desk
    resume: Resume
    last_ts: int
    remains: str


class Verdict(msgspec.Struct, frozen=True):
    """What a verification found: every step reproduced, or it would have raised."""

    journal: str
    steps: int
    commands: int
    sessions: int
    snapshots: int
    remains: str


class _Replay:
    """Feed stored steps to a desk and insist on the stored commands and links."""

    def __init__(self, reader: JournalReader, desk: Desk, chain: bytes) -> None:
        self._reader = reader
        self.desk = desk
        self.chain = chain

    def check(self, stored: StoredStep) -> None:
        """Insist on the link alone: nobody has altered the step."""
        chain = link(stored.seq, stored.body, stored.records, before=self.chain)
        if chain != stored.chain:
            where = f"{self._reader.database}: step {stored.seq}"
            msg = f"{where}: expected link {chain.hex()[:16]}, found {stored.chain.hex()[:16]}"
            raise JournalError(msg)
        self.chain = chain

    def step(self, stored: StoredStep) -> int:
        where = f"{self._reader.database}: step {stored.seq}"
        # The link first: bytes that were altered are not fed to an engine.
        self.check(stored)
        try:
            event = decode_event(stored.body)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            msg = f"{where}: expected a readable event, found: {error}"
            raise JournalError(msg) from error
        commands = self.desk.on_event(event)
        made = make_records(stored.seq, event, commands, labels=self.desk.labels, body=stored.body)
        if made != stored.records:
            hint = "a journal is replayed by the version that wrote it (docs/adr/0010)"
            msg = f"{where}: {_difference(made, stored.records)}; {hint}"
            raise JournalError(msg)
        return len(commands)


def recover(database: Path) -> Recovered:
    """Rebuild the desk from the newest snapshot and the steps after it; JournalError if it cannot."""
    reader = JournalReader(database)
    try:
        kept = reader.snapshot()
        desk = _restored(database, *kept) if kept else Desk()
        replay = _Replay(reader, desk, reader.genesis)
        seq, tape_size, last_ts = 0, None, 0
        for stored in reader.steps():
            if kept and stored.seq <= kept[0]:
                replay.check(stored)
            else:
                replay.step(stored)
            last_ts = max(last_ts, stored.records[0].ts if stored.records else last_ts)
            seq, tape_size = stored.seq, stored.tape_end or tape_size
        if kept and seq < kept[0]:
            msg = f"{database}: expected step {kept[0]} of the newest snapshot, found {seq} steps"
            raise JournalError(msg)
    finally:
        reader.close()
    return Recovered(desk, Resume(seq, replay.chain, tape_size or START), last_ts, reader.remains)


def verify(database: Path) -> Verdict:
    """Replay every step from the first and compare every command, link and snapshot."""
    reader = JournalReader(database)
    try:
        replay = _Replay(reader, Desk(), reader.genesis)
        snapshots = reader.snapshots()
        steps = commands = sessions = checked = 0
        for stored in reader.steps():
            commands += replay.step(stored)
            steps += 1
            sessions += stored.records[:1] != () and stored.records[0].kind == _SESSION
            if stored.seq in snapshots:
                checked += 1
                if replay.desk.snapshot() != snapshots[stored.seq]:
                    msg = f"{database}: snapshot after step {stored.seq} is not the state of that step"
                    raise JournalError(msg)
        if checked != len(snapshots):
            msg = f"{database}: expected {checked} snapshots that belong to steps, found {len(snapshots)}"
            raise JournalError(msg)
        closed = reader.closed
        if closed is not None and closed.chain != replay.chain:
            msg = f"{database}: expected the closing link of step {closed.seq}, found another"
            raise JournalError(msg)
    finally:
        reader.close()
    return Verdict(str(database), steps, commands, sessions, checked, reader.remains)


def _restored(database: Path, seq: int, state: bytes) -> Desk:
    try:
        return Desk.restore(state)
    except DataError as error:
        msg = f"{database}: snapshot after step {seq}: {error}"
        raise JournalError(msg) from error


_SESSION = str(SessionStarted.__struct_config__.tag)


def _difference(made: tuple[object, ...], stored: tuple[object, ...]) -> str:
    if len(made) != len(stored):
        return f"expected {len(made)} records, found {len(stored)}"
    index = next(i for i, pair in enumerate(zip(made, stored, strict=True)) if pair[0] != pair[1])
    return f"record {index} differs: expected {str(made[index])[:200]}, found {str(stored[index])[:200]}"
