"""A plan worked off: what stands on nothing first and side by side, then what stands on that.

Must not know how a model is made or how progress is shown. Called by training.plan.told and
training.plan.smoke. A model that is finished stays whatever becomes of the others.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from inference import ensemble
from trader.backtest.parallel import each
from training.plan.job import Common, Job, Made, Place, work
from training.plan.schema import Meta, Order, Plan, chosen, needs, stages

CHECK = "check"
"""Folder of the work folder in which a check makes models again."""
OnDone = Callable[[str], None]


class Difference(msgspec.Struct, frozen=True):
    """A model that came out otherwise than what lies in the shipped folder."""

    name: str
    expected: str
    found: str


def train(
    plan: Plan,
    config: Path,
    place: Place,
    *,
    only: tuple[str, ...] = (),
    workers: int = 1,
    resume: bool = False,
    on_done: OnDone | None = None,
) -> tuple[Made, ...]:
    """Make the models that `only` names (none = all), `workers` at a time, each in a process on one thread.

    UsageError for an unknown name and for a model without those that it needs; else each error as it comes.
    """
    found: list[Made] = []
    for stage in stages(plan, chosen(plan, only, whole=False)):
        jobs = [_job(order, plan, config, place, resume=resume) for order in stage]
        found += each(work, jobs, workers=workers, on_done=_told(on_done))
    return tuple(found)


def check(
    plan: Plan,
    config: Path,
    place: Place,
    *,
    only: tuple[str, ...] = (),
    workers: int = 1,
    on_done: OnDone | None = None,
) -> tuple[Difference, ...]:
    """Make models again, with all that they need, in a folder of their own; give those that differ.

    Nothing that was kept is used, and nothing in `place.out` is changed.
    """
    again = place.work / CHECK
    shutil.rmtree(again, ignore_errors=True)
    elsewhere = Place(place.data, again / "models", again)
    names = tuple(order.name for order in chosen(plan, only, whole=True))
    made = train(plan, config, elsewhere, only=names, workers=workers, on_done=on_done)
    pairs = [(one, hash_of(place.out / one.name)) for one in made if one.model_hash]
    return tuple(
        Difference(one.name, there, one.model_hash) for one, there in pairs if there != one.model_hash
    )


def hash_of(folder: Path) -> str:
    """Give the hash of the model in a folder; what is wrong with it where it does not prove."""
    found = ensemble.verify(folder)
    return str(found["model_hash"] if found["ok"] else found["error"])


def _job(order: Order, plan: Plan, config: Path, place: Place, *, resume: bool) -> Job:
    named = config.name if config.is_absolute() else config.as_posix()
    common = Common(plan.venue, plan.test_start, plan.vault_start, plan.seed, plan.version, named)
    absolute = Place(place.data.resolve(), place.out.resolve(), place.work.resolve())
    of = next((one for one in plan.ensemble if isinstance(order, Meta) and one.name == order.of), None)
    return Job(order, common, absolute, needs(order, plan), of, resume)


def _told(on_done: OnDone | None) -> Callable[[Job], None] | None:
    return None if on_done is None else lambda job: on_done(job.order.name)


def rows(made: Sequence[Made]) -> list[dict[str, object]]:
    """Give what was made as plain values."""
    return [msgspec.to_builtins(one) for one in made]
