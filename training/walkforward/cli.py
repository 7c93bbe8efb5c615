"""The `training walkforward` command: folds in time order, each traded by the engine with what was known.

Must not know how anything is computed. Mounted by training.cli, whose `run` turns refusals into one
line. Nothing heavy is imported before a command runs.
"""

import importlib.util
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from core.errors import UsageError
from core.market import Timeframe

app = typer.Typer(rich_markup_mode=None)

DESK = Path("configs/walkforward/desk.toml")
LOG = Path("configs/vault.jsonl")
TRIALS = Path("_exp/trials.jsonl")
NEEDED = ("lightgbm", "onnx", "onnxmltools", "skl2onnx", "sklearn", "purgedcv")


@app.command(
    name="walkforward",
    help="""Train, tune and trade fold after fold, the real engine on bars that the model has not seen.

    Folds that are there already are not made again; the newest months (the vault) are never looked at
    unless a version has opened it. Writes a record for each fee schedule, tables, and a page of figures.

    \b
    Examples:
      training walkforward --plan configs/walkforward/real.toml --lake DIR --page docs/results/walkforward.md
      training walkforward --spec entry_15m --lake DIR --schedule kraken --workers 2
      training walkforward --spec entry_1h --timeframe 1h --lake DIR --mode final_fold --json
      training walkforward --spec entry_1h --timeframe 1h --lake DIR --mode dates \\
        --train-start 2023-10-30 --tune-start 2024-04-01 --test-start 2024-07-01
      training walkforward --fixed configs/models/blend-15m --lake DIR --schedule gross,kraken
    """,
)
def walkforward(
    lake: Annotated[Path, typer.Option(help="Folder that holds ohlcv/VENUE/BASE-QUOTE/TIMEFRAME.parquet.")],
    plan: Annotated[Path | None, typer.Option(help="TOML with several studies; else one by options.")] = None,
    study: Annotated[str, typer.Option(help="Only these studies of the plan, by name.")] = "",
    spec: Annotated[str, typer.Option(help="Feature spec of the entry model to train for each fold.")] = "",
    fixed: Annotated[str, typer.Option(help="Finished model to run as it is, instead of --spec.")] = "",
    venue: Annotated[str, typer.Option(help="Whose bars to use.")] = "binance",
    timeframe: Annotated[str, typer.Option(help="Bars to train and trade on.")] = "15m",
    instruments: Annotated[str, typer.Option(help="BTC/USDT,ETH/USDT,...; empty = all in the lake.")] = "",
    mode: Annotated[str, typer.Option(help="walk_forward, final_fold or dates.")] = "walk_forward",
    train_months: Annotated[int, typer.Option(min=1, help="Months to train on.")] = 12,
    test_months: Annotated[int, typer.Option(min=1, help="Months of each test span, and of each step.")] = 3,
    anchored: Annotated[bool, typer.Option(help="Train from the first row on.")] = False,
    train_start: Annotated[str, typer.Option(help="Mode dates: first day of training.")] = "",
    tune_start: Annotated[str, typer.Option(help="Mode dates: first day of tuning.")] = "",
    test_start: Annotated[str, typer.Option(help="Mode dates: first day out of sample.")] = "",
    schedule: Annotated[str, typer.Option(help="gross,vip9,vip4,legacy16,kraken or all.")] = "all",
    vault_months: Annotated[int, typer.Option(min=1, help="Newest months that are shut away.")] = 3,
    vault_start: Annotated[str, typer.Option(help="Shut away from this day on, instead.")] = "",
    vault_log: Annotated[Path, typer.Option(help="File of the vault's openings.")] = LOG,
    opened: Annotated[str, typer.Option(help="Version that has opened the vault: look into it.")] = "",
    max_rows: Annotated[int, typer.Option(min=1, help="Use every n-th training row below this.")] = 60_000,
    seed: Annotated[int, typer.Option(help="Same seed and bars give the same bytes.")] = 1,
    desk: Annotated[Path, typer.Option(help="Configuration of the trader: account and policy.")] = DESK,
    out: Annotated[Path, typer.Option(help="Folder of folds and results.")] = Path("_exp/walkforward"),
    page: Annotated[Path | None, typer.Option(help="Markdown to write; its .json is put beside it.")] = None,
    trials: Annotated[Path, typer.Option(help="Ledger in which every run is counted as a trial.")] = TRIALS,
    pages: Annotated[bool, typer.Option(help="Also write an HTML report for each schedule.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Folds at a time, each in a process of its own.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Walk forward; see `help` above."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"training needs {', '.join(missing)}; install with: ./run setup train")
    from training.walkforward.results import write
    from training.walkforward.run import Setting, walk
    from training.walkforward.study import NAMES, Plan, Study, read_plan

    if plan is not None:
        chosen = read_plan(plan)
        if study:
            wanted = _listed(study)
            known = {one.name: one for one in chosen.study}
            if strange := [name for name in wanted if name not in known]:
                raise UsageError(f"--study: expected one of {', '.join(known)}; found {strange[0]!r}")
            chosen = Plan(chosen.desk, tuple(known[name] for name in wanted))
        desk, base = plan.parent / chosen.desk, plan.parent
        command = f"training walkforward --plan {plan.as_posix()} --lake DIR"
    else:
        one = Study(
            name=f"{(spec or Path(fixed).name).replace('_', '-')}-{venue}-{timeframe}",
            venue=venue,
            timeframe=_timeframe(timeframe),
            instruments=_listed(instruments),
            spec=spec,
            fixed=fixed,
            mode=mode,  # type: ignore[arg-type]  # training.folds refuses any other word
            train_months=train_months,
            test_months=test_months,
            anchored=anchored,
            train_start=train_start,
            tune_start=tune_start,
            test_start=test_start,
            vault_months=vault_months,
            vault_start=vault_start,
            schedules=NAMES if schedule == "all" else _listed(schedule),
            max_rows=max_rows,
            seed=seed,
        )
        chosen, base, command = Plan("", (one,)), Path(), _command(one)
        if desk != DESK:
            command += f" --desk {desk.name if desk.is_absolute() else desk.as_posix()}"
    if opened:
        command += f" --opened {shlex.quote(opened)}"
    told = command + (f" --study {study}" if plan is not None and study else "")
    told += f" --page {page.as_posix()}" if page is not None and not page.is_absolute() else ""
    setting = Setting(
        lake=lake,
        desk=desk,
        base=base,
        folder=out / "folds",
        command=command,
        workers=workers,
        vault_log=vault_log,
        opened=opened,
    )
    walked = []
    for number, one in enumerate(chosen.study, 1):
        # A study's folds are the same whichever others are run beside it.
        own = setting if plan is None else setting._replace(command=f"{command} --study {one.name}")
        with _progress(f"{one.name} ({number} of {len(chosen.study)})") as on_fold:
            walked.append(walk(one, own, on_fold))
    written = write(walked, lake, out, page, command=told, pages=pages, trials=trials)
    if as_json:
        sys.stdout.write(written.json.decode())
        return
    print(written.headline)
    for line in written.lines:
        print(line)
    made, peak = sum(one.made for one in walked), max(one.peak_mb for one in walked)
    folds = sum(len(one.folds) for one in walked)
    print(f"{folds} folds, {made} of them made now, at most {peak:,} MB of memory in a process; {out}")


@contextmanager
def _progress(title: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show folds to a person; nothing where stderr is a file."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("folds", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _command(study: Any) -> str:
    """Give the command line that makes a study again, without this machine's folders."""
    import msgspec

    plain = type(study)(name=study.name, spec=study.spec, fixed=study.fixed)
    words = ["training walkforward --lake DIR"]
    names = {"schedules": "schedule"}
    for field in msgspec.structs.asdict(study):
        value = getattr(study, field)
        usual = "" if field in ("spec", "fixed") else getattr(plain, field)
        if field == "name" or value == usual:
            continue
        option = f"--{names.get(field, field).replace('_', '-')}"
        shown = ",".join(value) if isinstance(value, tuple) else getattr(value, "value", value)
        words.append(option if value is True else f"{option} {shlex.quote(str(shown))}")
    return " ".join(words)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _timeframe(text: str) -> Timeframe:
    if text not in (known := [one.value for one in Timeframe]):
        raise UsageError(f"--timeframe: expected one of {', '.join(known)}; found {text!r}")
    return Timeframe(text)
