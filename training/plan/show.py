"""What a person sees while a plan is worked off: a line with a bar for each model, on stderr.

Must not know how a model is made. Called by training.plan.told and training.plan.cli. The workers are
other processes, so their lines of progress are read from the files that they write anyway.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from training.plan.job import LOGS

_COUNTED = re.compile(r"(\d+) (?:of|/) (\d+)|(\d+)/(\d+)")
"""Where a phase counts itself, as in "fold 2 of 3" or "epoch 4/12", the bar shows it."""


@contextmanager
def following(
    work: Path, names: Iterable[str], console: Console | None = None
) -> Iterator[Callable[[str], None] | None]:
    """Show models at work at a terminal; give what is to be told of each that is done, None elsewhere."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with _Following(work / LOGS, console) as progress:
        progress.begin(list(names))
        yield progress.done


class _Following(Progress):
    """A progress display that looks into the workers' logs whenever it is drawn."""

    def __init__(self, logs: Path, console: Console) -> None:
        columns = (
            SpinnerColumn(finished_text="*"),
            TextColumn("{task.fields[model]:20}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        self._logs = logs
        self._tasks_of: dict[str, TaskID] = {}
        self._offsets: dict[str, int] = {}
        super().__init__(*columns, console=console)

    def begin(self, names: list[str]) -> None:
        """Show a line for each model; what its log says of earlier runs is passed over."""
        for name in names:
            path = self._path(name)
            self._offsets[name] = path.stat().st_size if path.is_file() else 0
            self._tasks_of[name] = self.add_task("waits", start=False, total=None, model=name)

    def done(self, name: str) -> None:
        """Mark a model as done."""
        self._follow(name)
        self.update(self._tasks_of[name], total=1, completed=1)

    def get_renderables(self) -> Iterable[RenderableType]:
        """Draw what the logs say by now."""
        for name in self._tasks_of:
            self._follow(name)
        yield from super().get_renderables()

    def _follow(self, name: str) -> None:
        path = self._path(name)
        if not path.is_file():
            return
        with path.open("rb") as file:
            if file.seek(0, 2) < self._offsets[name]:
                self._offsets[name] = 0  # begun anew: a check takes away what an earlier one left
            file.seek(self._offsets[name])
            lines = file.read()
        whole = lines[: lines.rfind(b"\n") + 1]
        if not whole:
            return
        self._offsets[name] += len(whole)
        task = self._tasks_of[name]
        self.start_task(task)
        phase = str(msgspec.json.decode(whole.splitlines()[-1])["phase"])
        counted = _COUNTED.search(phase)
        if counted:
            done, total = (int(part) for part in counted.groups() if part)
            self.update(task, description=phase, completed=done, total=total)
        else:
            self.update(task, description=phase, total=None)

    def _path(self, name: str) -> Path:
        return self._logs / f"{name}.jsonl"
