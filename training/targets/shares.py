"""What the labels of real rows look like: known, shared among classes, worth how many rows.

Must not know models or files. Called by training.targets.cli.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from core.clock import SECOND
from training.panel.panel import Panel
from training.targets.target import Target, kinds
from training.targets.weights import average_uniqueness


class Told(msgspec.Struct, frozen=True):
    """One target on a panel's rows; `shares` by class of the known ones, mean and deviation of the values.

    `bounds` between classes are fitted on these very rows where the target has any: the shares then say
    nothing new. `unique_rows` is the sum of the labels' average uniqueness: so many rows they are worth.
    """

    name: str
    horizon_s: int
    rows: int
    known: int
    shares: dict[str, float]
    bounds: tuple[float, ...]
    mean: float
    deviation: float
    unique_rows: float


def told(panel: Panel, targets: Sequence[Target]) -> list[Told]:
    """Look at every target's answers."""
    found = []
    for target in targets:
        answers = panel.followed[target.name]
        known = np.flatnonzero(np.isfinite(answers.value))
        values = answers.value[known]
        bounds = target.bounds(values) if len(known) else ()
        kind = kinds(answers, bounds)[known]
        shares = {
            name: float(np.mean(kind == number)) if len(known) else 0.0
            for number, name in enumerate(target.classes)
        }
        unique = average_uniqueness(
            panel.instrument[known], panel.ts[known], answers.ts_end[known], panel.spec.decision.ns
        )
        found.append(
            Told(
                name=target.name,
                horizon_s=target.horizon_ns // SECOND,
                rows=len(panel),
                known=len(known),
                shares=shares,
                bounds=bounds,
                mean=float(values.mean()) if len(known) else 0.0,
                deviation=float(values.std()) if len(known) else 0.0,
                unique_rows=float(unique.sum()),
            )
        )
    return found


def row(one: Told) -> str:
    """Give one line of the table whose head is HEAD."""
    hours = one.horizon_s / 3600
    shares = ", ".join(f"{name} {share:.3f}" for name, share in one.shares.items()) or "a number"
    return (
        f"| `{one.name}` | {hours:g} h | {one.known:,} | {shares} | {one.mean:.3f} | {one.deviation:.3f} "
        f"| {one.unique_rows:,.0f} |"
    )


HEAD = (
    "| target | horizon | known rows | classes | mean value | deviation | worth rows |",
    "|---|---:|---:|---|---:|---:|---:|",
)
