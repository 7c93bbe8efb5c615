"""Which members of which archives are in the lake already: one line of JSON each, appended and synced.

Must not know how members are read. Called by feeds.archive and the ingestion report.
The lines hold nothing but facts of the member (no time of day, no counts that depend on what was in
the lake before), so an import that was killed and run again leaves the same file.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from core.errors import DataError, TemporaryError

NAME = "imports.jsonl"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A finished member and what it held. `kind` is a timeframe or `trades`."""

    archive: str
    archive_size: int
    member: str
    member_size: int
    crc: int
    kind: str
    instrument: str
    bars: bool
    """Whether bars were made of its trades, too."""
    rows: int
    malformed: dict[str, int]

    @property
    def identity(self) -> tuple[str, int, str, int, int]:
        """What makes it this member and no other."""
        return (self.archive, self.archive_size, self.member, self.member_size, self.crc)


class Ledger:
    """The finished members of a lake; made by `ledger`, which holds the lock."""

    def __init__(self, handle: int, entries: list[Entry]) -> None:
        self._handle = handle
        self._finished = {entry.identity: entry for entry in entries}

    def finished(self, identity: tuple[str, int, str, int, int], *, bars: bool) -> bool:
        """Say whether a member needs no more work."""
        entry = self._finished.get(identity)
        return entry is not None and (entry.bars or not bars)

    def add(self, entry: Entry) -> None:
        """Note a member; it is on disk when this returns."""
        os.write(self._handle, msgspec.json.encode(entry) + b"\n")
        os.fsync(self._handle)
        self._finished[entry.identity] = entry


@contextmanager
def ledger(root: Path) -> Iterator[Ledger]:
    """Open the ledger of a lake for one import at a time; TemporaryError where another one runs."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / NAME
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TemporaryError(
                f"{path}: expected no other import into this lake; one is running"
            ) from error
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        os.ftruncate(handle, whole)  # a line cut off by a kill
        yield Ledger(handle, _entries(path, content[:whole]))
    finally:
        os.close(handle)


def read_entries(root: Path) -> list[Entry]:
    """Give the latest entry of each finished member; none where nothing was imported."""
    path = root / NAME
    if not path.is_file():
        return []
    content = path.read_bytes()
    return _entries(path, content[: content.rfind(b"\n") + 1])


def _entries(path: Path, content: bytes) -> list[Entry]:
    latest = {}
    for number, line in enumerate(content.splitlines(), 1):
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except msgspec.MsgspecError as error:
            raise DataError(f"{path}: expected an entry in line {number}, found: {error}") from error
        latest[entry.identity] = entry
    return list(latest.values())
