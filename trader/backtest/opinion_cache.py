"""Opinions that were worked out before, found again by what they follow from.

Must not know how opinions are made or used. Called by trader.backtest.run. A file is named by the hash of
everything that its content depends on: models, bars, program. It is read as a memory map and proved by
the SHA-256 of its body before a number of it is used; one that is damaged is refused, and made anew.
"""

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import platformdirs

from core.errors import DataError, UsageError
from core.market import Timeframe
from inference.ensemble import Ensemble
from trader.backtest.opinion_table import OpinionTable

LIMIT_MB = 4096
"""The folder's size after which the oldest files go."""
_MAGIC = b"seamark opinions 1\n"
_ALIGN = 64
_ARRAYS = ("ts_close", "usable", "reason", "p", "scales", "spread", "age_s")
_PACKAGES = Path(__file__).parents[2]


class _Array(msgspec.Struct, frozen=True):
    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


class _Header(msgspec.Struct, frozen=True):
    key: str
    digest: str
    model_hash: str
    decision: str
    instruments: tuple[str, ...]
    members: tuple[str, ...]
    reasons: tuple[str, ...]
    arrays: tuple[_Array, ...]
    size: int


def default_folder() -> Path:
    """Give the user's own cache folder."""
    return Path(platformdirs.user_cache_dir("seamark")) / "opinions"


def key_of(model: Ensemble, data_hash: str, *, beside: Iterable[Ensemble] = (), program: str = "") -> str:
    """Give the name of a model's opinions about some bars: which they are is in `data_hash`, span and all.

    A model's hash stands for its members' graphs, cards and feature specifications; `beside` are others
    that show in what it says (trader.backtest.opinions.entangled). The `program` (empty = this one) is part
    of the key too: other kernels, gates or library versions may give other bits.
    """
    specs = [member.artifact.spec.hash for member in model.members]
    others = sorted({one.model_hash for one in beside})
    return hashlib.sha256(
        msgspec.json.encode([_MAGIC, model.model_hash, others, specs, data_hash, program or _program()])
    ).hexdigest()


class OpinionCache:
    """A folder of opinion tables. `refused` says which files were damaged."""

    def __init__(self, folder: Path, *, limit_mb: int = LIMIT_MB) -> None:
        self._folder = folder
        self._limit = limit_mb * 2**20
        self.refused: list[str] = []

    def get(self, key: str) -> OpinionTable | None:
        """Give the table of a key, None if there is none that can be believed."""
        path = self._path(key)
        try:
            table = _read(path, key)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (DataError, OSError) as damaged:
            self.refused.append(str(damaged))
            return None
        with suppress(OSError):  # the oldest by use go first; a folder for reading only is as good
            os.utime(path)
        return table

    def put(self, key: str, table: OpinionTable) -> None:
        """Keep a table, whole or not at all, and let the oldest go where the folder has become too large."""
        path = self._path(key)
        half = path.with_suffix(f".{os.getpid()}.part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            half.write_bytes(_written(table, key))
            half.replace(path)
        except OSError as refused:
            with suppress(OSError):
                half.unlink()
            reason = refused.strerror or "it cannot be written"
            raise UsageError(f"cache: expected a folder to write to, {self._folder}; {reason}") from refused
        self._shrink(path)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key[:40]}.opinions"

    def _shrink(self, newest: Path) -> None:
        found = []
        for path in self._folder.glob("*.opinions"):
            with suppress(FileNotFoundError):  # another run may be at the same
                about = path.stat()
                found.append((about.st_mtime_ns, about.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total > self._limit and path != newest:
                total -= size
                path.unlink(missing_ok=True)


def _written(table: OpinionTable, key: str) -> bytes:
    arrays, parts, offset = [], list[bytes](), 0
    for name in _ARRAYS:
        values = np.ascontiguousarray(getattr(table, name))
        padding = -offset % _ALIGN
        parts += [bytes(padding), values.tobytes()]
        arrays.append(_Array(name, values.dtype.str, values.shape, offset + padding))
        offset += padding + values.nbytes
    body = b"".join(parts)
    header = msgspec.json.encode(
        _Header(
            key,
            hashlib.sha256(body).hexdigest(),
            table.model_hash,
            table.decision.value,
            table.instruments,
            table.members,
            table.reasons,
            tuple(arrays),
            len(body),
        )
    )
    start = b"%s%d\n%s" % (_MAGIC, len(header), header)
    return start + bytes(-len(start) % _ALIGN) + body


def _read(path: Path, key: str) -> OpinionTable:
    """Map a file and prove it; DataError in one line if it is not what was written."""
    # As a plain array: each look into a memmap would make another one.
    mapped = np.memmap(path, np.uint8, mode="r") if path.stat().st_size else np.empty(0, np.uint8)
    try:
        return _table(np.asarray(mapped).view(np.ndarray), key)
    except (ValueError, TypeError, msgspec.DecodeError) as wrong:
        raise DataError(f"{path}: expected kept opinions; {wrong}") from wrong


def _table(raw: Any, key: str) -> OpinionTable:
    header, body = _parted(raw)
    found = hashlib.sha256(body.data).hexdigest()
    if (header.key, header.digest, header.size) != (key, found, len(body)):
        raise ValueError(f"expected {header.size} bytes of {header.digest:.12}, found {found:.12}")
    arrays = {one.name: _array(body, one) for one in header.arrays}
    return OpinionTable(
        model_hash=header.model_hash,
        decision=Timeframe(header.decision),
        instruments=header.instruments,
        members=header.members,
        reasons=header.reasons,
        **arrays,
    )


def _parted(raw: Any) -> tuple[_Header, Any]:
    start = len(_MAGIC)
    head = raw[: start + 20].tobytes()
    if not head.startswith(_MAGIC):
        raise ValueError(f"found a file that begins with {head[:18]!r}")
    length, _, _ = head[start:].partition(b"\n")
    begin = start + len(length) + 1
    header = msgspec.json.decode(raw[begin : begin + int(length)].tobytes(), type=_Header)
    end = begin + int(length)
    return header, raw[end + -end % _ALIGN :]


def _array(body: Any, one: _Array) -> Any:
    dtype = np.dtype(one.dtype)
    count = int(np.prod(one.shape))
    return body[one.offset : one.offset + count * dtype.itemsize].view(dtype).reshape(one.shape)


@cache
def _program() -> str:
    """Give a hash of all source text that opinions pass through, and of the libraries beneath it."""
    whole = hashlib.sha256()
    for path in _sources():
        whole.update(path.relative_to(_PACKAGES).as_posix().encode() + b"\0" + path.read_bytes())
    for library in ("numpy", "numba", "onnxruntime"):
        whole.update(f"{library} {version(library)}\n".encode())
    return whole.hexdigest()


def _sources() -> Iterable[Path]:
    yield from sorted((_PACKAGES / "inference").rglob("*.py"))
    yield from sorted((_PACKAGES / "trader" / "backtest").glob("*.py"))
    yield from sorted((_PACKAGES / "feeds").glob("lake*.py"))
