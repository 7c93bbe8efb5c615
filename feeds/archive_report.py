"""What an import says while it runs and when it ends.

Must not know archives. Called by feeds.archive, which fills it in, and by `trader data import-zip`.
"""

from typing import NamedTuple

import msgspec

from feeds.archive_rows import Malformed


class Step(NamedTuple):
    """How far an import is, in bytes of members; `text` is set where something is worth a line."""

    done: int
    total: int
    text: str = ""


class Refused(msgspec.Struct, frozen=True):
    """A member that is not in the lake, and why."""

    member: str
    reason: str


class MemberReport(msgspec.Struct, frozen=True):
    """What one member added."""

    member: str
    instrument: str
    kind: str
    rows: int
    added: int
    replaced: int
    repeated: int
    malformed: dict[str, int]
    first: tuple[Malformed, ...]

    def __str__(self) -> str:
        text = (
            f"member={self.member} rows={self.rows} added={self.added} replaced={self.replaced} "
            f"repeated={self.repeated} malformed={sum(self.malformed.values())}"
        )
        return text + "".join(f" [line {one.line}: {one.reason}: {one.text!r}]" for one in self.first)


class ImportReport(msgspec.Struct, frozen=True):
    """What one archive added to the lake, and what it did not."""

    archive: str
    members: tuple[MemberReport, ...]
    already: int
    """Members that an earlier import had finished."""
    skipped: dict[str, int]
    unresolved: tuple[str, ...]
    refused: tuple[Refused, ...]
