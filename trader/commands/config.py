"""Commands about the configuration: check, show, explain.

Must not know what the values do. Called by trader.cli.
"""

import json
from typing import Annotated

import typer

from trader.commands.options import AsJson, ConfigFiles, Settings, emit, examples, load_config

app = typer.Typer(no_args_is_help=True, help="Check, show and explain the configuration.")


@app.command(epilog=examples("config check -c trader.toml", "config check --set clock.speed=1 --json"))
def check(config: ConfigFiles = None, settings: Settings = None, as_json: AsJson = False) -> None:
    """Say whether the configuration is valid; exit 78 with one line when not."""
    resolved = load_config(config, settings)
    found = {"ok": True, "hash": resolved.hash, "mode": resolved.mode, "showcase": resolved.showcase}
    emit(found, as_json=as_json, lines=[f"ok  mode {resolved.mode}  hash {resolved.hash[:12]}"])


@app.command(epilog=examples("config show", "config show -c configs/paper.toml --json"))
def show(config: ConfigFiles = None, settings: Settings = None, as_json: AsJson = False) -> None:
    """Print every value and the layer that set it."""
    resolved = load_config(config, settings)
    found = [resolved.explain(key) for key in resolved.leaves()]
    lines = [f"{line.key} = {json.dumps(line.value)}  # {line.layer}" for line in found]
    emit(resolved.tree(), as_json=as_json, lines=lines)


@app.command(epilog=examples("config explain trader.scalp.policy.min_confidence"))
def explain(
    key: Annotated[str, typer.Argument(help="Dotted key, for example trader.scalp.policy.min_confidence")],
    config: ConfigFiles = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Print one value and the layer that set it."""
    found = load_config(config, settings).explain(key)
    emit(
        found._asdict(),
        as_json=as_json,
        lines=[f"{key} = {json.dumps(found.value)}", f"set by {found.layer}"],
    )
