"""The command `trader`: assembles the commands and turns every error into one line and a code.

Must not know what the commands do. Called by the shell as `trader`, and by `python -m trader.cli`.
Nothing heavy is imported before a command runs.
"""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from core.errors import InternalError, SeamarkError, UsageError
from core.version import VERSION
from trader.commands import backtest, config, control, daemon, data, demo, model, service, venue
from trader.commands.options import (
    AsJson,
    ConfigFiles,
    Settings,
    emit,
    examples,
    load_config,
    rows,
    talk,
)

EXAMPLES = """\b
Examples:
  trader demo --minutes 3                        paper-trade the embedded simulated Kraken
  trader run -c configs/paper-kraken.toml        paper-trade Kraken's real prices
  trader status --json                           what the running daemon does
  trader config explain clock.speed -c FILE      one value and who set it
  trader replay .demo --verify                   prove a journal, command by command
"""

app = typer.Typer(
    name="trader",
    help="A trading daemon for Kraken. Paper is the default; live needs two switches.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
COMMANDS: dict[Callable[..., int | None], tuple[str, ...]] = {
    demo.demo: ("demo", "demo --headless --minutes 3 --json"),
    daemon.run: (
        "run -c configs/paper-kraken.toml",
        "run -c trader.toml -c limits.toml --set dashboard.port=0",
    ),
    daemon.loopback: (
        "loopback -c configs/paper.toml",
        "loopback -c configs/paper.toml --synthetic 1000 --trades-per-s 5000",
    ),
    control.status: ("status", "status --json", "status -c trader.toml"),
    control.open_page: ("open", "open --json"),
    control.health: ("health", "health --live --json"),
    control.pause: ("pause --reason 'news at 14:30'",),
    control.resume: ("resume", "resume --force --reason 'cause found'"),
    control.flatten: ("flatten --reason 'over the weekend'",),
    control.kill: ("kill --reason 'something is wrong'",),
}
for command, lines in COMMANDS.items():
    app.command(command.__name__.removesuffix("_page"), epilog=examples(*lines))(command)
app.add_typer(config.app, name="config")
app.add_typer(model.app, name="model")
app.add_typer(backtest.app, name="backtest")
app.add_typer(data.app, name="data")
app.add_typer(service.app, name="systemd")
app.add_typer(venue.app, name="venue")


@app.command(
    epilog=examples("replay .demo", "replay .demo --verify", "replay STATE/journal.db --verify --json")
)
def replay(
    path: Annotated[Path, typer.Argument(help="A state directory or its journal.db.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every command, link and snapshot.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Replay a journal through the engine. Exit 74 when anything differs."""
    from trader.commands.journal import replayed

    found = replayed(path, verify=verify)
    emit(found, as_json=as_json, lines=rows(list(found.items())))


@app.command(epilog=examples("doctor", "doctor -c trader.toml --json"))
def doctor(config: ConfigFiles = None, settings: Settings = None, as_json: AsJson = False) -> int:
    """Check that everything the daemon needs is here."""
    from core.clock import LiveClock
    from core.errors import ConfigError
    from trader.doctor import examine, lines, verdict

    try:
        known = load_config(config, settings)
    except ConfigError as error:
        findings = examine(error, os.environ, LiveClock())
    else:
        findings = examine(known, os.environ, LiveClock())
    table = [
        {"check": f.check, "verdict": f.word, "detail": f.detail, "exit_code": f.exit_code} for f in findings
    ]
    emit(table, as_json=as_json, lines=lines(findings))
    return verdict(findings)


@app.command(epilog=examples("version --json"))
def version(as_json: AsJson = False) -> None:
    """Print the version."""
    emit({"version": VERSION}, as_json=as_json, lines=[VERSION])


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code; errors of ours become one line on stderr."""
    try:
        code = app(args=None if arguments is None else list(arguments), standalone_mode=False)
    except TyperException as error:
        talk(f"trader: {error.format_message()}")
        return UsageError.exit_code
    except SeamarkError as error:
        talk(f"trader: {' '.join(str(error).split())}")  # SQLite and pydantic speak in paragraphs
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return code if isinstance(code, int) else 0


def main() -> None:
    """Run the command line of this process; the outer edge, where an unexpected error ends."""
    try:
        code = run()
    except BrokenPipeError:  # `trader ... | head`: nobody reads on, and that is fine
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception:  # noqa: BLE001  # the edge: nothing above could say more
        traceback.print_exc()
        talk("trader: internal error, a defect of this program; the lines above say where")
        code = InternalError.exit_code
    sys.exit(code)


if __name__ == "__main__":
    main()
