"""The command that runs a configuration over recorded bars.

Must not know the engine. Called by trader.cli.
"""

from pathlib import Path
from typing import Annotated

import typer

from core.errors import UsageError
from core.text import parse_iso
from trader.commands.options import AsJson, ConfigFiles, Settings, emit, examples, load_config, rows

app = typer.Typer(no_args_is_help=True, help="Run a configuration over recorded bars.")


@app.callback()
def backtest() -> None:
    """Keep `run` a word of its own: a lone command would become the group."""


@app.command(
    epilog=examples(
        "backtest run --from 2024-06-03 --to 2024-06-10",
        "backtest run --data configs/market --from 2024-06-03 --to 2024-06-10 --json",
    )
)
def run(
    start: Annotated[str, typer.Option("--from", metavar="DAY", help="First day, UTC.")],
    end: Annotated[str, typer.Option("--to", metavar="DAY", help="First day that is left out.")],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Lake folder; default is exchange.lake.")
    ] = None,
    config: ConfigFiles = None,
    settings: Settings = None,
    signals: Annotated[bool, typer.Option("--signals", help="List every opinion, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Trade recorded bars with the engine, the models and the exchange of paper trading."""
    from trader.backtest import run as run_backtest

    resolved = load_config(config, settings)
    lake = data or resolved.exchange.lake
    if lake is None:
        raise UsageError("expected --data or exchange.lake; found neither")
    result = run_backtest(resolved, lake, _moment("--from", start), _moment("--to", end))
    report = result.report(signals=signals)
    flat = [(k, v) for k, v in report.items() if not isinstance(v, list | dict)]
    emit(report, as_json=as_json, lines=rows(flat))


def _moment(option: str, text: str) -> int:
    try:
        return parse_iso(text)
    except ValueError as error:
        raise UsageError(f"{option}: expected a time such as 2024-06-03T00:00:00Z; found {text!r}") from error
