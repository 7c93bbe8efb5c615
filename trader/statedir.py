"""The state directory: one daemon's files, held by one process at a time.

Must not know what is in the files. Called by the live shell and by commands that look beside it.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from core.errors import JournalError, TemporaryError


class StatePaths(msgspec.Struct, frozen=True):
    """Where each file of a daemon lives."""

    root: Path

    @property
    def journal(self) -> Path:
        """The journal database; its tape lies beside it."""
        return self.root / "journal.db"

    @property
    def token(self) -> Path:
        """The control API's bearer token, readable by the owner only."""
        return self.root / "api.token"

    @property
    def address(self) -> Path:
        """Where the control API of the running daemon listens, as a URL."""
        return self.root / "api.url"

    @property
    def listings(self) -> Path:
        """Which pairs the venue listed, and from when until when."""
        return self.root / "listings.jsonl"

    @property
    def keys(self) -> Path:
        """The folder of API keys' nonces and locks; file names tell nothing of a key."""
        return self.root / "keys"

    @property
    def features(self) -> Path:
        """The state of features as the last process left it."""
        return self.root / "features.state"

    @property
    def lock(self) -> Path:
        """Held for as long as a daemon lives; carries its process id."""
        return self.root / "daemon.lock"


@contextmanager
def held(root: Path) -> Iterator[StatePaths]:
    """Own a state directory for the life of the block.

    Raises TemporaryError when another daemon owns it, JournalError when it cannot be written.
    """
    paths = StatePaths(root)
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The lock goes with the descriptor, so a kill -9 releases it and a stale file never blocks.
        descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        msg = f"{root}: expected a state directory that can be written, found: {error.strerror}"
        raise JournalError(msg) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = paths.lock.read_text().strip() or "unknown"
            msg = f"{root}: expected no other daemon, found process {owner} holding the state directory"
            raise TemporaryError(msg) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield paths
    finally:
        os.close(descriptor)


def api_token(paths: StatePaths) -> str:
    """Give the control token, made on first use: 256 bits, mode 0600."""
    if not paths.token.exists():
        descriptor = os.open(paths.token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
    return paths.token.read_text().strip()
