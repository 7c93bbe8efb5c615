"""Commands that ask a running daemon: status, health, and the operator's verbs.

Must not know the engine. Called by trader.cli. They find the daemon through its state directory.
"""

import getpass
from typing import Annotated, Any

import typer

from core.errors import TemporaryError
from trader.commands.options import AsJson, ConfigFiles, Reason, Settings, emit, load_config, rows


def status(config: ConfigFiles = None, settings: Settings = None, as_json: AsJson = False) -> None:
    """Show state, equity, positions and links of the running daemon."""
    from trader.client import ask, checked

    view = checked(ask(load_config(config, settings), "GET", "/api/v1/state"))
    emit(view, as_json=as_json, lines=_summary(view))


def health(
    ready: Annotated[bool, typer.Option("--ready", help="May it trade? (the default)")] = False,
    live: Annotated[bool, typer.Option("--live", help="Does the process work?")] = False,
    config: ConfigFiles = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Ask for health; exit 0 when well, 75 with the reasons when not."""
    from trader.client import ask

    what = "live" if live and not ready else "ready"
    answer = ask(load_config(config, settings), "GET", f"/{what}z")
    emit(answer.body, as_json=as_json, lines=[what if answer.status == 200 else f"not {what}: {answer.body}"])
    if answer.status != 200:
        raise typer.Exit(TemporaryError.exit_code)


def pause(
    reason: Reason = "", config: ConfigFiles = None, settings: Settings = None, as_json: AsJson = False
) -> None:
    """Stop entries; open positions keep their protection."""
    _operate("pause", reason, config, settings, as_json=as_json)


def resume(
    reason: Reason = "",
    force: Annotated[
        bool, typer.Option("--force", help="Also lift a halt, after looking into its cause.")
    ] = False,
    config: ConfigFiles = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Allow entries again."""
    _operate("resume", reason, config, settings, as_json=as_json, force=force)


def flatten(
    reason: Reason = "", config: ConfigFiles = None, settings: Settings = None, as_json: AsJson = False
) -> None:
    """Close everything, then stay paused."""
    _operate("flatten", reason, config, settings, as_json=as_json)


def kill(
    reason: Reason = "", config: ConfigFiles = None, settings: Settings = None, as_json: AsJson = False
) -> None:
    """Close everything and halt; only `resume --force` ends it."""
    _operate("kill", reason, config, settings, as_json=as_json)


def _operate(
    verb: str, reason: str, config: ConfigFiles, settings: Settings, *, as_json: bool, force: bool = False
) -> None:
    from trader.client import ask, checked

    body = {"actor": f"cli:{getpass.getuser()}", "reason": reason, "force": force}
    reply = checked(ask(load_config(config, settings), "POST", f"/api/v1/{verb}", body))
    emit(reply, as_json=as_json, lines=[f"{verb}: journaled"])


def _summary(view: dict[str, Any]) -> list[str]:
    """Give the scalars of the view first and one line for each entry of its lists."""
    scalars = [(k, v) for k, v in view.items() if not isinstance(v, dict | list)]
    tables = [(k, v) for k, v in view.items() if k in {"accounts", "positions", "links"} and v]
    lines = rows(scalars)
    for name, entries in tables:
        lines += ["", name]
        for entry in entries.values() if isinstance(entries, dict) else entries:
            flat = entry.items() if isinstance(entry, dict) else ((name, entry),)
            lines.append("  " + "  ".join(f"{k} {v}" for k, v in flat if not isinstance(v, dict | list)))
    return lines
