"""The page of results from kept answers: read, measure, trade, write.

Must not know the command line. Called by training.measure.cli and by tests.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from training.measure import gather, page, pictures, verdicts
from training.measure.gather import Figures, Options

DIGITS = 6
LEFT = "not_measured.txt"
"""A line for each thing that a folder of answers says could not be measured, and why."""


class Written(NamedTuple):
    """What was found, in one line and as JSON."""

    headline: str
    json: bytes


def write(
    folders: Sequence[Path],
    out: Path,
    options: Options,
    *,
    command: str,
    models: Sequence[str] = (),
    on_done: Callable[[int, int], None] | None = None,
) -> Written:
    """Write `out`, and beside it the page by pair, the .json and pictures; DataError without answers."""
    kepts = gather.read(folders, models)
    lines = [line for folder in folders for line in _left(folder)]
    found = gather.figures(kepts, options, not_measured=lines, on_done=on_done)
    body = encoded(found)
    out.parent.mkdir(parents=True, exist_ok=True)
    pictures.write(found, out.parent)
    detail = out.with_name(f"{out.stem}_by_pair.md")
    out.write_text(page.markdown(found, command=command, detail=detail.name), "utf-8")
    detail.write_text(page.by_pair(found, page=out.name), "utf-8")
    out.with_suffix(".json").write_bytes(body)
    return Written(verdicts.headline(found), body)


def encoded(figures: Figures) -> bytes:
    """Give the JSON file: floats to six digits and a line for each entry, so that it compares well."""
    body = _rounded(msgspec.to_builtins(figures))
    assert isinstance(body, dict)  # a struct's
    parts = [b'"%b": %b' % (name.encode(), _lines(value)) for name, value in body.items()]
    return b"{\n" + b",\n".join(parts) + b"\n}\n"


def _lines(value: object) -> bytes:
    if not isinstance(value, list | tuple) or not value:
        return msgspec.json.encode(value)
    return b"[\n" + b",\n".join(map(msgspec.json.encode, value)) + b"\n]"


def _left(folder: Path) -> list[str]:
    file = folder / LEFT
    return file.read_text("utf-8").splitlines() if file.is_file() else []


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value
