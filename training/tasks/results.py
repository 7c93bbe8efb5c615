"""The table of both tasks: which blocks were taught what, beside what was published.

Must not know the command line or torch. Called by training.tasks.cli. What is there already is not
learned again, so that a long table can be stopped and taken up.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from core.errors import DataError
from training.tasks.learned import Learned

SOURCE = (
    "Bai, Kolter and Koltun 2018, An empirical evaluation of generic convolutional and recurrent networks"
)
COMMAND = "training tasks report --out docs/results/sequence-tasks.md"
PAGE = """# Two tasks that prove the blocks

{headline}

`{command}`

The blocks are those of `training/networks` with a linear layer on every step. Each round has 32 fresh
sequences; learning stops at 0.7 of the goal on 500 sequences, and the loss shown is that of 1,000 others.
*Guessing* is what the best answer costs that looks at no value. Adding: the sum of two marked numbers
among T, mean squared error. Copy: ten digits repeated after T steps, cross-entropy in nats over all steps.
Settings were chosen on seed 1; what other seeds give is shown as it comes.

| task | T | network | seed | parameters | rounds | loss | guessing | goal met | published |
|---|---:|---|---:|---:|---:|---:|---:|---|---|
{table}

Published: {source}, table 1; it has adding at T = 600 and copy at T = 1,000 alone, with the parameters in
brackets. Ours start with gates that keep (recurrent) or with damped residual blocks (convolutional), and
learn at rates that rise and fall, so the figures show that the blocks carry what they should over that
distance, not that one of ours beats one of theirs.
"""


class Row(NamedTuple):
    """One line of the table: what to teach whom."""

    task: str
    network: str
    steps: int
    seed: int = 1
    rounds: int = 0
    """0 = those of the block's setting."""

    @property
    def key(self) -> str:
        return f"{self.task}-{self.steps}-{self.network}-{self.seed}"


PLAN = (
    *(Row("adding", network, 200) for network in ("tcn", "gru", "lstm")),
    *(Row("adding", network, 200, seed=seed) for network in ("tcn", "gru") for seed in (2, 3)),
    *(Row("copy", network, 200) for network in ("tcn", "gru", "lstm")),
    Row("adding", "tcn", 600, rounds=4_000),
    *(Row("adding", network, 600) for network in ("gru", "lstm")),
    Row("copy", "tcn", 1_000, rounds=1_000),
)
PUBLISHED: Mapping[tuple[str, str, int], str] = {
    ("adding", "tcn", 600): "5.8e-5 (70k parameters)",
    ("adding", "gru", 600): "5.3e-5 (70k)",
    ("adding", "lstm", 600): "0.164 (70k): not learned",
    ("copy", "tcn", 1_000): "3.5e-5 (16k)",
    ("copy", "gru", 1_000): "0.0197 (16k): not learned",
    ("copy", "lstm", 1_000): "0.0204 (16k): not learned",
}
"""Losses of the paper's table 1, which has these lengths alone."""


def kept(path: Path) -> dict[str, Learned]:
    """Read the lines kept beside the page; none where there is no file yet."""
    if not path.exists():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Learned])
    except (OSError, msgspec.MsgspecError) as broken:
        raise DataError(f"{path}: expected figures of `training tasks`; found: {broken}") from broken


def write(
    page: Path,
    rows: Iterable[Row],
    teach: Callable[[Row], Learned],
    *,
    told: Callable[[str], None] = lambda _: None,
) -> dict[str, Learned]:
    """Teach the rows that are not kept yet; after each, write the page (Markdown) and its figures (JSON)."""
    figures = page.with_suffix(".json")
    lines = kept(figures)
    for row in rows:
        if row.key not in lines:
            told(f"{row.network} learns {row.task} at {row.steps} steps")
            lines[row.key] = teach(row)
        _replace(figures, msgspec.json.format(msgspec.json.encode(lines), indent=1))
        _replace(page, text(lines).encode())
    return lines


def text(lines: Mapping[str, Learned]) -> str:
    """Give the page."""
    shown = sorted(lines.values(), key=lambda one: (one.task, one.steps, ORDER.index(one.network), one.seed))
    table = "\n".join(_line(one) for one in shown)
    return PAGE.format(headline=headline(lines), command=COMMAND, table=table, source=SOURCE)


ORDER = ("tcn", "gru", "lstm")


def headline(lines: Mapping[str, Learned]) -> str:
    """Say first who did not learn what, and which lines of the plan nobody was taught yet."""
    failed = [one for one in lines.values() if not one.reached]
    waiting = [row for row in PLAN if row.key not in lines]
    if not lines:
        return "Nothing yet."
    goal = _number(next(iter(lines.values())).goal)
    if not failed and not waiting:
        return f"Every line met the goal of {goal}."
    parts = [f"{len(lines) - len(failed)} of {len(lines)} lines met the goal of {goal}"]
    if failed:
        parts.append(f"not met by {', '.join(map(_who, failed))}")
    if waiting:
        parts.append(f"not taught yet: {', '.join(map(_who, waiting))}")
    return "; ".join(parts) + "."


def _who(one: Learned | Row) -> str:
    seed = f" (seed {one.seed})" if one.seed > 1 else ""
    return f"{one.network} at {one.task} T = {one.steps:,}{seed}"


def _line(one: Learned) -> str:
    met = "yes" if one.reached else "**no**"
    published = PUBLISHED.get((one.task, one.network, one.steps), "-")
    rounds, loss, guess = f"{one.rounds:,} of {one.most:,}", _number(one.loss), _number(one.guess)
    return (
        f"| {one.task} | {one.steps:,} | {one.network} | {one.seed} | {one.parameters:,} "
        f"| {rounds} | {loss} | {guess} | {met} | {published} |"
    )


def _number(value: float) -> str:
    return f"{value:.3g}" if value >= 0.01 else f"{value:.1e}"


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)
