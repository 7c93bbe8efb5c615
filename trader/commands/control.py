"""Commands that ask a running daemon: status, health, and the operator's verbs.

Must not know the engine. Called by trader.cli. They find the daemon through its state directory.
"""

import getpass
from typing import Annotated, Any

import typer

from core.errors import TemporaryError
from trader.commands.options import AsJson, ConfigFiles, Reason, Settings, columns, emit, load_config, rows

COLUMNS = ("account", "instrument", "side", "quantity", "entry", "mark", "unrealised", "stop", "target")


def status(config: ConfigFiles = None, settings: Settings = None, as_json: AsJson = False) -> None:
    """Show state, equity and open positions of the running daemon."""
    from trader.client import ask, checked

    view = checked(ask(load_config(config, settings), "GET", "/api/v1/state"))
    emit(view, as_json=as_json, lines=_summary(view))


def open_page(config: ConfigFiles = None, settings: Settings = None, as_json: AsJson = False) -> None:
    """Print a fresh link to the page; it logs one browser in, once."""
    from trader.client import address, ask, checked

    resolved = load_config(config, settings)
    link = checked(ask(resolved, "POST", "/api/v1/link", {}))["link"]
    host, port = address(resolved)
    url = f"http://{host}:{port}{link}"
    emit({"url": url}, as_json=as_json, lines=[url])


def health(
    ready: Annotated[bool, typer.Option("--ready", help="May it trade? (the default)")] = False,
    live: Annotated[bool, typer.Option("--live", help="Does the process work?")] = False,
    config: ConfigFiles = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Ask for health. Exit 0 when well, 75 with the reasons when not."""
    from trader.client import ask

    what = "live" if live and not ready else "ready"
    answer = ask(load_config(config, settings), "GET", f"/{what}z")
    well = answer.status == 200
    why = ", ".join(answer.body.get("reasons", ())) if isinstance(answer.body, dict) else str(answer.body)
    emit(answer.body, as_json=as_json, lines=[what if well else f"not {what}: {why}".rstrip(": ")])
    if not well:
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
    resolved = load_config(config, settings)
    reply = checked(ask(resolved, "POST", f"/api/v1/{verb}", body))
    now = checked(ask(resolved, "GET", "/api/v1/state"))["state"]
    why = f" ({now['why']})" if now["why"] else ""
    # A wish is not always granted: a halt, for one, outlasts a resume without --force.
    emit(
        {**reply, "state": now["state"], "why": now["why"]},
        as_json=as_json,
        lines=[f"{verb}: journaled; the desk is {now['state']}{why}"],
    )


def _summary(view: dict[str, Any]) -> list[str]:
    """Give the main figures and, where there are any, the open positions."""
    from trader.state_view import headline

    lines = rows(headline(view))
    if view["positions"]:
        held = [[str(position[column] or "-") for column in COLUMNS] for position in view["positions"]]
        lines += ["", *columns([list(COLUMNS), *held])]
    return lines
