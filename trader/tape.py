"""The tape: one append-only file of frequent events beside the journal database.

Must not know SQLite or the engine. Written by the journal, read by recovery and replay.

    file   = magic (8) genesis (32) record*
    record = header body link;  header = length u32, seq u64, rows u16, crc32 of those u32
    link   = the 32-byte chain value of the step, shared with the database

A record that the file ends inside of is torn (a crash); a whole record that does not add up was
altered. The header's own checksum keeps the two apart when it is the length that changed.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock

import msgspec

from core.errors import JournalError

MAGIC = b"SMTAPE01"
_HEADER = struct.Struct(">IQH")
_CRC = struct.Struct(">I")
HEADER_SIZE = _HEADER.size + _CRC.size
LINK_SIZE = 32
START = len(MAGIC) + LINK_SIZE


class TapeRecord(msgspec.Struct, frozen=True):
    """One taped event; `rows` counts the journal rows that belong to the same step."""

    seq: int
    rows: int
    body: bytes
    link: bytes
    end: int


class TapeWriter:
    """Append records; buffered until `sync`."""

    def __init__(self, path: Path, *, genesis: bytes, size: int | None) -> None:
        """Open `path` for appending after `size` bytes (what lies beyond was never committed)."""
        new = size is None
        self._file = path.open("wb" if new else "r+b")
        if size is None:
            self._file.write(MAGIC + genesis)
        else:
            self._file.truncate(size)
            self._file.seek(size)
        self._dirty = new
        self._syncing = Lock()

    def append(self, seq: int, rows: int, body: bytes, link: bytes) -> None:
        """Add one record to the buffer."""
        head = _HEADER.pack(len(body), seq, rows)
        self._file.write(head + _CRC.pack(zlib.crc32(head)) + body + link)
        self._dirty = True

    def sync(self) -> None:
        """Put everything appended before this call on disk; blocks for some ms, fit for a thread."""
        # A second caller waits: returning early would promise what the first has not yet done.
        with self._syncing:
            if self._dirty:
                # Cleared first: a record that is appended meanwhile has to be synced again.
                self._dirty = False
                self._file.flush()
                os.fdatasync(self._file.fileno())

    def close(self) -> int:
        """Sync and close; gives the size in bytes."""
        self.sync()
        size = self._file.tell()
        self._file.close()
        return size

    def abandon(self) -> None:
        """Let go of the file without promising anything; harmless after `close`."""
        with self._syncing, suppress(OSError):
            self._file.close()


class TapeReader:
    """Read a tape in order; `torn` says how many bytes of an unfinished record remain."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn = 0

    def genesis(self) -> bytes:
        """Give the chain's first value from the file head; JournalError if it is no tape."""
        with self.path.open("rb") as file:
            head = file.read(START)
        if len(head) < START or not head.startswith(MAGIC):
            msg = f"{self.path}: expected a tape that begins with {MAGIC.decode()}, found {head[:8]!r}"
            raise JournalError(msg)
        return head[len(MAGIC) :]

    def __iter__(self) -> Iterator[TapeRecord]:
        self.genesis()
        total = self.path.stat().st_size
        with self.path.open("rb") as file:
            at = START
            file.seek(at)
            while at < total:
                head = file.read(HEADER_SIZE)
                if len(head) < HEADER_SIZE:
                    break
                length, seq, rows = _HEADER.unpack_from(head)
                if zlib.crc32(head[: _HEADER.size]) != _CRC.unpack_from(head, _HEADER.size)[0]:
                    msg = f"{self.path}: record header at byte {at} was altered (checksum differs)"
                    raise JournalError(msg)
                end = at + HEADER_SIZE + length + LINK_SIZE
                if end > total:
                    break
                yield TapeRecord(seq, rows, file.read(length), file.read(LINK_SIZE), end)
                at = end
            self.torn = total - at
