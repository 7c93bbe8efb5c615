"""One order of a plan, worked off in a process of its own, and the record that lets it be found again.

Must not know other orders or how progress is shown. Called by training.plan.run through
trader.backtest.parallel. What is found again has the same order, terms, bars, program, libraries, and models
that it was made of; places on disk do not count.
"""

import hashlib
import importlib.metadata
import resource
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import assert_never

import msgspec

from core.clock import SECOND, LiveClock
from core.errors import ModelError, UsageError
from core.text import iso
from inference import ensemble
from inference.features.spec import SPECS
from training.dataset import fingerprint
from training.labels import BarrierTerms
from training.plan.schema import Bars, Ensemble, Manager, Meta, Network, Order, Trees, day
from training.provenance import Recipe, read
from training.walkforward.run import code_hash, versions

RECORDS, LOGS, FITS = "made", "log", "fits"
"""Folders of the work folder beside the answers: records of what was made, lines of progress, checkpoints."""
FITTERS = ("onnx", "onnxscript", "scikit-learn", "skl2onnx", "torch", "xgboost")
"""Libraries that decide a result beside those of a walk-forward; not each of them is always there."""

Say = Callable[[str], None]


class Common(msgspec.Struct, frozen=True):
    """What a plan says of all its orders. `config` is how a card names the plan."""

    venue: str
    test_start: str
    vault_start: str
    seed: int
    version: str
    config: str


class Place(msgspec.Struct, frozen=True):
    """Where things lie: bars, finished models, everything else. Decides no result."""

    data: Path
    out: Path
    work: Path

    def kept(self, name: str) -> Path:
        """Give the file of a model's answers to rows that it had not seen."""
        return self.work / f"{name}.npz"


class Job(msgspec.Struct, frozen=True):
    """An order with all that it takes; `resume`: a model that is there and was made of the same stays."""

    order: Order
    common: Common
    place: Place
    needs: tuple[str, ...] = ()
    of: Ensemble | None = None
    """Of a meta-model: the ensemble that it will sit in."""
    resume: bool = False

    def __str__(self) -> str:
        return self.order.name

    @property
    def command(self) -> str:
        """The command line on the card: every decision is in the plan."""
        return f"training train --config {self.common.config} --data DIR --only {self.order.name}"


def fits_of(job: Job) -> Path:
    """Give the folder of an order's checkpoints; a fit goes on from one of this very program alone."""
    return job.place.work / FITS / job.order.name / program()[:12]


@cache
def program() -> str:
    """Give one hash of the program and of all libraries that a model comes from."""
    there = dict.fromkeys(FITTERS, "none")
    for name in FITTERS:
        with suppress(importlib.metadata.PackageNotFoundError):
            there[name] = importlib.metadata.version(name)
    return code_hash(versions() | there)


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a job: the model's hash, empty where none was written, and the answers' file's.

    `seconds` by the clock, `cpu_s` of the processor: on a busy machine the former says little.
    """

    name: str
    key: str
    model_hash: str = ""
    answers: str = ""
    bytes: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0
    found: bool = False


def work(job: Job) -> Made:
    """Make a model, or find it; each error as it comes, before anything finished is changed."""
    clock = LiveClock()
    began, worked = clock.monotonic(), _cpu_s()
    log = job.place.work / LOGS / f"{job.order.name}.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as lines:

        def say(phase: str) -> None:
            seconds = round((clock.monotonic() - began) / SECOND, 1)
            told = {"at": iso(clock.now()), "model": job.order.name, "seconds": seconds, "phase": phase}
            lines.write(msgspec.json.encode(told) + b"\n")
            lines.flush()

        say("begins")
        key = key_of(job)
        if job.resume and (there := _found(job, key)):
            say("found")
            return there
        _record(job).unlink(missing_ok=True)
        if not job.resume:
            shutil.rmtree(job.place.work / FITS / job.order.name, ignore_errors=True)
        _make(job, say)
        made = msgspec.structs.replace(
            _looked_at(job, key),
            seconds=round((clock.monotonic() - began) / SECOND, 1),
            cpu_s=round(_cpu_s() - worked, 1),
        )
        _write(_record(job), msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n")
        say("done")
        return made


def recipe_of(job: Job, order: Trees) -> Recipe:
    """Give the recipe of a tree order."""
    common, spec = job.common, SPECS[order.spec]
    return Recipe(
        name=order.name,
        version=common.version,
        spec=spec,
        venue=order.venue or common.venue,
        source=order.source,
        terms=BarrierTerms(spec.decision, order.barrier_atr, order.horizon_bars),
        instruments=order.instruments,
        test_start=day(order.test_start or common.test_start),
        seed=common.seed,
        trials=order.trials,
        max_rows=order.max_rows,
        command=job.command,
        vault_start=day(order.vault_start or common.vault_start),
    )


def bars_of(job: Job, order: Bars) -> Recipe:
    """Give a recipe that reads an order's bars, whatever is made of them."""
    named = {field: getattr(order, field) for field in Bars.__struct_fields__}
    return recipe_of(job, Trees(name=job.order.name, spec="entry_15m", **named))


