"""`training report` and `training compare`: pages and differences from kept answers.

Must not know how anything is computed. Hooked into training.cli; nothing heavy is imported before a command.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None)

DESK = Path("configs/walkforward/desk.toml")


@app.command(
    help="""Write the page of results: every kept model by pair and timeframe, after fees, with intervals.

    Reads the answers that `training train` and `training grid` kept (*.npz) and trades them through the real
    backtest at every fee schedule (runs are kept in `runs` of the first folder, and found again). Writes
    the page, a page by pair, the figures as .json and pictures.

    \b
    Examples:
      training report --work _exp/train,_exp/grid --shipped configs/models --lake DIR
      training report --work _exp/train,_exp/grid --lake DIR --out models.md --workers 2
      training report --work _exp/train --lake DIR --model fusion-15m --json
    """
)
def report(
    work: Annotated[str, typer.Option(help="Folders of kept answers, with commas.")],
    lake: Annotated[Path, typer.Option(help="Folder that holds ohlcv/VENUE/BASE-QUOTE/TIMEFRAME.parquet.")],
    out: Annotated[Path, typer.Option(help="Markdown to write; its .json is put beside it.")] = Path(
        "docs/results/models.md"
    ),
    model: Annotated[str, typer.Option(help="Only these models, with commas.")] = "",
    shipped: Annotated[
        Path | None, typer.Option(help="Folder of models whose cards are told where no answers are.")
    ] = None,
    desk: Annotated[Path, typer.Option(help="Configuration of the trader: account and policy.")] = DESK,
    quick: Annotated[bool, typer.Option(help="Trade baselines at no fees and at Kraken's alone.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Backtests at a time, each in a process.")] = 2,
    seed: Annotated[int, typer.Option(help="Same seed and answers give the same bytes.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Write the page; see `help` above."""
    from training.measure.gather import Options
    from training.measure.report import write

    with _progress("backtests") as on_done:
        written = write(
            [Path(name) for name in _listed(work)],
            out,
            Options(
                lake, desk, workers, seed, runs=Path(_listed(work)[0]) / "runs", shipped=shipped, quick=quick
            ),
            command=_command(work, out, model, seed, shipped=shipped, quick=quick),
            models=_listed(model),
            on_done=on_done,
        )
    sys.stdout.write(written.json.decode() if as_json else f"{written.headline}\n{out}\n")


@app.command(
    help="""Fit the same models on other markets and keep what they say of each one's later part.

    Nothing is shipped: a folder of answers is left, for `training report`.

    \b
    Examples:
      training grid --config configs/train/grid.toml --lake DIR --work _exp/grid
      training grid --config configs/train/grid.toml --lake DIR --work _exp/grid --study kraken-1h
    """
)
def grid(
    config: Annotated[Path, typer.Option(help="TOML of studies.")],
    lake: Annotated[Path, typer.Option(help="Folder that holds ohlcv/VENUE/BASE-QUOTE/TIMEFRAME.parquet.")],
    work: Annotated[Path, typer.Option(help="Folder of answers to write.")] = Path("_exp/grid"),
    study: Annotated[str, typer.Option(help="Only these studies, with commas.")] = "",
    workers: Annotated[int, typer.Option(min=1, help="Studies at a time, each in a process.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was left out as JSON.")] = False,
) -> None:
    """Work studies off; see `help` above."""
    import msgspec

    from training.measure.grid import read, work_off

    with _progress("studies") as on_done:
        left = work_off(read(config), lake, work, workers=workers, only=_listed(study), on_done=on_done)
    lines = "".join(f"not measured: {line}\n" for line in left)
    sys.stdout.write(msgspec.json.encode({"not_measured": left}).decode() + "\n" if as_json else lines)


@app.command(
    help="""Put two models side by side, with the paired difference and its interval on the rows both have.

    Each is a folder of an artifact (card.json) or a file of kept answers (.npz, or .npz:VOICE).

    \b
    Examples:
      training compare _exp/train/fusion-15m.npz _exp/train/fusion-15m.npz:lightgbm
      training compare configs/models/entry-1h configs/models/entry-4h
      training compare a.npz b.npz --json
    """
)
def compare(
    first: Annotated[str, typer.Argument(help="Artifact folder, or kept answers FILE[:VOICE].")],
    second: Annotated[str, typer.Argument(help="What it is compared with, of the same sort.")],
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare; see `help` above."""
    from training.measure.compare import side_by_side

    told = side_by_side(first, second, seed=seed)
    sys.stdout.write(told.json() if as_json else told.text())


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show how far it is to a person; nothing where stderr is a file."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _command(work: str, out: Path, model: str, seed: int, *, shipped: Path | None, quick: bool) -> str:
    """Give the command line without this machine's folders."""
    folders = ",".join("DIR" if Path(name).is_absolute() else name for name in _listed(work))
    place = out.name if out.is_absolute() else out.as_posix()
    told = f"training report --work {folders} --lake DIR --out {place}"
    if shipped is not None:
        told += f" --shipped {'DIR' if shipped.is_absolute() else shipped.as_posix()}"
    told += " --quick" if quick else ""
    told += f" --model {model}" if model else ""
    return told if seed == 1 else f"{told} --seed {seed}"


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
