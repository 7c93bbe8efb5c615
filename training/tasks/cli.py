"""The `training tasks` command: prove the blocks of the networks on tasks with published figures.

Must not know how anything is computed. Mounted by training.cli, whose `run` turns refusals into one line.
Nothing heavy is imported before a command runs.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from core.errors import UsageError

PAGE = Path("docs/results/sequence-tasks.md")

app = typer.Typer(
    help="Teach the networks' blocks what must be remembered for long: adding, and copy memory.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Network = Annotated[str, typer.Option(help="tcn, gru or lstm: the block to teach.")]
Steps = Annotated[int, typer.Option(min=2, max=10_000, help="Steps over which it must remember.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same machine, same figures.")]
Rounds = Annotated[int, typer.Option(min=0, help="Most rounds of 32 sequences; 0 = the block's own.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a line.")]


@app.command(
    help="""Teach one block the adding problem: the sum of two numbers that are marked among many.

    \b
    Examples:
      training tasks adding --network tcn
      training tasks adding --network gru --steps 600 --seed 1 --json
    """
)
def adding(
    network: Network = "tcn",
    steps: Steps = 200,
    seed: Seed = 1,
    rounds: Rounds = 0,
    as_json: AsJson = False,
) -> None:
    """Teach adding; see `help` above."""
    _teach("adding", network, steps, seed, rounds, as_json=as_json)


@app.command(
    help="""Teach one block copy memory: ten digits, repeated after so many steps of nothing.

    \b
    Examples:
      training tasks copy --network tcn
      training tasks copy --network lstm --steps 1000 --rounds 3000 --json
    """
)
def copy(
    network: Network = "tcn",
    steps: Steps = 200,
    seed: Seed = 1,
    rounds: Rounds = 0,
    as_json: AsJson = False,
) -> None:
    """Teach copying; see `help` above."""
    _teach("copy", network, steps, seed, rounds, as_json=as_json)


@app.command(
    help="""Teach every block of the table and write the page and its figures, line by line.

    What the figures beside the page have already is not learned again: delete a line to have it anew.

    \b
    Examples:
      training tasks report --out docs/results/sequence-tasks.md
      training tasks report --only adding-200-tcn-1,copy-200-tcn-1 --out _exp/tasks.md
    """
)
def report(
    out: Annotated[Path, typer.Option(help="Markdown to write; its .json is put beside it.")] = PAGE,
    only: Annotated[str, typer.Option(help="Lines to teach, TASK-STEPS-NETWORK-SEED,...; empty = all.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write the table; see `help` above."""
    _needed()
    import msgspec

    from training.tasks.results import PLAN, Row, headline, write

    known = {row.key: row for row in PLAN}
    names = [part.strip() for part in only.split(",") if part.strip()] or list(known)
    if strange := [name for name in names if name not in known]:
        raise UsageError(f"--only: expected lines of {', '.join(known)}; found {strange[0]!r}")
    from training.tasks.learn import learn
    from training.tasks.learned import Learned

    def teach(row: Row) -> Learned:
        with _progress(f"{row.network} learns {row.task}, {row.steps} steps") as told:
            return learn(row.task, row.network, steps=row.steps, seed=row.seed, rounds=row.rounds, told=told)

    lines = write(out, [known[name] for name in names], teach)
    if as_json:
        sys.stdout.write(msgspec.json.encode(lines).decode() + "\n")
        return
    print(headline(lines))


def _teach(task: str, network: str, steps: int, seed: int, rounds: int, *, as_json: bool) -> None:
    _needed()
    import msgspec

    from training.tasks.learn import learn

    with _progress(f"{network} learns {task}, {steps} steps") as told:
        found = learn(task, network, steps=steps, seed=seed, rounds=rounds, told=told)
    if as_json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    verdict = f"goal of {found.goal:g} {'met' if found.reached else 'missed'}"
    print(
        f"{found.measure} {found.loss:.2g} on unseen sequences, {verdict}; guessing costs {found.guess:.2g}"
    )
    print(f"{found.parameters:,} parameters, {found.rounds:,} of {found.most:,} rounds of learning")


def _needed() -> None:
    if importlib.util.find_spec("torch") is None:
        raise UsageError("training needs torch; install with: ./run setup train")


@contextmanager
def _progress(title: str) -> Iterator[Callable[[int, int, float], None]]:
    """Show rounds and loss to a person; nothing where stderr is a file."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.2g}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("rounds", total=None, loss=float("nan"))
        yield lambda done, total, loss: bar.update(task, completed=done, total=total, loss=loss)
