"""Options that several commands share, and how their answers are printed.

Must not know any command. Called by the command modules. stdout carries data, stderr talk; heavy
imports stay inside functions, for `trader --help` must be quick.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import ConfigError, UsageError
from core.text import parse_iso

if TYPE_CHECKING:
    from trader.config import Config

ConfigFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Configuration file; repeat to lay one over another."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One value that wins over files and environment."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the journal.")]

DEMO = Path("configs/demo.toml")
"""The shipped demonstration, seen from the checkout."""


def load_config(
    files: Sequence[Path] | None,
    settings: Sequence[str] | None = None,
    more: Mapping[str, object] | None = None,
    *,
    demo: bool = True,
) -> "Config":
    """Load the named files, or the first usual one that exists.

    Where there is none, commands that start nothing look at the demonstration's (`demo`).
    """
    from trader.config import load

    chosen = list(files) if files else [usual_file(demo=demo)]
    return load(chosen, os.environ, parsed(settings) | dict(more or {}))


def parsed(settings: Sequence[str] | None) -> dict[str, object]:
    """Split `KEY=VALUE` words; values are TOML literals or plain text."""
    from trader.layers import literal

    values = {}
    for word in settings or ():
        key, sign, text = word.partition("=")
        if not sign or not key:
            raise UsageError(f"--set: expected KEY=VALUE; found {word!r}")
        values[key] = literal(text)
    return values


def moment(option: str, text: str) -> int:
    """Read a time that an option named, ns UTC."""
    try:
        return parse_iso(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error


def usual_file(*, demo: bool) -> Path:
    """Find the configuration where services and users keep it; raises ConfigError."""
    import platformdirs

    folders = [
        os.environ.get("CONFIGURATION_DIRECTORY", ""),
        str(platformdirs.user_config_path("seamark")),
        "/etc/trader",
    ]
    candidates = [Path("trader.toml"), *(Path(folder) / "trader.toml" for folder in folders if folder)]
    for candidate in (*candidates, DEMO) if demo else candidates:
        if candidate.is_file():
            return candidate
    places = ", ".join(map(str, candidates))
    raise ConfigError(f"expected a configuration file at one of {places}; found none. Name one with --config")


def emit(value: object, *, as_json: bool, lines: Sequence[str]) -> None:
    """Print the value as JSON, or the lines."""
    print(json.dumps(value, indent=2, default=str) if as_json else "\n".join(lines))


def talk(text: str) -> None:
    """Say something to the person; never data."""
    print(text, file=sys.stderr)


def examples(*commands: str) -> str:
    """Give the end of a help text: command lines that work as they stand."""
    return "\b\nExamples:\n" + "\n".join(f"  trader {command}" for command in commands)


def rows(pairs: Sequence[tuple[str, Any]]) -> list[str]:
    """Align names and values."""
    width = max((len(name) for name, _ in pairs), default=0)
    return [f"{name:<{width}}  {value}" for name, value in pairs]


def columns(table: Sequence[Sequence[str]]) -> list[str]:
    """Align the cells of a table below each other."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
