"""Options of the `trader data` commands, and how long work is shown: a bar for people, a log to follow.

Must not know any command. Called by the data commands.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from core.clock import SECOND, Clock
from core.errors import TemporaryError, UsageError
from core.text import iso

LakeFolder = Annotated[Path, typer.Option("--lake", metavar="DIR", help="Folder of the lake.")]
Instruments = Annotated[
    str, typer.Option("--instruments", metavar="LIST", help="BTC/USD,ETH/USD,...; empty = all.")
]
LogFile = Annotated[
    Path | None,
    typer.Option("--log", metavar="FILE", help="Append progress to a file that `tail -f` can follow."),
]

LOG_EVERY = 10 * SECOND

Tell = Callable[[int, int, str], None]
"""How far: done, total, and a text where something is worth a line."""


def chosen(instruments: str) -> frozenset[str]:
    """Split a list of instruments; UsageError for a word that is none."""
    names = frozenset(part.strip() for part in instruments.split(",") if part.strip())
    for name in sorted(names):
        base, slash, quote = name.partition("/")
        if not (base and slash and quote):
            raise UsageError(f"--instruments: expected names such as BTC/USD; found {name!r}")
    return names


def existing(lake: Path) -> Path:
    """Give the lake's folder; UsageError where there is none."""
    if not lake.is_dir():
        raise UsageError(f"--lake: expected a folder; found nothing at {lake}")
    return lake


@contextmanager
def progress(title: str, log: Path | None, clock: Clock) -> Iterator[Tell]:
    """Give a function that shows progress: a bar with the time left on a terminal, lines in a log."""
    with _logged(title, log, clock) as write, _shown(title) as show:

        def tell(done: int, total: int, text: str = "") -> None:
            show(done, total, text)
            write(done, total, text)

        yield tell


def _silent(*_: object) -> None:
    """Show nothing: nobody watches."""


@contextmanager
def _logged(title: str, log: Path | None, clock: Clock) -> Iterator[Tell]:
    if log is None:
        yield _silent
        return
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = log.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise TemporaryError(f"--log: expected a file to write, found: {error}") from error
    began = last = clock.monotonic()

    def write(done: int, total: int, text: str) -> None:
        nonlocal last
        now = clock.monotonic()
        if not text and now - last < LOG_EVERY:
            return
        last = now
        share = done / total if total else 1.0
        left = (now - began) / SECOND * (1 / share - 1) if share else 0.0
        file.write(
            f"{iso(clock.now())} {title} done={100 * share:.1f}% left_s={left:.0f} {text}".rstrip() + "\n"
        )

    with file:
        yield write


@contextmanager
def _shown(title: str) -> Iterator[Tell]:
    if not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total, *_: bar.update(task, completed=done, total=max(total, 1))
