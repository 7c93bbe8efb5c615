"""Versions of shipped models: the same graph under a card that says another version."""

import shutil
from pathlib import Path

import msgspec

from inference import artifact, card

MODELS = Path(__file__).parents[3] / "configs" / "models"


def reissued(folder: Path, version: str, name: str = "entry-5m") -> Path:
    """Copy a shipped model to `folder` and give it another version, hence another hash."""
    shutil.copytree(MODELS / name, folder)
    known = artifact.load(folder).card
    told = card.sealed(msgspec.structs.replace(known, version=version))
    (folder / artifact.CARD_FILE).write_bytes(card.encode(told))
    return folder
