"""The state of features on disk: a restart goes on where the last process ended.

Must not know what the bytes mean. Called by trader.upkeep, and by trader.assemble at the start. A file
is replaced whole or not at all, and one that cannot be used is worth a line in the log, no more:
history is fetched anyway.
"""

import os
from collections.abc import Callable
from pathlib import Path

import structlog

from core.errors import DataError
from core.text import iso

MAX_BYTES = 1 << 30
_STAMP = 8

log = structlog.get_logger()


def restore(path: Path, take: Callable[[bytes], tuple[str, ...]], now: int) -> tuple[str, ...]:
    """Let `take` go on from what was kept; gives the instruments that it knew, none where it refused."""
    try:
        raw = read(path, now)
        known = () if raw is None else take(raw)
    except DataError as error:
        log.warning("features_not_restored", reason=str(error))
        return ()
    if known:
        log.info("features_restored", instruments=len(known))
    return known


def read(path: Path, now: int) -> bytes | None:
    """Give what was kept, None where nothing was.

    DataError for a file that cannot be read, is huge, or was written after `now`, market time in ns:
    bars of a clock that was set back would all seem known already.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"{path}: expected at most {MAX_BYTES} bytes; found {size}")
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{path}: expected the state of features; found: {error.strerror}") from error
    kept_at = int.from_bytes(raw[:_STAMP], "big")
    if len(raw) < _STAMP or kept_at > now:
        raise DataError(f"{path}: expected a state from before {iso(now)}; found one of {iso(kept_at)}")
    return raw[_STAMP:]


def write(path: Path, state: bytes, now: int) -> None:
    """Keep a state in place of the last one; DataError where the disk refuses."""
    if len(state) > MAX_BYTES:
        raise DataError(f"{path}: expected at most {MAX_BYTES} bytes; found {len(state)}")
    fresh = path.with_suffix(".new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(now.to_bytes(_STAMP, "big"))
            file.write(state)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise DataError(f"{path}: expected to keep the state of features; found: {error.strerror}") from error


def forget(path: Path) -> None:
    """Take back what was kept: it may be wrong."""
    path.unlink(missing_ok=True)
