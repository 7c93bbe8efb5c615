"""One `backtest run` carried out: every schedule and pair asked for, each with a folder of its own.

Must not know options or how results are printed. Called by trader.commands.backtest.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from core.clock import DAY
from core.errors import UsageError
from core.text import iso
from trader.backtest.opinion_cache import default_folder
from trader.backtest.parallel import each
from trader.backtest.record import RunRecord
from trader.backtest.result import BacktestResult
from trader.backtest.run import run
from trader.backtest.schedules import with_schedule
from trader.config import Config
from trader.evaluation.checks import NAMES, look_ahead
from trader.evaluation.market import read_market
from trader.evaluation.trials import read, record_trial, trial_of
from trader.evaluation.write import Written, keep, write_report
from venue.exchange_fees import SCHEDULES

EVERY = "all"

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None] | None]]
"""Shows a bar: what is counted, and how many of it there are."""


class Wanted(NamedTuple):
    """What was asked for. `start` and `end` are ns UTC; `command` is how to ask for it again."""

    config: Config
    lake: Path
    start: int
    end: int
    command: str
    out: Path
    trials: Path
    schedule: str = ""
    cache: Path | None = None
    memory_mb: int = 2048
    each_pair: bool = False
    dense: bool = False
    checks: bool = False
    bare: bool = False
    pictures: bool = True
    signals: bool = False
    workers: int = 1


class Done(NamedTuple):
    """One run that was made. `written` is None where only the record was asked for.

    `trials` counts what was ever tried on this data, this run among it.
    """

    name: str
    folder: Path
    result: BacktestResult
    record: RunRecord
    written: Written | None
    trials: int


class Job(NamedTuple):
    """One run of those that were asked for, as a worker gets it."""

    wanted: Wanted
    name: str
    config: Config
    command: str


def carry_out(wanted: Wanted, progress: Progress) -> list[Done]:
    """Run and write one folder for each run asked for; raises as `run` does.

    One run shows its days, several are counted; what they find does not depend on `workers`.
    """
    asked = list(jobs(wanted))
    if len(asked) == 1:
        return [_one(asked[0], progress)]
    with progress("runs", len(asked)) as told:
        ended = count(1)
        return each(
            _quietly,
            asked,
            workers=wanted.workers,
            on_done=told and (lambda _: told(next(ended))),
            name=lambda job: job.name,
        )


def run_name(stem: str, config: Config, start: int, end: int) -> str:
    """Give a folder's name that says what was run and is the same for the same run."""
    days = "-".join(iso(ts)[:10].replace("-", "") for ts in (start, end - DAY))
    return f"{stem}-{days}-{config.hash[:8]}"


def jobs(wanted: Wanted) -> Iterator[Job]:
    """Give each run with its name below the folder, its configuration, and its own command."""
    names = list(SCHEDULES) if wanted.schedule == EVERY else [wanted.schedule]
    for schedule in names:
        config = with_schedule(wanted.config, schedule) if schedule else wanted.config
        above = schedule if wanted.schedule == EVERY else ""
        command = wanted.command + (f" --schedule {schedule}" if schedule else "")
        if not wanted.each_pair:
            yield Job(wanted, above, config, command)
            continue
        for instrument in config.universe.instruments:
            name = "/".join(filter(None, (above, instrument.replace("/", "-"))))
            yield Job(wanted, name, alone(config, instrument), f"{command} --each-pair")


def alone(config: Config, instrument: str) -> Config:
    """Give the configuration with one instrument; traders without it are left out, and their accounts.

    Raises UsageError where no trader trades it.
    """
    traders = tuple(
        trader.model_copy(update={"instruments": (instrument,)})
        for trader in config.traders
        if instrument in trader.instruments
    )
    if not traders:
        raise UsageError(f"--each-pair: expected a trader of {instrument}; found none")
    taken = {trader.account for trader in traders}
    accounts = tuple(account for account in config.accounts if account.name in taken)
    universe = config.universe.model_copy(update={"instruments": (instrument,)})
    return config.model_copy(update={"universe": universe, "traders": traders, "accounts": accounts})


def _quietly(job: Job) -> Done:
    return _one(job, lambda _what, _total: nullcontext())


def _one(job: Job, progress: Progress) -> Done:
    wanted = job.wanted
    with progress("days", (wanted.end - wanted.start) // DAY) as told:
        result = run(
            job.config,
            wanted.lake,
            wanted.start,
            wanted.end,
            keep_signals=wanted.signals,
            on_day=told and (lambda ts: told((ts - wanted.start) // DAY)),
            dense=wanted.dense,
            cache=wanted.cache or default_folder(),
            memory_mb=wanted.memory_mb,
        )
    record = result.record(job.command)
    if wanted.checks:
        record = _checked(record, job, progress)
    folder = wanted.out / job.name
    keep(record, folder)
    record_trial(record, wanted.trials)
    counted = read(wanted.trials).family(trial_of(record)).counted
    written = None if wanted.bare else _written(record, folder, wanted, progress)
    return Done(job.name, folder, result, record, written, counted)


def _checked(record: RunRecord, job: Job, progress: Progress) -> RunRecord:
    """Put the verdicts of the look-ahead checks on the card."""
    wanted = job.wanted
    with progress("checks", len(NAMES)) as told:
        begun = count()
        checks = look_ahead(
            job.config,
            wanted.lake,
            wanted.start,
            wanted.end,
            say=(lambda _: told(next(begun))) if told else (lambda _: None),
        )
    card = msgspec.structs.replace(record.card, checks=checks)
    return msgspec.structs.replace(record, card=card)


def _written(record: RunRecord, folder: Path, wanted: Wanted, progress: Progress) -> Written:
    market = read_market(record, wanted.lake)
    with progress("pictures", len(record.card.instruments)) as told:
        return write_report(
            record,
            folder,
            market,
            pictures=wanted.pictures,
            on_picture=told and (lambda done, _: told(done)),
        )


def told(done: Done, *, signals: bool) -> dict[str, Any]:
    """Give what `--json` says of one run."""
    report = done.result.report(signals=signals)
    report["folder"] = str(done.folder)
    report["trials"] = done.trials
    if done.written:
        report["page"] = str(done.written.page)
        report["verdict"] = done.written.figures.verdict
        report["warnings"] = list(done.written.figures.warnings)
        report["figures"] = msgspec.to_builtins(done.written.figures.headline)
        report["evidence"] = msgspec.to_builtins(done.written.figures.evidence)
    return report
