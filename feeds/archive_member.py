"""One member of a zip archive, read as a stream; whatever is wrong with it has one name.

Must not know what the bytes mean. Called by feeds.archive.
"""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)
"""What zipfile raises for a member: bad CRC, cut-off deflate, unknown method, encryption."""


class BadMember(Exception):
    """A member that cannot be read to its end."""


class Source:
    """An open member that knows how much of it was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.bytes = 0

    def read(self, size: int, /) -> bytes:
        """Give at most `size` bytes, none at the end."""
        with _blamed():
            part = self._file.read(size)
        self.bytes += len(part)
        return part


@contextmanager
def opened(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[Source]:
    """Open a member; BadMember when it turns out to be damaged, now or while it is read."""
    with _blamed():
        file = archive.open(info)
    with file:
        yield Source(file)


@contextmanager
def _blamed() -> Iterator[None]:
    """Blame the member for what zipfile raises, and for nothing else."""
    try:
        yield
    except _BROKEN as error:
        raise BadMember(f"expected a whole member, found {type(error).__name__}: {error}") from error
