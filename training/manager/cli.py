"""The `training manager` commands: what acting on a manager is worth, and its proof on made markets.

Must not know how anything is computed. Mounted by training.cli, whose `run` turns refusals into one
line. Nothing heavy is imported before a command runs.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from core.errors import UsageError

app = typer.Typer(
    help="The in-trade manager: what acting on it is worth against leaving the stops alone.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a page.")]


@app.command(
    help="""Show what a training run found: makers side by side, policies against the stops left alone.

    \b
    Examples:
      training manager value WORK/manager-1m-value.json
      training manager value WORK/manager-1m-value.json --out docs/results/manager.md
    """
)
def value(
    figures: Annotated[Path, typer.Argument(help="NAME-value.json in the run's work folder.")],
    out: Annotated[Path | None, typer.Option(help="Write the page to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the figures; see `help` above."""
    import msgspec

    from training.manager.page import page, verdict
    from training.manager.value import load

    worth = load(figures)
    if out is not None:
        try:
            out.write_text(page(worth), encoding="utf-8")
        except OSError as refused:
            raise UsageError(
                f"--out: expected a file to write to; found {refused.strerror}: {out}"
            ) from refused
    if as_json:
        sys.stdout.write(msgspec.json.encode(worth).decode() + "\n")
        return
    print(verdict(worth) if out is not None else page(worth), end="\n" if out is not None else "")


@app.command(
    help="""Train on made markets: chance and no value on the null one, the edge found on the planted one.

    \b
    Examples:
      training manager check --seeds 3
      training manager check --seeds 1 --json
    """
)
def check(
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Markets of each kind.")] = 3,
    days: Annotated[
        int, typer.Option(min=30, help="Length of each market; the last 2/5 are the test.")
    ] = 180,
    as_json: AsJson = False,
) -> None:
    """Prove the pipeline; see `help` above. Exit code 1 if it fails."""
    import msgspec

    from training.manager.check import HEAD, MARKETS, as_row, check

    passed = True
    if not as_json:
        print(HEAD)
    for market in MARKETS:
        for seed in range(1, seeds + 1):
            finding = check(market, seed, days=days)
            passed &= finding.passed
            print(msgspec.json.encode(finding).decode() if as_json else as_row(finding), flush=True)
    if not passed:
        raise typer.Exit(1)
