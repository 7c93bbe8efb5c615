"""A whole walk-forward: where its folds lie, working them off side by side, and the records chained.

Must not know the command line or how results are shown. Called by training.walkforward.cli and by tests.
"""

import hashlib
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from core.errors import UsageError
from core.text import iso
from feeds.lake import Lake
from inference import ensemble
from trader.backtest import record as records
from trader.backtest.parallel import each
from trader.backtest.record import RunRecord
from training.folds import Window, month_from, months_before, windows
from training.vault import log as vault
from training.vault.bars import Shut, contents_hash, series_of, shut
from training.walkforward.chain import chain
from training.walkforward.fold import Done, Job, Reached, warm_up_ns, work
from training.walkforward.study import Study, day

PACKAGES = ("core", "feeds", "inference", "risk", "execution", "venue", "trader", "training")

LIBRARIES = ("lightgbm", "numpy", "numba", "onnxmltools", "onnxruntime", "polars")

OnFold = Callable[[int, int], None]
"""Told how many folds of how many are there."""


class Setting(NamedTuple):
    """Where things lie and what the user allows. `opened` is the version that opened the vault, if any."""

    lake: Path
    desk: Path
    base: Path
    """Folder that a study's `fixed` is relative to."""
    folder: Path
    command: str
    workers: int = 1
    vault_log: Path = Path("configs/vault.jsonl")
    opened: str = ""


class Walked(NamedTuple):
    """A finished walk-forward: a record for each schedule, what each fold left, and what was shut away.

    `made` counts folds worked off now, `peak_mb` is the largest memory of any process that did.
    """

    study: Study
    records: dict[str, RunRecord]
    folds: tuple[Done, ...]
    shut: Shut
    opened: str
    made: int
    peak_mb: int


def walk(study: Study, setting: Setting, on_fold: OnFold | None = None) -> Walked:
    """Work a study off; folds that are there already are taken as they are.

    UsageError where not one fold fits before the vault or the vault was not opened as it is asked,
    DataError for bars that cannot serve it.
    """
    series = series_of(setting.lake, study.venue, study.timeframe, study.instruments)
    held = shut(setting.lake, series, months=study.vault_months, start=day(study.vault_start))
    end = held.start
    if setting.opened:
        digest = contents_hash(setting.lake, held)
        vault.require_open(setting.vault_log, setting.opened, data_hash=digest, start=held.start)
        end = held.end
    fixed = (setting.base / study.fixed).resolve() if study.fixed else None
    jobs = [
        Job(
            study=study,
            window=window,
            lake=setting.lake.resolve(),
            desk=setting.desk.resolve(),
            folder=setting.folder.resolve(),
            command=setting.command,
            code=code_hash(versions()),
            fixed=fixed,
        )
        for window in _windows(study, setting.lake, fixed, end)
    ]
    for job in jobs:
        assert job.window.test_end <= end  # the vault is nobody's business
    there: list[Job] = []

    def done(job: Job) -> None:
        there.append(job)
        if on_fold is not None:
            on_fold(len(there), len(jobs))

    reached = each(work, jobs, workers=setting.workers, on_done=done)
    return Walked(
        study,
        {name: _chained(reached, setting.folder, name, setting.command) for name in study.schedules},
        tuple(one.done for one in reached),
        held,
        setting.opened,
        sum(one.made for one in reached),
        max(one.peak_mb for one in reached),
    )


def versions() -> dict[str, str]:
    """Give the version of each library that figures come from."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def code_hash(libraries: Mapping[str, str]) -> str:
    """Give one SHA-256 over program and libraries: a fold made by others is not taken for this one's."""
    root = Path(__file__).parents[2]
    whole = hashlib.sha256(" ".join(f"{name} {libraries[name]}" for name in sorted(libraries)).encode())
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in (".py", ".toml") and path.is_file():
                whole.update(path.relative_to(root).as_posix().encode())
                whole.update(path.read_bytes())
    return whole.hexdigest()


def _windows(study: Study, lake: Path, fixed: Path | None, end: int) -> Sequence[Window]:
    begin = max(_first(study, lake) + warm_up_ns(study, fixed), day(study.start) or 0)
    if fixed is None:
        return windows(study.cutting, begin, end)
    # A finished model is looked at from the end of its own training on, in test spans as the others are.
    until = max(member.artifact.card.trained_until for member in ensemble.load(fixed).members)
    start = month_from(max(until, begin))
    if start >= end:
        raise UsageError(
            f"study {study.name}: expected bars between the model's training, which ends {iso(until)}, and "
            f"the vault at {iso(end)}; found none"
        )
    cutting = msgspec.structs.replace(study.cutting, mode="walk_forward", train_months=1, anchored=False)
    return windows(cutting, months_before(start, 1), end)


def _first(study: Study, lake: Path) -> int:
    """Give the first bar of the instrument that has the longest history."""
    series = series_of(lake, study.venue, study.timeframe, study.instruments)
    return min(int(Lake(lake).read(*one).ts_open[0]) for one in series)


def _chained(reached: Sequence[Reached], folder: Path, schedule: str, command: str) -> RunRecord:
    done = [one.done for one in reached]
    found = [records.load(folder / one.folder / schedule) for one in done]
    return chain(found, [one.folds[schedule] for one in done], command)
