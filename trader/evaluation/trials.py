"""The ledger of trials: one line for everything that was ever tried, so that nobody counts too few.

Must not know statistics or how runs are made. Written by `trader backtest run` and `training walkforward`
through `record_trial`, read by training.significance.

**What counts.** A trial is one strategy on one span of data: the configuration without what the venue
charges and how it behaves, the models by hash, the bars by hash, venue, instruments, first and last day.
The same content counts once, however often it is run; under another fee schedule it has a line of its
own and still counts once, for nobody chooses among fees. Anything else that was looked at counts, good or
bad, traded or not, and so does the same strategy on another span. A walk-forward run is one trial, its
folds are not.

**Family.** Trials that saw a day of the same instruments at the same venue. All of a family count against
a run; those that cover its whole span under its fee schedule also lend their daily returns.

**On disk.** JSON lines, only ever appended to, each in one write and synced, under a lock; daily returns
beside it in `<ledger>.series/<sha256>.f64` (little-endian), written first, so no line names a file that
never was. A crash can leave an unfinished last line: readers name it and go on, the next writer takes it
away, for it was never acknowledged. Any other unreadable line is a DataError: something else has been at it.
"""

import fcntl
import hashlib
import os
from pathlib import Path
from typing import IO, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.clock import DAY
from core.errors import DataError
from trader.backtest.record import RunRecord
from trader.evaluation.daily import daily_returns

LEDGER = Path("_exp/trials.jsonl")
_COSTS = frozenset({"taker_fee", "maker_fee"})

Floats = NDArray[np.float64]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `key` is what counts, `series` the SHA-256 of `days` daily returns from `start` (ns) on."""

    schema: int = 1
    key: str
    config_hash: str
    models: tuple[str, ...]
    data_hash: str
    venue: str
    instruments: tuple[str, ...]
    start: int
    end: int
    schedule: str
    days: int
    trips: int
    series: str

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes two lines the same."""
        return self.key, self.schedule, self.series

    def shares(self, other: "Trial") -> bool:
        """Tell whether both saw a day of an instrument at one venue."""
        overlap = self.start < other.end and other.start < self.end
        return (
            overlap and self.venue == other.venue and not set(self.instruments).isdisjoint(other.instruments)
        )

    def covers(self, other: "Trial") -> bool:
        """Tell whether its returns can stand beside those of the other."""
        return self.start <= other.start and self.end >= other.end and self.schedule == other.schedule


class Family(NamedTuple):
    """All that counts against one trial, and the trials whose daily returns cover its span."""

    counted: int
    compared: tuple[Trial, ...]


class Ledger(msgspec.Struct, frozen=True):
    """A ledger as read. `torn` names an unfinished last line, if there is one."""

    path: Path
    trials: tuple[Trial, ...]
    torn: str | None = None

    def family(self, trial: Trial) -> Family:
        """Give the family of a trial; the trial itself is a member, whether its line is there or not."""
        members = [one for one in self.trials if one.shares(trial)]
        covering = {one.key: one for one in members if one.covers(trial) and one.key != trial.key}
        return Family(len({trial.key, *(one.key for one in members)}), (*covering.values(),))

    def returns(self, trial: Trial, *, start: int, end: int) -> Floats:
        """Give a trial's daily returns in [start, end), ns; DataError if its file was changed or lost."""
        path = _series(self.path, trial.series)
        try:
            raw = path.read_bytes()
        except OSError as wrong:
            raise DataError(
                f"{path}: expected the daily returns of trial {trial.key[:12]}; {wrong}"
            ) from wrong
        if (found := hashlib.sha256(raw).hexdigest()) != trial.series:
            raise DataError(f"{path}: expected SHA-256 {trial.series[:12]}; found {found[:12]}")
        days = np.frombuffer(raw, "<f8").astype(np.float64)
        return days[(start - trial.start) // DAY : (end - trial.start) // DAY]


def trial_of(record: RunRecord) -> Trial:
    """Give the line that a run has or would have."""
    card = record.card
    models = tuple(sorted(f"{used.trader}:{used.model_hash}" for used in card.models))
    fitted = [sorted(f"{used.trader}:{used.model_hash}" for used in fold.models) for fold in card.folds]
    tuned = [fold.tuned for fold in card.folds]
    instruments = tuple(sorted(card.instruments))
    tried = [_without_costs(card.config), models, fitted, tuned, card.data_hash, card.venue, instruments]
    body = msgspec.json.encode([*tried, card.timeframe, card.start, card.end], order="sorted")
    returns = daily_returns(record)
    return Trial(
        key=hashlib.sha256(body).hexdigest(),
        config_hash=card.config_hash,
        models=models,
        data_hash=card.data_hash,
        venue=card.venue,
        instruments=instruments,
        start=card.start,
        end=card.end,
        schedule=card.schedule,
        days=len(returns),
        trips=len(record.trips),
        series=hashlib.sha256(_bytes(returns)).hexdigest(),
    )


def record_trial(record: RunRecord, ledger: Path = LEDGER) -> bool:
    """Append a run's line unless it is there; tell whether it was new. Safe beside other writers."""
    trial = trial_of(record)
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known, whole = _lines(ledger, file.read())
        if trial.identity in {one.identity for one in known}:
            return False
        _keep(_series(ledger, trial.series), _bytes(daily_returns(record)))
        file.truncate(whole)
        _append(file, msgspec.json.encode(trial) + b"\n")
    return True


def read(ledger: Path = LEDGER) -> Ledger:
    """Read a ledger; one that is not there has no trials. DataError for a line that is none."""
    raw = ledger.read_bytes() if ledger.exists() else b""
    trials, whole = _lines(ledger, raw)
    rest = len(raw) - whole
    torn = f"{ledger}: line {len(trials) + 1} is unfinished ({rest} bytes); left out" if rest else None
    return Ledger(ledger, trials, torn)


def _lines(ledger: Path, raw: bytes) -> tuple[tuple[Trial, ...], int]:
    """Give the finished lines, and the bytes that they take."""
    whole = raw.rfind(b"\n") + 1
    trials = []
    for number, line in enumerate(raw[:whole].splitlines(), 1):
        try:
            trials.append(msgspec.json.decode(line, type=Trial))
        except msgspec.DecodeError as wrong:
            raise DataError(f"{ledger}: line {number}: expected a trial; {wrong}") from wrong
    return tuple(trials), whole


def _append(file: IO[bytes], line: bytes) -> None:
    file.write(line)
    file.flush()
    os.fsync(file.fileno())


def _keep(path: Path, content: bytes) -> None:
    """Write a file named by its content: beside, synced, then moved into place."""
    if path.exists():
        return
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    with part.open("wb") as file:
        _append(file, content)
    part.replace(path)


def _series(ledger: Path, digest: str) -> Path:
    return ledger.with_name(f"{ledger.name}.series") / f"{digest}.f64"


def _bytes(returns: Floats) -> bytes:
    return returns.astype("<f8").tobytes()


def _without_costs(value: object) -> object:
    """Give a configuration without the exchange's table and the fees that policies are charged with."""
    if isinstance(value, dict):
        named = {key: _without_costs(part) for key, part in value.items() if key not in _COSTS}
        return {key: part for key, part in named.items() if key != "exchange"}
    if isinstance(value, list | tuple):
        return [_without_costs(part) for part in value]
    return value
