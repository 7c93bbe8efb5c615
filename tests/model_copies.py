"""Copies of a shipped model that differ in what their cards say, and so in their hashes.

Must not know who uses them. Called by tests that change models under a running daemon.
"""

import shutil
from pathlib import Path

import msgspec

from inference.card import decode, encode, sealed

SHIPPED = Path(__file__).parents[1] / "configs" / "models"


def copied(folder: Path, name: str = "entry-15m", *, version: str = "copy") -> Path:
    """Copy a shipped model under another version; it is sound, and its hash is new."""
    path = folder / f"{name}-{version}"
    shutil.copytree(SHIPPED / name, path)
    card = decode((path / "card.json").read_bytes())
    (path / "card.json").write_bytes(encode(sealed(msgspec.structs.replace(card, version=version))))
    return path


def broken(folder: Path, name: str = "entry-15m") -> Path:
    """Copy a shipped model whose network was altered afterwards."""
    path = copied(folder, name, version="broken")
    model = path / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    return path


def hash_of(path: Path) -> str:
    """Give the hash on a model's card."""
    return decode((path / "card.json").read_bytes()).model_hash
