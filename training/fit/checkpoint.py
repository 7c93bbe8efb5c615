"""What a fit needs to go on after a kill, in one file that is there whole or not at all.

Must not know networks or rows. Called by training.fit.loop. A file is found by a key over everything that
decides the weights, so one of other rows or terms is never taken up.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from core.errors import DataError

State = dict[str, Any]


def path_of(folder: Path, key: str) -> Path:
    """Give where the fit of this key keeps its state."""
    return folder / f"{key[:24]}.pt"


def save(folder: Path, key: str, state: State) -> None:
    """Write the state after an epoch."""
    folder.mkdir(parents=True, exist_ok=True)
    path = path_of(folder, key)
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("wb") as file:
        torch.save({"key": key, **state}, file)
    fresh.replace(path)


def load(folder: Path, key: str, device: torch.device) -> State | None:
    """Read the state of this key, None without one; DataError in one line for what is no checkpoint."""
    path = path_of(folder, key)
    if not path.exists():
        return None
    try:
        state: State = torch.load(path, map_location=device, weights_only=True)
    except Exception as broken:  # the library raises whatever its unpickler met
        reason = " ".join(str(broken).split())[:120]
        raise DataError(f"{path}: expected a checkpoint; found: {reason}") from broken
    if state.get("key") != key:
        raise DataError(f"{path}: expected the checkpoint of {key}; found one of {state.get('key')}")
    return state


def write_metrics(folder: Path, key: str, epochs: Sequence[Mapping[str, float]]) -> None:
    """Write one JSON line per epoch, all of them each time, so that a kill leaves no half line."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{key[:24]}.metrics.jsonl"
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text("".join(json.dumps(dict(epoch)) + "\n" for epoch in epochs))
    fresh.replace(path)
