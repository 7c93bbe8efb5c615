"""One fold, from bars to records: train on what was known, then let the real engine trade the test span.

Must not know other folds or how results are shown. Called by training.walkforward.run, in processes of
its own: everything follows from the job, and a fold's folder is found again by the hash of all that made it.
"""

import hashlib
import resource
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from core.clock import DAY
from core.errors import DataError
from core.market import Timeframe
from core.text import iso
from feeds.lake import BarArrays, Lake, Series, aggregate
from inference import ensemble
from inference.card import Metrics
from inference.ensemble import Ensemble
from inference.features.fold import Folded
from inference.features.spec import SPECS
from trader.backtest.record import Fold, ModelUsed
from trader.backtest.run import run, span_opinions
from trader.config import Config
from training import recipe
from training.alignment import Alignment, align, look_back_ns
from training.dataset import build, fingerprint, joined
from training.folds import Window
from training.labels import BarrierTerms
from training.provenance import Recipe
from training.thresholds import POOLED_SHARE, Tuned, confidence, tune
from training.trades import SCHEDULES, threshold_for
from training.walkforward.desk import acting, desk, only
from training.walkforward.study import Study

DONE = "fold.json"
MODEL = "model"
SETTLE_DAYS = 90
"""Days before the test span whose opinions of a finished model set its threshold, by turnover alone."""
READY_DAYS = 30
"""Days with bars that an instrument must have behind its warm-up before a fold looks at it."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides a fold's result, and where things lie. `code` stands for the program."""

    study: Study
    window: Window
    lake: Path
    desk: Path
    folder: Path
    command: str
    code: str
    fixed: Path | None = None
    """Where the finished model of the study lies, if it is about one."""

    def __str__(self) -> str:
        return f"{self.study.name} fold {self.window.number}"


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What a fold leaves in `fold.json`; records lie beside it, one folder for each schedule.

    `folder` is the fold's own, relative to the job's.
    """

    number: int
    folder: str
    instruments: tuple[str, ...]
    data_hash: str
    folds: dict[str, Fold]
    tuned: dict[str, Tuned]
    alignment: Alignment


class Facts(NamedTuple):
    """What is known of a fold's own model; nothing of a finished one."""

    purged_rows: int = 0
    metrics: dict[str, float | None] = {}  # noqa: RUF012  # never written to


class Reached(msgspec.Struct, frozen=True):
    """A fold that is there, made now or found; `peak_mb` is its process's largest memory so far."""

    done: Done
    made: bool
    peak_mb: int


def work(job: Job) -> Reached:
    """Work a fold off, or find it; DataError for bars that cannot serve it, each other error as it comes."""
    series = eligible(job)
    bars = _read(job, series)
    digest = fingerprint(bars)
    folder = job.folder / f"{job.study.name}-{job.window.number:02}-{_key(job, digest)[:16]}"
    made = not (folder / DONE).is_file()
    if made:
        fresh = folder.with_suffix(".part")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        done = _made(job, series, bars, fresh, name=folder.name, digest=digest)
        (fresh / DONE).write_bytes(msgspec.json.format(msgspec.json.encode(done), indent=1) + b"\n")
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    # Read back even what was made just now: a fold that is found must not differ by so much as 0 and 0.0.
    return Reached(msgspec.json.decode((folder / DONE).read_bytes(), type=Done), made, _peak_mb())


def eligible(job: Job) -> list[Series]:
    """Give the series that were traded in the last day before the test span and had warmed up by then.

    Only what could be known at the test span's start decides; DataError where none qualifies.
    """
    study, window, lake = job.study, job.window, Lake(job.lake)
    wanted = [
        one
        for one in lake.series()
        if one[::2] == (study.venue, study.timeframe)
        and (not study.instruments or one.instrument in study.instruments)
    ]
    first = window.test_start - warm_up_ns(job.study, job.fixed) - READY_DAYS * DAY
    fit = []
    for one in wanted:
        times = lake.read(*one, end=window.test_start).ts_open
        if len(times) and times[0] <= first and times[-1] >= window.test_start - DAY:
            fit.append(one)
    if not fit:
        raise DataError(
            f"{job}: expected {study.venue} {study.timeframe.value} bars from {iso(first)} to "
            f"{iso(window.test_start)} of any instrument; found {len(wanted)} series without them"
        )
    return fit


