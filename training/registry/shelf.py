"""A folder of models, each version beside the others: adding a checked copy, listing, proving.

Must not know which version is in force (training.registry.active) or how models are made. Called by
training.registry.cli and training.registry.active.

    ROOT/NAME/HASH12/NAME/      the model as the daemon reads it, under the first 12 digits of its hash
    ROOT/NAME/HASH12/MEMBER/    the members of an ensemble, beside it as its card names them
    ROOT/NAME/active            a relative link to the version in force
    ROOT/activations.jsonl      what was put in force, in order
"""

import shutil
from pathlib import Path
from typing import NamedTuple

from core.errors import ModelError, UsageError
from inference import artifact, ensemble
from inference.card import Card
from inference.ensemble import ENSEMBLE_FILE

DIGITS = 12
"""Of a model's hash: what its version folder is called."""
ACTIVE = "active"
BESIDE = ".."


class Version(NamedTuple):
    """One version of a model on the shelf; `folder` is what a trader is given."""

    name: str
    digits: str
    folder: Path


def add(root: Path, source: Path) -> Version:
    """Put a proved copy of a model or ensemble on the shelf; the same content is there once.

    ModelError for a `source` that does not prove, UsageError for an ensemble that is not made of its own
    folder and those beside it. A copy that was cut short is not seen and is replaced by the next.
    """
    found = proved(source)
    name, digits = _word(found["name"]), str(found["model_hash"])[:DIGITS]
    place = root / name / digits
    if place.is_dir():
        proved(place / name)
        return Version(name, digits, place / name)
    fresh = root / name / f".{digits}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for folder, under in ((source, name), *members(source)):
        shutil.copytree(folder, fresh / under)
    copied = proved(fresh / name)
    if copied["model_hash"] != found["model_hash"]:
        raise ModelError(
            f"{source}: expected a copy with hash {found['model_hash']}; found {copied['model_hash']}"
        )
    fresh.rename(place)
    return Version(name, digits, place / name)


def versions(root: Path, name: str) -> tuple[Version, ...]:
    """Give a model's versions by digits; UsageError for a model that is not on the shelf."""
    home = root / _word(name)
    if not home.is_dir():
        raise UsageError(f"{root}: expected a model of {', '.join(names(root)) or 'none'}; found {name!r}")
    found = sorted(entry.name for entry in home.iterdir() if _is_version(entry))
    return tuple(Version(name, digits, home / digits / name) for digits in found)


def names(root: Path) -> tuple[str, ...]:
    """Give the models on the shelf."""
    if not root.is_dir():
        return ()
    return tuple(sorted(home.name for home in root.iterdir() if home.is_dir() and _holds(home)))


def version(root: Path, name: str, wanted: str) -> Version:
    """Give the one version whose digits begin with `wanted`; UsageError for none and for several."""
    offered = versions(root, name)
    found = [one for one in offered if one.digits.startswith(wanted[:DIGITS])]
    if len(found) != 1 or not wanted:
        shown = ", ".join(one.digits for one in offered) or "none"
        raise UsageError(
            f"{name}: expected one version of {shown}; found {len(found)} that begin with {wanted!r}"
        )
    return found[0]


def proved(folder: Path) -> dict[str, object]:
    """Prove a folder as the daemon does and give the findings; ModelError in one line."""
    found = ensemble.verify(folder)
    if not found["ok"]:
        raise ModelError(str(found["error"]))
    return found


def members(source: Path) -> list[tuple[Path, str]]:
    """Give an ensemble's member folders that lie beside it."""
    if not (source / ENSEMBLE_FILE).is_file():
        return []
    refs = [Path(member.ref.folder) for member in ensemble.load(source).members]
    return [(source / ref, ref.name) for ref in refs if ref.parts[0] == BESIDE]


def _is_version(entry: Path) -> bool:
    return entry.is_dir() and not entry.is_symlink() and not entry.name.startswith(".")


def _holds(home: Path) -> bool:
    return not home.name.startswith(".") and any(map(_is_version, home.iterdir()))


def _word(name: object) -> str:
    """Check that a name is one plain part of a path."""
    text = str(name)
    if not text or Path(text).name != text or text.startswith(".") or text == ACTIVE:
        raise UsageError(f"expected a model name that is one plain word; found {text!r}")
    return text


def card_of(folder: Path) -> Card | None:
    """Give a single model's card, None of an ensemble."""
    return None if (folder / ENSEMBLE_FILE).is_file() else artifact.load(folder).card
