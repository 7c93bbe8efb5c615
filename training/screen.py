"""What the terminal shows: phases on stderr while working, a card on stdout at the end.

Must not know how figures are made. Called by training.cli.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from inference.card import Card
from training.report import tables, verdict


@contextmanager
def phases() -> Iterator[Callable[[str], None]]:
    """Give a function that ends the running phase and starts the one it is told."""
    columns = (SpinnerColumn(finished_text="*"), TextColumn("{task.description}"), TimeElapsedColumn())
    console = Console(stderr=True)
    # Without a terminal stderr is for refusals alone: one line each.
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def say(phase: str) -> None:
            finish()
            progress.add_task(phase, total=1)

        def finish() -> None:
            for task in progress.task_ids:
                progress.update(task, completed=1)

        yield say
        finish()


def show(card: Card, *, as_json: bool) -> None:
    """Print a card: tables, or one JSON object with its head and metrics."""
    if as_json:
        head = {"name": card.name, "version": card.version, "model_hash": card.model_hash}
        figures = msgspec.to_builtins(card.metrics)
        span = msgspec.to_builtins(card.split)
        body = head | {"verdict": verdict(card), "split": span, "metrics": figures}
        sys.stdout.write(msgspec.json.encode(body).decode() + "\n")
        return
    console = Console()
    for part in tables(card):
        console.print(part, highlight=False)
