"""The commands that run a configuration over recorded bars, write its report, and compare runs.

Must not know the engine or figures. Called by trader.cli.
"""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import UsageError
from core.text import iso
from trader.commands.backtest_shown import brief, compared, several, summary
from trader.commands.options import (
    AsJson,
    ConfigFiles,
    Settings,
    columns,
    emit,
    examples,
    load_config,
    moment,
    rows,
    talk,
)

if TYPE_CHECKING:
    from trader.commands.backtest_run import Done
    from trader.config import Config

app = typer.Typer(
    no_args_is_help=True, help="Run a configuration over recorded bars, and read what came of it."
)

RUNS = Path("_exp")
"""Where runs lie unless they are told otherwise."""
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder, as `backtest run` wrote it.")]

NoPictures = Annotated[bool, typer.Option("--no-pictures", help="Leave the PNG files out.")]


@app.command(
    epilog=examples(
        "backtest run --data configs/market --json",
        "backtest run --from 2024-06-03 --to 2024-06-10",
        "backtest run --schedule all --out _exp/fees",
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
    schedule: Annotated[
        str,
        typer.Option("--schedule", metavar="NAME", help="Fees by name, or `all`; default: as configured."),
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder of the run; default: one in _exp.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", metavar="DIR", help="Where opinions are kept; default: yours.")
    ] = None,
    memory_mb: Annotated[int, typer.Option("--memory-mb", min=1, help="What the run may take.")] = 2048,
    each_pair: Annotated[
        bool, typer.Option("--each-pair", help="Run every pair alone, each with all the cash.")
    ] = False,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Runs at a time, where there are several.")
    ] = 1,
    checks: Annotated[bool, typer.Option("--checks", help="Check the run for look-ahead, too.")] = False,
    dense: Annotated[bool, typer.Option("--dense", help="Visit every bar: the same result, slower.")] = False,
    bare: Annotated[
        bool, typer.Option("--bare", help="Write the record alone; `backtest report` makes the rest.")
    ] = False,
    no_pictures: NoPictures = False,
    trials: Annotated[
        Path, typer.Option("--trials", metavar="FILE", help="The ledger in which every run counts.")
    ] = RUNS / "trials.jsonl",
    signals: Annotated[bool, typer.Option("--signals", help="List every opinion, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Trade recorded bars with the engine, the models and the exchange of paper trading."""
    from trader.commands.backtest_run import Wanted, carry_out, run_name, told

    resolved = load_config(config, settings)
    lake = data or resolved.exchange.lake
    if lake is None:
        raise UsageError("expected --data or exchange.lake; found neither")
    since, until = _span(resolved, lake, start, end)
    stem = config[-1].stem if config else "backtest"
    wanted = Wanted(
        config=resolved,
        lake=lake,
        start=since,
        end=until,
        command=_again(config, settings, data, since, until),
        out=out or RUNS / run_name(stem, resolved, since, until),
        trials=trials,
        schedule=schedule,
        cache=cache,
        memory_mb=memory_mb,
        each_pair=each_pair,
        workers=workers,
        checks=checks,
        dense=dense,
        bare=bare,
        pictures=not no_pictures,
        signals=signals,
    )
    done = carry_out(wanted, _progress)
    for note in dict.fromkeys(note for one in done if one.written for note in one.written.notes):
        talk(note)
    reports = [told(one, signals=signals) for one in done]
    lines = _lines(done, reports)
    emit(reports[0] if len(done) == 1 else {"runs": reports}, as_json=as_json, lines=lines)


@app.command(
    epilog=examples(
        "backtest report _exp/fees/kraken",
        "backtest report _exp/fees/kraken --data configs/market --open",
    )
)
def report(
    folder: Folder,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Lake folder, for the market's bars.")
    ] = None,
    no_pictures: NoPictures = False,
    open_: Annotated[bool, typer.Option("--open", help="Print the page's address for a browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write figures, tables, pictures and the page of a run again."""
    from trader.backtest.record import load
    from trader.evaluation.market import read_market
    from trader.evaluation.write import write_report

    record = load(folder)
    market = None if data is None else read_market(record, data)
    with _progress("pictures", len(record.card.instruments)) as told:
        written = write_report(
            record, folder, market, pictures=not no_pictures, on_picture=told and (lambda done, _: told(done))
        )
    for note in written.notes:
        talk(note)
    places = {"page": written.page.resolve().as_uri() if open_ else str(written.page)}
    emit(places | brief(written.figures), as_json=as_json, lines=summary(written.figures, places))


@app.command(
    epilog=examples(
        "backtest compare _exp/fees/gross _exp/fees/kraken",
        "backtest compare _exp/a _exp/b --out _exp/a-b.html --json",
    )
)
def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR DIR...", help="Folders of two runs or more.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The page; default: compare.html beside the first."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the bootstrap's draws.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Put runs side by side: figures, settings, and whether their difference can be told from luck."""
    import msgspec

    from trader.backtest.record import load
    from trader.evaluation.assessment import judge
    from trader.evaluation.compare import compare as compare_runs
    from trader.evaluation.compare_page import write_comparison
    from trader.evaluation.market import load_market

    names = _names(folders)
    runs = {
        name: judge(load(folder), load_market(folder)) for name, folder in zip(names, folders, strict=True)
    }
    found = compare_runs(runs, seed=seed)
    page = out or folders[0].resolve().parent / "compare.html"
    write_comparison(found, runs, page)
    emit(
        {"page": str(page)} | msgspec.to_builtins(found),
        as_json=as_json,
        lines=[*compared(found), "", f"page  {page}"],
    )


def _span(config: "Config", lake: Path, start: str, end: str) -> tuple[int, int]:
    """Read the two days, or give the longest span that the lake has."""
    from trader.backtest.run import whole_span

    since = moment("--from", start) if start else None
    until = moment("--to", end) if end else None
    if since is None or until is None:
        first, last = whole_span(config, lake)
        since, until = first if since is None else since, last if until is None else until
    return since, until


def _again(
    files: list[Path] | None, settings: list[str] | None, data: Path | None, start: int, end: int
) -> str:
    """Give the command that asks for the run again, without the machine's own folders."""
    words = ["trader backtest run"]
    words += [f"--config {_near(path)}" for path in files or ()]
    words += [f"--data {_near(data)}"] if data else []
    words += [f"--from {iso(start)[:10]}", f"--to {iso(end)[:10]}"]
    return " ".join([*words, *(f"--set {shlex.quote(word)}" for word in settings or ())])


def _near(path: Path) -> str:
    return path.name if path.is_absolute() else path.as_posix()


def _lines(done: "list[Done]", reports: list[dict[str, Any]]) -> list[str]:
    """Print one run in full, several as a table; a bare one has the engine's own figures."""
    if len(done) == 1 and (written := done[0].written):
        places = {"trials": f"{done[0].trials} on this data, this one among them"}
        return summary(written.figures, places | {"folder": str(done[0].folder), "page": str(written.page)})
    if len(done) == 1:
        return rows([(k, v) for k, v in reports[0].items() if not isinstance(v, list | dict)])
    figures = {one.name: one.written.figures for one in done if one.written}
    if figures:
        return [*several(figures), "", f"folder  {done[0].folder.parent}"]
    return columns([("run", "return", "fees", "trades"), *_bare_rows(done)])


def _bare_rows(done: "list[Done]") -> list[tuple[str, ...]]:
    found = [(one.name, one.result) for one in done]
    return [(name, f"{r.total_return:+.2%}", f"{r.fees:.2f}", str(r.round_trips)) for name, r in found]


def _names(folders: list[Path]) -> list[str]:
    """Name runs by as much of the end of their paths as tells them apart; UsageError for one named twice."""
    paths = [folder.resolve() for folder in folders]
    if len(set(paths)) < len(paths):
        raise UsageError(
            f"expected different runs; found one named twice among {', '.join(map(str, folders))}"
        )
    for depth in range(1, max(len(path.parts) for path in paths)):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None] | None]:
    """Show a bar to a person, told how many are done; nothing where stderr is a file."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    parts = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
