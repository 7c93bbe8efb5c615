"""Which version of a model is in force: a link that is swapped whole, and a log that says since when.

Must not know what a model is. Called by training.registry.cli. The log's line is written and flushed
before the link is swapped. So a cut between the two leaves the old version in force and a line that did
not come true: the line after it, or the link, tells so, and neither `rollback` nor a reader is misled.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from core.errors import DataError, UsageError
from core.text import iso
from training.registry import shelf
from training.registry.shelf import ACTIVE, Version

LOG_FILE = "activations.jsonl"
LOCK_FILE = ".lock"

Step = Callable[[str], None]
"""Told of each step before it is taken; a test cuts here."""


class Activation(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"since": "from"}
):
    """One line of the log. `since` and `to` are versions' digits, `since` empty for the first."""

    when: str
    who: str
    name: str
    since: str
    to: str
    hash: str
    act: Literal["activate", "rollback"] = "activate"


def _uncut(_: str) -> None:
    """Take every step."""


def active(root: Path, name: str) -> str:
    """Give the digits of the version in force, empty where none is."""
    link = root / name / ACTIVE
    return link.readlink().parts[0] if link.is_symlink() else ""


def log(root: Path) -> tuple[Activation, ...]:
    """Give all lines in order; DataError names the first that cannot be read, but for a torn last one."""
    path = root / LOG_FILE
    if not path.is_file():
        return ()
    lines = path.read_bytes().splitlines(keepends=True)
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(msgspec.json.decode(line, type=Activation))
        except msgspec.DecodeError as broken:
            if number == len(lines) and not line.endswith(b"\n"):
                break  # cut while it was written: what it announced was never done
            raise DataError(f"{path}:{number}: expected an activation; {broken}") from broken
    return tuple(found)


def happened(root: Path, name: str) -> tuple[Activation, ...]:
    """Give the lines of one model that came true: the next line, or the link, starts from their `to`."""
    lines = [one for one in log(root) if one.name == name]
    after = [*(one.since for one in lines), active(root, name)][1:]
    return tuple(one for one, found in zip(lines, after, strict=True) if one.to == found)


def activate(root: Path, chosen: Version, *, when: int, who: str, step: Step = _uncut) -> Activation:
    """Prove a version and put it in force; when it is already, nothing is written.

    ModelError for a version that does not prove: the old one stays in force.
    """
    with _alone(root):
        return _swap(root, chosen, when=when, who=who, act="activate", step=step)


def rollback(root: Path, name: str, *, when: int, who: str, step: Step = _uncut) -> Activation:
    """Put the version in force that was before the present one; UsageError where there is none."""
    with _alone(root):
        stack: list[str] = []
        for one in happened(root, name):
            if one.act == "activate":
                stack.append(one.to)
            else:
                stack.pop()
        if len(stack) < 2:
            raise UsageError(f"{name}: expected an earlier version to go back to; found none in {LOG_FILE}")
        before = shelf.version(root, name, stack[-2])
        return _swap(root, before, when=when, who=who, act="rollback", step=step)


def _swap(
    root: Path, chosen: Version, *, when: int, who: str, act: Literal["activate", "rollback"], step: Step
) -> Activation:
    step("prove")
    found = shelf.proved(chosen.folder)
    now = active(root, chosen.name)
    line = Activation(
        when=iso(when),
        who=who,
        name=chosen.name,
        since=now,
        to=chosen.digits,
        hash=str(found["model_hash"]),
        act=act,
    )
    if now == chosen.digits:
        return line
    step("log")
    _append(root / LOG_FILE, msgspec.json.encode(line) + b"\n", step)
    link = root / chosen.name / ACTIVE
    fresh = link.with_name(f".{ACTIVE}.new")
    step("new link")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path(chosen.digits, chosen.name))
    step("swap")
    fresh.replace(link)
    step("done")
    _flush(link.parent)
    return line


def _append(path: Path, line: bytes, step: Step) -> None:
    """Add a line and flush it; a torn one before it is taken away first, for nothing came of it."""
    with path.open("ab+") as file:
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
        file.write(line[: len(line) // 2])
        file.flush()
        step("torn line")
        file.write(line[len(line) // 2 :])
        file.flush()
        os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Let one process at a time change what is in force."""
    if not root.is_dir():
        raise UsageError(f"{root}: expected a registry; found no folder. Begin one: training registry add")
    with (root / LOCK_FILE).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
