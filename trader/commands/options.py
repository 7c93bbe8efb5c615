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

if TYPE_CHECKING:
    from trader.config import Config

ConfigFiles = Annotated[
    list[Path] | None,
    typer.Option("--config", "-c", help="Configuration file; repeat to lay one over another."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One value that wins over files and environment."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the journal.")]


def load_config(
    files: Sequence[Path] | None,
    settings: Sequence[str] | None = None,
    more: Mapping[str, object] | None = None,
) -> "Config":
    """Load the named files, or the first usual one that exists."""
    from trader.config import load

    return load(list(files) if files else [usual_file()], os.environ, parsed(settings) | dict(more or {}))


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


def usual_file() -> Path:
    """Find the configuration where services and users keep it; raises ConfigError."""
    import platformdirs

    folders = [
        os.environ.get("CONFIGURATION_DIRECTORY", ""),
        str(platformdirs.user_config_path("seamark")),
        "/etc/trader",
    ]
    candidates = [Path("trader.toml"), *(Path(folder) / "trader.toml" for folder in folders if folder)]
    for candidate in candidates:
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


def rows(pairs: Sequence[tuple[str, Any]]) -> list[str]:
    """Align names and values."""
    width = max((len(name) for name, _ in pairs), default=0)
    return [f"{name:<{width}}  {value}" for name, value in pairs]
