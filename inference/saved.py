"""What a source keeps over a restart, as bytes without pickle.

Must not know files. Called by inference.pipeline. Arrays go as raw bytes with their kind and shape, and
are taken back only where both are what the running members expect.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from core.errors import DataError
from inference.members import AXES, Member

STATE = 1
"""Version of the layout."""

_DIGEST = hashlib.sha256().digest_size


class Array(msgspec.Struct, frozen=True, array_like=True):
    """One array in C order."""

    kind: str
    shape: tuple[int, ...]
    raw: bytes


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that goes on: the features' own bytes, and what members remember."""

    schema: int
    instruments: tuple[str, ...]
    members: dict[str, dict[str, Array]]
    frame: bytes


def kept(members: Mapping[str, Member]) -> dict[str, dict[str, Array]]:
    """Give what each member must not lose."""
    return {
        key: {
            name: Array(array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes())
            for name, array in member.lasting.items()
        }
        for key, member in members.items()
    }


def encode(state: State) -> bytes:
    """Give the bytes of a state, their SHA-256 first."""
    body = msgspec.msgpack.encode(state)
    return hashlib.sha256(body).digest() + body


def decode(raw: bytes) -> State:
    """Read a state; DataError in one line for anything else."""
    digest, body = raw[:_DIGEST], raw[_DIGEST:]
    if hashlib.sha256(body).digest() != digest:
        raise DataError("state of the models: expected the bytes that were kept; found others")
    try:
        state = msgspec.msgpack.decode(body, type=State)
    except (msgspec.DecodeError, UnicodeDecodeError) as broken:
        raise DataError(f"state of the models: expected version {STATE}; found: {broken}") from broken
    if state.schema != STATE:
        raise DataError(f"state of the models: expected version {STATE}; found {state.schema}")
    return state


def fitting(
    state: State, members: Mapping[str, Member], rows: Mapping[str, int]
) -> list[tuple[Member, dict[str, npt.NDArray[Any]]]]:
    """Give the members that the state knows with their arrays, on the instruments of now.

    An instrument that the state does not know starts anew. DataError if an array is not what it should be.
    """
    before = [k for k, name in enumerate(state.instruments) if name in rows]
    now = [rows[state.instruments[k]] for k in before]
    found = []
    for key, arrays in state.members.items():
        member = members.get(key)
        if member is None:
            continue
        fresh = {name: array.copy() for name, array in member.lasting.items()}
        if arrays.keys() != fresh.keys():
            raise DataError(
                f"state of {member.artifact.name}: expected {sorted(fresh)}; found {sorted(arrays)}"
            )
        for name, array in fresh.items():
            _take(name, arrays[name], array, (len(state.instruments), before, now))
        found.append((member, fresh))
    return found


def _take(name: str, saved: Array, into: npt.NDArray[Any], places: tuple[int, list[int], list[int]]) -> None:
    size, before, now = places
    axis = AXES.get(name)
    shape = list(into.shape)
    if axis is not None:
        shape[axis] = size
    if saved.kind != into.dtype.str or list(saved.shape) != shape:
        found = f"{saved.kind} {list(saved.shape)}"
        raise DataError(f"state of the models: expected {name} as {into.dtype.str} {shape}; found {found}")
    if len(saved.raw) != math.prod(shape) * into.dtype.itemsize:
        raise DataError(f"state of the models: expected all of {name}; found {len(saved.raw)} bytes")
    values = np.frombuffer(saved.raw, into.dtype).reshape(shape)
    if axis is None:
        into[...] = values
    elif axis == 0:
        into[now] = values[before]
    else:
        into[:, now] = values[:, before]
