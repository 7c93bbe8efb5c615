"""Runs that were traded before, found again by all that decides them: answers, bars, desk, program.

Must not know what a run found. Called by training.measure.traded. Trading every voice at every schedule takes
minutes, and a page is written more often than its models change.
"""

import hashlib
import importlib.metadata
from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from training.members.kept import Kept

_ROOT = Path(__file__).parents[2]
_CODE = ("core", "venue", "feeds", "risk", "execution", "trader", "training/measure")
_FILES = ("bootstrap.py", "thresholds.py", "trades.py", "evaluate.py", "walkforward/desk.py")
_ARRAYS = ("instrument", "ts", "ts_end", "fold", "kind", "close", "atr", "volatility")
_RETURNS = ("long_return", "short_return")


def key(kept: Kept, bars: str, desk: bytes, *others: object) -> str:
    """Give the name of a run; `bars` is the hash of those that it trades on, `others` what else decides."""
    whole = hashlib.sha256(f"{_program()} {bars} {others!r}\n".encode() + desk)
    whole.update(msgspec.json.encode(kept.subject))
    for name in (*_ARRAYS, *_RETURNS):
        whole.update(np.ascontiguousarray(getattr(kept, name)).tobytes())
    for name, p in sorted(kept.voices.items()):
        whole.update(name.encode() + np.ascontiguousarray(p).tobytes())
    return whole.hexdigest()


def find(folder: Path | None, name: str) -> bytes | None:
    """Give what was kept under a name, None if nothing was."""
    file = None if folder is None else folder / f"{name[:32]}.json"
    return file.read_bytes() if file is not None and file.is_file() else None


def keep(folder: Path | None, name: str, body: bytes) -> None:
    """Keep something, whole or not at all."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{name[:32]}.new"
    fresh.write_bytes(body)
    fresh.replace(folder / f"{name[:32]}.json")


@cache
def _program() -> str:
    """Give a hash of all source text that a run passes through, and of the libraries beneath it."""
    whole = hashlib.sha256()
    files = [path for part in _CODE for path in (_ROOT / part).rglob("*.py")]
    for path in sorted([*files, *(_ROOT / "training" / name for name in _FILES)]):
        whole.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    for library in ("numpy", "msgspec"):
        whole.update(f"{library} {importlib.metadata.version(library)}".encode())
    return whole.hexdigest()
