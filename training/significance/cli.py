"""The `training significance` command: what a result is worth, and how much noise the verdict lets through.

Must not know how anything is computed. Mounted by training.cli, whose `run` turns refusals into one line.
Nothing heavy is imported before a command runs.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from core.errors import UsageError
from core.market import Timeframe

NEEDED = ("arch", "purgedcv")


class _RunFirst(TyperGroup):
    """A group that takes folders where a command's name would stand: judging runs needs no other word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command's name before what is none."""
        # The context's class lives in a private module of typer.
        named = not args or args[0] in self.commands or args[0] == "--help"
        return super().parse_args(ctx, args if named else ["run", *args])


app = typer.Typer(
    cls=_RunFirst,
    help="What a result is worth against luck, counting everything that was tried.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command(
    help="""Judge runs: deflated Sharpe, overfitting, superior ability, intervals, days needed.

    Writes significance.json into each run's folder; its report shows it from then on. Several runs count as
    trials of each other, and all that the ledger knows about the same data counts as well.

    \b
    Examples:
      training significance _exp/june --lake configs/market
      training significance _exp/a _exp/b _exp/c --lake configs/market --trials _exp/trials.jsonl --json
    """
)
def run(
    folders: Annotated[list[Path], typer.Argument(help="Folders of `trader backtest run`.")],
    lake: Annotated[Path, typer.Option(help="The bars of the runs: prices for holding and random entry.")],
    trials: Annotated[
        Path | None, typer.Option(help="Ledger of trials.", show_default="_exp/trials.jsonl")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of bootstraps and random entry.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Judge runs; see `help` above."""
    _require()
    from rich.console import Console

    from trader.evaluation.trials import LEDGER, read
    from training.screen import phases
    from training.significance.runs import judge_runs, read_runs
    from training.significance.show import table

    runs = read_runs(folders)
    ledger = read(trials or LEDGER)
    with phases() as say:
        found = judge_runs(runs, ledger, lake, seed=seed, told=say)
    for one, verdict in zip(runs, found, strict=True):
        verdict.save(one.folder)
    names = [one.folder.resolve().name for one in runs]
    if as_json:
        import msgspec

        body = [{"run": name} | msgspec.to_builtins(one) for name, one in zip(names, found, strict=True)]
        sys.stdout.write(json.dumps(body) + "\n")
        return
    console = Console()
    console.print(table(names, found), highlight=False)
    for name, verdict in zip(names, found, strict=True):
        console.print(f"{name}: {verdict.sentence}", highlight=False, soft_wrap=True)
        for note in verdict.notes:
            console.print(f"  {note}", highlight=False, soft_wrap=True)


@app.command(
    help="""Put random strategies on real bars to the verdict, and edges of known size among them.

    \b
    Examples:
      training significance noise --lake configs/market
      training significance noise --lake DIR --draws 20 --edges 0.66,0.74 --out docs/results/noise.md
    """
)
def noise(
    lake: Annotated[Path, typer.Option(help="Folder that holds ohlcv/VENUE/BASE-QUOTE/TIMEFRAME.parquet.")],
    venue: Annotated[str, typer.Option(help="Whose bars to use.")] = "binance",
    timeframe: Annotated[str, typer.Option(help="Grid of entries and exits.")] = "1h",
    instruments: Annotated[str, typer.Option(help="BTC/USDT,ETH/USDT,...; empty = all of the venue.")] = "",
    draws: Annotated[int, typer.Option(min=1, max=1000, help="Draws of each kind.")] = 20,
    strategies: Annotated[int, typer.Option(min=2, max=1000, help="Strategies in a draw.")] = 50,
    fees: Annotated[str, typer.Option(help="Fees a side as fractions of notional.")] = "0,0.0002,0.004",
    edges: Annotated[str, typer.Option(help="Chances to be right of a planted strategy; empty = none.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same strategies.")] = 1,
    replicates: Annotated[int, typer.Option(min=50, help="Bootstrap draws of each test.")] = 1000,
    out: Annotated[Path | None, typer.Option(help="Markdown file to write, with JSON beside it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of Markdown.")] = False,
) -> None:
    """Judge noise; see `help` above."""
    _require()
    import msgspec

    from training.screen import phases
    from training.significance.closes import read_closes
    from training.significance.noise_report import noise_report
    from training.significance.show import markdown

    if timeframe not in (known := [one.value for one in Timeframe]):
        raise UsageError(f"--timeframe: expected one of {', '.join(known)}; found {timeframe!r}")
    named = tuple(name.strip() for name in instruments.split(",") if name.strip())
    paid, chances = _fractions("--fees", fees, 0.0, 0.1), _fractions("--edges", edges, 0.5, 1.0)
    if not paid:
        raise UsageError("--fees: expected at least one; found none")
    words = [("lake", "DIR"), ("venue", venue), ("timeframe", timeframe), ("instruments", instruments)]
    words += [("draws", str(draws)), ("strategies", str(strategies)), ("fees", fees), ("edges", edges)]
    told = " ".join(
        f"--{name} {value}"
        for name, value in [*words, ("seed", str(seed)), ("replicates", str(replicates))]
        if value
    )
    closes = read_closes(lake, venue=venue, timeframe=Timeframe(timeframe), instruments=named)
    with phases() as say:
        report = noise_report(
            closes,
            command=f"training significance noise {told}",
            venue=venue,
            timeframe=timeframe,
            fees=paid,
            edges=chances,
            count=draws,
            strategies=strategies,
            seed=seed,
            replicates=replicates,
            told=say,
        )
    whole = msgspec.json.encode(report)
    if out is not None:
        out.write_text(markdown(report))
        out.with_suffix(".json").write_bytes(msgspec.json.format(whole, indent=1) + b"\n")
    sys.stdout.write(whole.decode() + "\n" if as_json else markdown(report))


def _require() -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"significance needs {', '.join(missing)}; install with: ./run setup train")


def _fractions(option: str, text: str, low: float, high: float) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as wrong:
        raise UsageError(f"{option}: expected numbers with commas between; found {text!r}") from wrong
    if strange := [one for one in found if not low <= one <= high]:
        raise UsageError(f"{option}: expected numbers from {low:g} to {high:g}; found {strange[0]:g}")
    return found
