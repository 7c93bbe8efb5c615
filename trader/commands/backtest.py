"""The command that runs a configuration over recorded bars.

Must not know the engine. Called by trader.cli.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from core.clock import DAY
from core.errors import UsageError
from trader.commands.options import AsJson, ConfigFiles, Settings, emit, examples, load_config, moment, rows

app = typer.Typer(no_args_is_help=True, help="Run a configuration over recorded bars.")


@app.callback()
def backtest() -> None:
    """Keep `run` a word of its own: a lone command would become the group."""


@app.command(
    epilog=examples(
        "backtest run --data configs/market --json",
        "backtest run --from 2024-06-03 --to 2024-06-10",
    )
)
def run(
    start: Annotated[
        str, typer.Option("--from", metavar="DAY", help="First day, UTC; default: the first warm one.")
    ] = "",
    end: Annotated[
        str, typer.Option("--to", metavar="DAY", help="First day that is left out; default: the end.")
    ] = "",
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Lake folder; default is exchange.lake.")
    ] = None,
    config: ConfigFiles = None,
    settings: Settings = None,
    signals: Annotated[bool, typer.Option("--signals", help="List every opinion, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Trade recorded bars with the engine, the models and the exchange of paper trading."""
    from trader.backtest.run import run as run_backtest
    from trader.backtest.run import whole_span

    resolved = load_config(config, settings)
    lake = data or resolved.exchange.lake
    if lake is None:
        raise UsageError("expected --data or exchange.lake; found neither")
    since = moment("--from", start) if start else None
    until = moment("--to", end) if end else None
    if since is None or until is None:
        first, last = whole_span(resolved, lake)
        since, until = first if since is None else since, last if until is None else until
    with _progress(since, until) as on_day:
        result = run_backtest(resolved, lake, since, until, on_day=on_day, keep_signals=signals)
    report = result.report(signals=signals)
    flat = [(k, v) for k, v in report.items() if not isinstance(v, list | dict)]
    emit(report, as_json=as_json, lines=rows(flat))


@contextmanager
def _progress(since: int, until: int) -> Iterator[Callable[[int], None] | None]:
    """Show a bar of days to a person; nothing where stderr is a file."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("days"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("days", total=(until - since) // DAY)
        yield lambda ts: bar.update(task, completed=(ts - since) // DAY)