def warm_up_ns(study: Study, fixed: Path | None) -> int:
    """Give the history that the features need before the first decision, in whole days of ns."""
    needed = look_back_ns(SPECS[study.spec]) if fixed is None else ensemble.load(fixed).warm_up_ns
    return (needed // DAY + 2) * DAY


def _read(job: Job, series: list[Series]) -> list[BarArrays]:
    """Read what the fold may see: from the warm-up of its first row to the end of its test span."""
    start = max(0, job.window.train_start - warm_up_ns(job.study, job.fixed))
    return [Lake(job.lake).read(*one, start=start, end=job.window.test_end) for one in series]


def _key(job: Job, digest: str) -> str:
    """Give the hash of everything that decides the result; places do not."""
    model = "" if job.fixed is None else ensemble.load(job.fixed).model_hash
    told = (job.study, job.window, job.desk.read_bytes(), job.command, job.code, model, digest)
    return hashlib.sha256(msgspec.msgpack.encode(told)).hexdigest()


def _made(
    job: Job, series: list[Series], bars: list[BarArrays], folder: Path, *, name: str, digest: str
) -> Done:
    model = job.fixed or folder / MODEL
    tuned: dict[str, Tuned] = {}
    alignment, facts = Alignment(), Facts()
    if job.fixed is None:
        tuned, alignment, facts = _trained(job, bars, model)
    used = ensemble.load(model)
    instruments = tuple(one.instrument for one in series)
    window = job.window
    folds: dict[str, Fold] = {}
    with only(job.lake, series) as lake:
        config = desk(job.desk, job.study.venue, instruments, model)
        if not tuned:
            tuned = dict.fromkeys(job.study.schedules, _by_turnover(config, lake, window))
        opinions = span_opinions(config, lake, window.test_start, window.test_end)
        for schedule in job.study.schedules:
            chosen = tuned[schedule]
            acted = acting(config, schedule, chosen.threshold)
            result = run(acted, lake, window.test_start, window.test_end, opinions=opinions)
            found = result.record(job.command)
            found.save(folder / schedule)
            folds[schedule] = Fold(
                number=window.number,
                train_start=window.train_start,
                train_end=window.test_start,
                validation_start=window.validation_start,
                test_start=window.test_start,
                test_end=window.test_end,
                purged_rows=facts.purged_rows,
                tuned=_told(chosen),
                models=(_used(config.traders[0].name, used),),
                metrics=facts.metrics | _rests_on(chosen),
            )
    return Done(
        number=window.number,
        folder=name,
        instruments=instruments,
        data_hash=digest,
        folds=folds,
        tuned=tuned,
        alignment=alignment,
    )


def _trained(job: Job, bars: list[BarArrays], out: Path) -> tuple[dict[str, Tuned], Alignment, Facts]:
    """Train on the fold's rows; give thresholds by schedule, what was looked up, and the model's figures."""
    study, window, spec = job.study, job.window, SPECS[job.study.spec]
    seen = [Alignment()]
    others = {one.instrument.partition("/")[0]: one for one in bars}

    def look(one: BarArrays, folded: Folded) -> None:
        histories = {base: _history(others[base], folded) for base in spec.bases if base in others}
        seen[0] += align(folded, {"": _history(one, folded), **histories}, one.instrument)

    terms = BarrierTerms(spec.decision, study.barrier_atr, study.horizon_bars)
    rows = joined(list(build(bars, spec, terms, look)))
    plan = Recipe(
        name=f"{study.name}-{window.number:02}",
        spec=spec,
        venue=study.venue,
        source=study.timeframe,
        terms=terms,
        test_start=window.test_start,
        seed=study.seed,
        max_rows=study.max_rows,
        command=job.command,
        train_start=window.train_start,
        validation_start=window.validation_start,
        test_end=window.test_end,
    )
    trained = recipe.fit(plan, bars, rows, out, lambda _: None)
    tail = trained.validation.outcomes
    tuned = {
        fees.name: tune(tail, trained.p, fees, seed=study.seed)
        for fees in SCHEDULES
        if fees.name in study.schedules
    }
    return tuned, seen[0], _facts(trained, seen[0])


def _history(bars: BarArrays, folded: Folded) -> Mapping[Timeframe, BarArrays]:
    return {block.timeframe: aggregate(bars, block.timeframe) for block, _, _ in folded.placed}


def _facts(trained: recipe.Trained, seen: Alignment) -> Facts:
    card = trained.card
    assert isinstance(card.metrics, Metrics)  # an entry model's
    metrics = {
        "train_rows": card.split.train_rows,
        "validation_rows": card.split.validation_rows,
        "test_rows": card.split.test_rows,
        "rounds": card.parameters["rounds"],
        "auc": card.metrics.auc.value,
        "auc_low": card.metrics.auc.low,
        "auc_high": card.metrics.auc.high,
        "auc_momentum": card.metrics.auc_momentum.value,
        "log_loss_gain": card.metrics.log_loss_gain.value,
        "aligned_rows": seen.rows,
        "aligned_sources": seen.sources,
        "latest_source_ns": seen.latest_ns,
    }
    return Facts(card.split.purged_rows, metrics)


def _by_turnover(config: Config, lake: Path, window: Window) -> Tuned:
    """Give the confidence that a twentieth of the model's opinions before the test span reached."""
    start = window.test_start - SETTLE_DAYS * DAY
    (table,) = span_opinions(config, lake, start, window.test_start).tables.values()
    said = table.usable & (table.ts_close >= start)[:, None]
    if not said.any():
        name = config.traders[0].model.name
        raise DataError(f"expected opinions of {name} before the test span; found none")
    threshold = threshold_for(confidence(table.p[said]), POOLED_SHARE)
    return Tuned(threshold, threshold)


def _told(chosen: Tuned) -> dict[str, float]:
    """Give what was chosen; the same choice under two fee schedules is one trial."""
    told = {"min_confidence": chosen.threshold, "best": chosen.best, "pooled": chosen.pooled}
    return {name: value for name, value in told.items() if value is not None}


def _rests_on(chosen: Tuned) -> dict[str, float | None]:
    return {
        "validation_trades": chosen.trades,
        "validation_utility_bps": chosen.utility_bps,
        "validation_low_bps": chosen.low_bps,
        "pays": float(chosen.pays),
    }


def _used(trader: str, model: Ensemble) -> ModelUsed:
    until = max(member.artifact.card.trained_until for member in model.members)
    return ModelUsed(trader, model.name, model.model_hash, model.decision.value, until)


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
