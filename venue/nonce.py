"""Nonces of one API key: strictly rising, also over restarts and a clock that steps back.

Must not know requests or signatures. Called by venue.client. The file beside the journal holds a
number that no nonce has reached yet; it is moved ahead of time and, on the trading loop, from a
thread. Whoever holds the key's lock is the only source of its nonces.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import JournalError, TemporaryError

AHEAD = 60_000_000
"""How far (microseconds) the stored bound runs ahead: about one write a minute."""
NEAR = 1_000_000
"""Closer than this to the bound it is time to move it."""


class Nonces:
    """The one source of a key's nonces; without a path they rise within this process only."""

    def __init__(self, microseconds: Callable[[], int], path: Path | None = None) -> None:
        self._now = microseconds
        self._path = path
        self._last = self._bound = self._stored()

    def next(self) -> int:
        """Give microseconds, or one more than ever before where the clock is behind that."""
        nonce = max(self._last + 1, self._now())
        if nonce >= self._bound:
            self.reserve()
            nonce = max(self._last + 1, nonce)
        self._last = nonce
        return nonce

    @property
    def due(self) -> bool:
        """Tell whether the next nonce, or one within a second, would have to wait for the disk."""
        return self._path is not None and max(self._last + 1, self._now()) + NEAR >= self._bound

    def reserve(self) -> None:
        """Move the stored bound ahead. Waits for the disk: call it from a thread, and `next` after it."""
        self._last = max(self._last, self._stored())
        bound = max(self._last, self._now()) + AHEAD
        self._write(bound)
        self._bound = bound

    def resync(self) -> None:
        """Start again above everything that anybody has stored meanwhile."""
        self._last = max(self._last, self._bound, self._stored())

    def _stored(self) -> int:
        if self._path is None or not self._path.exists():
            return 0
        text = self._path.read_text().strip()
        if not text.isdigit():
            raise JournalError(f"{self._path}: expected a number, found {text[:40]!r}")
        return int(text)

    def _write(self, bound: int) -> None:
        if self._path is None:
            return
        fresh = self._path.with_suffix(".new")
        try:
            with fresh.open("w") as file:
                file.write(f"{bound}\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as error:
            msg = f"{self._path}: expected a file that can be written, found: {error.strerror}"
            raise JournalError(msg) from error


def nonce_file(directory: Path, key: str) -> Path:
    """Give where a key's nonce lies; the name tells nothing of the key."""
    return directory / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.nonce"


@contextmanager
def held_key(directory: Path | None, key: str) -> Iterator[None]:
    """Own a key for the life of the block; raises TemporaryError when another process does."""
    if directory is None:
        yield
        return
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = nonce_file(directory, key).with_suffix(".lock")
    # The lock goes with the descriptor, so a kill -9 releases it and a stale file never blocks.
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TemporaryError(f"{lock}: expected no other process to use this API key") from error
        yield
    finally:
        os.close(descriptor)
