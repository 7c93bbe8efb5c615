"""The `training labels` commands: targets to list, and what their answers look like on recorded bars.

Must not know how an answer is found. Mounted by training.cli, whose `run` turns refusals into one line.
Nothing heavy is imported before a command runs.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from core.errors import UsageError
from core.market import Timeframe
from core.text import parse_iso

app = typer.Typer(
    help="What models are asked: targets by name, and their answers on recorded bars.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")]


@app.command(
    name="list",
    help="""Print every target: its horizon and its classes at one decision timeframe.

    \b
    Examples:
      training labels list
      training labels list --decision 4h --json
    """,
)
def list_targets(
    decision: Annotated[str, typer.Option(help="Bars at whose close it is asked.")] = "15m",
    as_json: Json = False,
) -> None:
    """List targets; see `help` above."""
    from training.targets.catalogue import MAKERS, target

    found = [target(name, _timeframe("--decision", decision)) for name in MAKERS]
    if as_json:
        body = {one.name: {"horizon_s": one.horizon_ns // 10**9, "classes": one.classes} for one in found}
        sys.stdout.write(msgspec.json.encode(body).decode() + "\n")
        return
    print("| target | horizon | classes |")
    print("|---|---:|---|")
    for one in found:
        print(f"| {one.name} | {one.horizon_ns / 3.6e12:g} h | {', '.join(one.classes) or 'a number'} |")


@app.command(
    help="""Fold a specification's features, ask targets at every decision, and print what was answered.

    Shares of classes, how many rows are known, and how many rows the overlapping labels are worth.

    \b
    Examples:
      training labels measure --spec seq_15m --lake configs/market --timeframe 5m
      training labels measure --spec seq_1h --lake DIR --timeframe 15m --vault-start 2025-05-01 --workers 2
      training labels measure --spec seq_4h --lake DIR --timeframe 1h --targets barrier,sweep --json
    """
)
def measure(
    lake: Annotated[Path, typer.Option(help="Folder that holds ohlcv/VENUE/BASE-QUOTE/TIMEFRAME.parquet.")],
    spec: Annotated[str, typer.Option(help="Feature spec whose decisions are asked.")] = "seq_15m",
    targets: Annotated[str, typer.Option(help="barrier,trend_12,...; empty = all.")] = "",
    venue: Annotated[str, typer.Option(help="Whose bars to use.")] = "binance",
    timeframe: Annotated[str, typer.Option(help="Bars to read; answers are found on them.")] = "5m",
    instruments: Annotated[str, typer.Option(help="BTC/USDT,ETH/USDT,...; empty = all in the lake.")] = "",
    vault_start: Annotated[str, typer.Option(help="Bars from this day on are not read.")] = "",
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps the panel.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Instruments folded at a time.")] = 1,
    as_json: Json = False,
) -> None:
    """Measure labels; see `help` above."""
    from inference.features.spec import SPECS
    from training.panel.build import build
    from training.panel.sources import Source, read
    from training.targets import shares
    from training.targets.catalogue import MAKERS, target, terms_of

    if spec not in SPECS:
        raise UsageError(f"--spec: expected one of {', '.join(SPECS)}; found {spec!r}")
    decision = SPECS[spec].decision
    asked = [target(name, decision) for name in _words(targets) or tuple(MAKERS)]
    source = Source(
        venue,
        _timeframe("--timeframe", timeframe),
        _words(instruments),
        _day(vault_start),
    )
    series = read(lake, source)
    with _progress(len(series)) as on_done:
        panel = build(
            series, SPECS[spec], asked, terms_of(decision), cache=cache, workers=workers, on_done=on_done
        )
    found = shares.told(panel, asked)
    ties = int(panel.paid.both.sum())
    if as_json:
        body = {"rows": len(panel), "both_barriers_in_one_bar": ties, "targets": found}
        sys.stdout.write(msgspec.json.encode(body).decode() + "\n")
        return
    print(f"{len(panel):,} rows of {len(series)} instruments; both barriers within one bar: {ties:,}")
    for line in (*shares.HEAD, *map(shares.row, found)):
        print(line)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


def _timeframe(option: str, value: str) -> Timeframe:
    known = {one.value: one for one in Timeframe}
    if value not in known:
        raise UsageError(f"{option}: expected one of {', '.join(known)}; found {value!r}")
    return known[value]


def _day(text: str) -> int | None:
    try:
        return parse_iso(text) if text else None
    except ValueError as wrong:
        raise UsageError(f"--vault-start: expected a date like 2025-05-01; found {text!r}") from wrong


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None] | None]:
    """Show to a person which instruments are folded; nothing where stderr is a file."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("folding", total=total)
        yield lambda instrument: bar.update(task, advance=1, description=f"folded {instrument}")
