"""Arrays in a folder: plain .npy files that can be mapped into memory, and a manifest that vouches for them.

Must not know what the arrays mean. Called by training.panel.build. A folder is there whole or not at all:
it is written under another name, and one whose manifest or any file's SHA-256 does not hold is not used.
"""

import contextlib
import fcntl
import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

MANIFEST = "manifest.json"
_SCHEMA = 1

Array = npt.NDArray[Any]


class Manifest(msgspec.Struct, frozen=True):
    """What a folder holds: SHA-256 of each file by its array's name, and `told`, words of its maker."""

    key: str
    files: dict[str, str]
    told: dict[str, tuple[str, ...]]
    schema: int = _SCHEMA


def save(folder: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays into a folder that is being made, no manifest yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(_file(folder, name), np.ascontiguousarray(array), allow_pickle=False)


def read(folder: Path, name: str, *, mapped: bool) -> Array:
    """Read one array, or map it into memory, read only."""
    found = np.load(_file(folder, name), mmap_mode="r" if mapped else None, allow_pickle=False)
    return np.asarray(found)


def join(parts: Sequence[Path], name: str, folder: Path) -> None:
    """Write one array's parts as one, end to end, and take the parts away; one part in memory at a time."""
    headers = [np.load(_file(part, name), mmap_mode="r", allow_pickle=False) for part in parts]
    shape = (sum(map(len, headers)), *headers[0].shape[1:])
    whole = np.lib.format.open_memmap(_file(folder, name), mode="w+", dtype=headers[0].dtype, shape=shape)
    start = 0
    for part, array in zip(parts, headers, strict=True):
        whole[start : start + len(array)] = array
        start += len(array)
        _file(part, name).unlink()
    whole.flush()


def seal(folder: Path, key: str, told: Mapping[str, tuple[str, ...]]) -> Manifest:
    """Write the manifest of what lies in a folder, last of all."""
    files = {path.stem: _digest(path) for path in sorted(folder.glob("*.npy"))}
    manifest = Manifest(key, files, dict(told))
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    return manifest


def whole(folder: Path, key: str) -> Manifest | None:
    """Give the manifest of a folder that is all there and unharmed, None of any other."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
        intact = all(_digest(_file(folder, name)) == digest for name, digest in manifest.files.items())
    except (OSError, msgspec.MsgspecError):
        return None
    return manifest if intact and (manifest.key, manifest.schema) == (key, _SCHEMA) else None


@contextlib.contextmanager
def alone(cache: Path, key: str) -> Iterator[Path]:
    """Give the folder of this key in a cache, for one process at a time; the others wait."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{key}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield cache / key


@contextlib.contextmanager
def fresh(folder: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of `folder` at the end, unless something goes wrong."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def drop(folder: Path) -> None:
    """Take a folder of parts away."""
    shutil.rmtree(folder)


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