def key_of(job: Job) -> str:
    """Give the hash of everything that decides the result."""
    told: list[object] = [job.order, job.of, job.common, program()]
    if isinstance(job.order, Bars):
        told.append(fingerprint(read(bars_of(job, job.order), job.place.data)))
    told += [_made_of(job, name) for name in job.needs]
    return hashlib.sha256(msgspec.msgpack.encode(told)).hexdigest()


def _make(job: Job, say: Say) -> None:
    """Hand the order to whoever makes its kind; what they need is imported here, in the worker alone."""
    match job.order:
        case Trees():
            from training.plan.trees import make as make_trees  # noqa: PLC0415

            make_trees(job, job.order, say)
        case Ensemble():
            from training.plan.ensembles import make as make_ensemble  # noqa: PLC0415

            make_ensemble(job, job.order, say)
        case Network():
            from training.plan.networks import make as make_network  # noqa: PLC0415

            make_network(job, job.order, say)
        case Meta():
            from training.plan.stacks import make as make_meta  # noqa: PLC0415

            make_meta(job, job.order, say)
        case Manager():
            from training.plan.managers import make as make_manager  # noqa: PLC0415

            make_manager(job, job.order, say)
        case other:
            assert_never(other)


def _made_of(job: Job, need: str) -> tuple[str, str]:
    """Give the hashes of a model that this one takes; UsageError where it is not there."""
    record, folder = _record(job, need), job.place.out / need
    if not record.is_file():
        raise UsageError(
            f"expected {need} to be made before; found no record of it in {job.place.work}. "
            f"Make it too: --only {need},{job.order.name}"
        )
    made = msgspec.json.decode(record.read_bytes(), type=Made)
    if made.model_hash and ensemble.verify(folder).get("model_hash") != made.model_hash:
        raise ModelError(
            f"{folder}: expected the {need} that was made ({made.model_hash[:12]}); found another"
        )
    return made.model_hash, made.answers


def _found(job: Job, key: str) -> Made | None:
    """Give the record of a model that was made of the same and is whole."""
    record = _record(job)
    if not record.is_file():
        return None
    made = msgspec.json.decode(record.read_bytes(), type=Made)
    folder, answers = job.place.out / job.order.name, job.place.kept(job.order.name)
    whole = (
        made.key == key
        and (not made.model_hash or ensemble.verify(folder).get("model_hash") == made.model_hash)
        and (not made.answers or (answers.is_file() and _sha256(answers) == made.answers))
    )
    return msgspec.structs.replace(made, found=True) if whole else None


def _looked_at(job: Job, key: str) -> Made:
    """Prove what was made as the daemon will, and give its record."""
    folder, answers = job.place.out / job.order.name, job.place.kept(job.order.name)
    written = not isinstance(job.order, Network) or job.order.ship
    found = ensemble.verify(folder) if written else {"ok": True}
    if not found["ok"]:
        raise ModelError(str(found["error"]))
    return Made(
        name=job.order.name,
        key=key,
        model_hash=str(found.get("model_hash", "")),
        answers=_sha256(answers) if answers.is_file() else "",
        bytes=sum(path.stat().st_size for path in folder.iterdir()) if written else 0,
    )


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _record(job: Job, name: str = "") -> Path:
    return job.place.work / RECORDS / f"{name or job.order.name}.json"


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
