"""A frame's state as bytes: a header that says what it is, then the arrays as they lie in memory.

Must not know files or what an array means. Called by frame. No pickle: what is read is numbers alone, and
bytes of another shape, version or digest are refused before any is used.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from inference.features.catalogue import KERNEL_VERSION

SCHEMA = 1
_MAGIC = b"seamark features "
_DIGEST = 32


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the arrays are of: specifications by name with their hashes, instruments in row order."""

    specs: dict[str, str]
    instruments: tuple[str, ...]
    arrays: tuple[tuple[str, tuple[int, ...]], ...] = ()
    schema: int = SCHEMA
    kernels: int = KERNEL_VERSION


def pack(header: Header, arrays: Sequence[NDArray[Any]]) -> bytes:
    """Give header and arrays as bytes."""
    shapes = tuple((array.dtype.str, array.shape) for array in arrays)
    head = msgspec.msgpack.encode(msgspec.structs.replace(header, arrays=shapes))
    body = b"".join([len(head).to_bytes(8, "little"), head, *(array.tobytes() for array in arrays)])
    return _MAGIC + hashlib.sha256(body).digest() + body


def unpack(raw: bytes, expected: Header) -> tuple[Header, list[NDArray[Any]]]:
    """Read what `pack` gave; DataError in one line unless it is of these specifications and kernels."""
    start = len(_MAGIC) + _DIGEST
    body = memoryview(raw)[start:]
    if raw[: len(_MAGIC)] != _MAGIC or hashlib.sha256(body).digest() != raw[len(_MAGIC) : start]:
        raise DataError("features state: expected a whole state; found other or damaged bytes")
    size = int.from_bytes(body[:8], "little")
    try:
        header = msgspec.msgpack.decode(body[8 : 8 + size], type=Header)
    except msgspec.DecodeError as broken:
        raise DataError(f"features state: expected a header of schema {SCHEMA}; {broken}") from broken
    for what in ("schema", "kernels", "specs"):
        if getattr(header, what) != getattr(expected, what):
            raise DataError(
                f"features state: expected {what} {getattr(expected, what)}; found {getattr(header, what)}"
            )
    arrays = []
    at = 8 + size
    for kind, shape in header.arrays:
        count = int(np.prod(shape))
        arrays.append(np.frombuffer(body, np.dtype(kind), count, at).reshape(shape))
        at += arrays[-1].nbytes
    return header, arrays
