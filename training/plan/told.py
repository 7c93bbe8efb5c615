"""What `training train --config` tells: a plan of models worked off or checked, as lines or JSON.

Must not know how a model is made. Called by training.cli's `train`, which owns the options.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from core.errors import ModelError
from training.plan import run
from training.plan.job import Made, Place
from training.plan.schema import chosen, read_plan
from training.plan.show import following


class Asked(NamedTuple):
    """The options of a plan's run."""

    config: Path
    place: Place
    only: tuple[str, ...]
    workers: int
    resume: bool
    check: bool
    as_json: bool


def train(asked: Asked) -> None:
    """Work the plan off and tell what came of it; ModelError if a check finds a difference."""
    plan = read_plan(asked.config)
    names = [order.name for order in chosen(plan, asked.only, whole=asked.check)]
    where = asked.place.work / run.CHECK if asked.check else asked.place.work
    with following(where, names) as on_done:
        if asked.check:
            differing = run.check(
                plan, asked.config, asked.place, only=asked.only, workers=asked.workers, on_done=on_done
            )
            made: tuple[Made, ...] = ()
        else:
            made = run.train(
                plan,
                asked.config,
                asked.place,
                only=asked.only,
                workers=asked.workers,
                resume=asked.resume,
                on_done=on_done,
            )
            differing = ()
    if asked.as_json:
        told = {"made": made} if not asked.check else {"checked": names, "different": differing}
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    else:
        shown = checked(names, differing, where) if asked.check else lines(made)
        sys.stdout.write("\n".join(shown) + "\n")
    if differing:
        others = ", ".join(one.name for one in differing)
        raise ModelError(f"expected the same hashes as in {asked.place.out}; found others: {others}")


def checked(names: Sequence[str], differing: Sequence[run.Difference], where: Path) -> list[str]:
    """Give a line for each model that came out otherwise, and their number."""
    rows = [f"{one.name}: expected {one.expected[:64]}; found {one.found[:64]}" for one in differing]
    return [*rows, f"{len(names)} models made again in {where}, {len(differing)} of them different"]


def lines(made: Sequence[Made]) -> list[str]:
    """Give a table of what was made."""
    rows = [f"{'model':22} {'hash':12} {'bytes':>9} {'seconds':>8} {'cpu s':>8}"]
    for one in made:
        took = "kept" if one.found else f"{one.seconds:.1f}"
        rows.append(
            f"{one.name:22} {one.model_hash[:12] or '-':12} {one.bytes:9,} {took:>8} {one.cpu_s:8.1f}"
        )
    rows.append(f"{len(made)} models, {sum(one.bytes for one in made):,} bytes")
    return rows
