"""Handing a finished model over: a checked copy, and how its graph answers batches of several sizes.

Must not know how a model was trained. Called by training.registry.cli. What the training code said is in
the golden rows; here the graph of the copy is asked for the same rows in batches of 1, 2, 7 and 64.
"""

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.errors import ModelError, UsageError
from inference import ensemble, golden
from inference.artifact import FILES, TOLERANCE, Artifact, load, open_session
from inference.ensemble import ENSEMBLE_FILE
from training.registry import shelf

BATCHES = (1, 2, 7, 64)


class Parity(NamedTuple):
    """Of one model: the largest difference from its golden answers by size of batch."""

    name: str
    model_hash: str
    bytes: int
    errors: dict[int, float]


def export(source: Path, out: Path) -> tuple[Parity, ...]:
    """Copy a model or an ensemble with its members to `out`/NAME, prove the copy, tell each one's parity.

    UsageError for a folder of that name with anything but a model in it, ModelError above TOLERANCE;
    then what was there before stays.
    """
    found = shelf.proved(source)
    name = str(found["name"])
    folders = [(source, name), *shelf.members(source)]
    for _, under in folders:
        _check_target(out / under)
    fresh = out / f".{name}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        for folder, under in folders:
            shutil.copytree(folder, fresh / under)
        told = tuple(parity(model) for model in _models(fresh / name))
        for _, under in reversed(folders):  # members first: an ensemble never stands without them
            shutil.rmtree(out / under, ignore_errors=True)
            (fresh / under).rename(out / under)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return told


def _models(folder: Path) -> list[Artifact]:
    """Give the models that a folder stands for, proved."""
    if (folder / ENSEMBLE_FILE).is_file():
        return [member.artifact for member in ensemble.load(folder).members]
    return [load(folder)]


def parity(model: Artifact) -> Parity:
    """Ask a model for its golden rows in batches of each size; ModelError above TOLERANCE."""
    session = open_session(model.model)
    tensors = dict(model.vectors)
    expected = tensors.pop(golden.ANSWERS)
    rows = len(expected)
    errors = {}
    for size in BATCHES:
        whole = -(-max(rows, size) // size) * size
        at = np.arange(whole) % rows
        answers = [
            model.run(session, {name: tensors[name][at[k : k + size]] for name in model.card.inputs})
            for k in range(0, whole, size)
        ]
        errors[size] = float(np.max(np.abs(np.concatenate(answers) - expected[at])))
    worst = max(errors.values())
    if not worst <= TOLERANCE:
        raise ModelError(f"{model.name}: expected parity within {TOLERANCE:g}; found {worst:g}")
    return Parity(model.name, model.model_hash, len(model.model), errors)


def _check_target(folder: Path) -> None:
    entries = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    if folder.is_file() or not entries <= FILES | {ENSEMBLE_FILE}:
        raise UsageError(f"{folder}: expected a new folder or an old model to replace; found other files")
