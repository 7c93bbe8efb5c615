"""The vault: the newest months of a series, which nothing looks at but one opening per release.

Must not know models or results. Called by training.vault.cli and training.walkforward. Openings are lines of
one committed file, each carrying the hash of the line before it, so that none can be changed or taken out of
the middle; taking away the newest lines shows against a head that was written down, or in the repository's
own history.
"""

import fcntl
import hashlib
import os
from pathlib import Path

import msgspec

from core.errors import DataError, UsageError
from core.text import iso
from training.folds import month_until, months_before

MONTHS = 3
"""How many of the newest whole months are shut away unless somebody says otherwise."""
FIRST = "0" * 64
"""What the first opening carries as the hash of the line before it."""


class Opening(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One opening: which release looked at which bars, when, who and why. Times are ISO-8601 UTC."""

    version: str
    date: str
    venue: str
    timeframe: str
    instruments: tuple[str, ...]
    start: str
    end: str
    data_hash: str
    who: str
    reason: str
    previous: str = FIRST
    hash: str = ""


def start_of(end: int, months: int = MONTHS) -> int:
    """Give the instant from which a series that ends at `end` (ns UTC) is shut away: a start of a month.

    The month in which it ends, unless whole, is shut away beside the `months` whole ones before it.
    """
    return months_before(month_until(end), months)


def read(log: Path) -> tuple[Opening, ...]:
    """Give all openings in order; none without a file. DataError names the first line that is not true."""
    if not log.is_file():
        return ()
    openings: list[Opening] = []
    for number, line in enumerate(log.read_bytes().splitlines(), 1):
        try:
            opening = msgspec.json.decode(line, type=Opening)
        except msgspec.DecodeError as broken:
            raise DataError(f"{log}:{number}: expected an opening of the vault; {broken}") from broken
        previous = openings[-1].hash if openings else FIRST
        if opening.previous != previous:
            raise DataError(
                f"{log}:{number}: expected the hash {previous[:12]} of the line before; "
                f"found {opening.previous[:12]}: a line was changed, added or taken away"
            )
        if opening.hash != (true := _hash(opening)):
            raise DataError(
                f"{log}:{number}: expected the hash {true[:12]} of the line's content; "
                f"found {opening.hash[:12]}: it was changed"
            )
        if opening.version in {one.version for one in openings}:
            raise DataError(f"{log}:{number}: expected one opening of version {opening.version}; found two")
        openings.append(opening)
    return tuple(openings)


def verify(log: Path, head: str = "") -> tuple[Opening, ...]:
    """Read, and hold the newest line against a `head` written down before (its hash or the start of it).

    A log that has grown since still has that line somewhere; DataError if it has not.
    """
    openings = read(log)
    if head and not any(opening.hash.startswith(head) for opening in openings):
        raise DataError(f"{log}: expected the line with hash {head}; found {len(openings)} others")
    return openings


def open_once(log: Path, opening: Opening) -> Opening:
    """Append an opening for ever and give it with its hashes.

    UsageError if its version has opened the vault before, DataError if the log is not true.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # two at once would both find the version unused
        before = read(log)
        for one in before:
            if one.version == opening.version:
                raise UsageError(
                    f"vault: expected a version that has not opened it; found {one.version}, "
                    f"opened {one.date} by {one.who}: {one.reason}"
                )
        chained = msgspec.structs.replace(opening, previous=before[-1].hash if before else FIRST)
        sealed = msgspec.structs.replace(chained, hash=_hash(chained))
        file.write(msgspec.json.encode(sealed) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return sealed


def require_open(log: Path, version: str, *, data_hash: str, start: int) -> Opening:
    """Give the version's opening of exactly these bars; UsageError where there is none."""
    found = {opening.version: opening for opening in read(log)}.get(version)
    if found is None:
        raise UsageError(
            f"vault: expected an opening by version {version} in {log}; found none. "
            "It opens once per release: training vault open --help"
        )
    if (found.data_hash, found.start) != (data_hash, iso(start)):
        raise UsageError(
            f"vault: expected the bars that version {version} opened, from {found.start}, hash "
            f"{found.data_hash[:12]}; found others, from {iso(start)}, hash {data_hash[:12]}"
        )
    return found


def _hash(opening: Opening) -> str:
    bare = msgspec.structs.replace(opening, hash="")
    return hashlib.sha256(msgspec.json.encode(bare)).hexdigest()
