"""Runs in folders put to the verdict, beside everything that the ledger of trials knows.

Must not know the command line or statistics. Called by training.significance.cli and by tests.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.clock import DAY
from core.errors import DataError
from core.market import Timeframe
from trader.backtest.record import RunCard, RunRecord, load
from trader.evaluation.daily import daily_returns
from trader.evaluation.significance import Significance
from trader.evaluation.trials import Ledger, Trial, trial_of
from trader.evaluation.words import out_of_sample
from training.random_strategies import random_twin
from training.significance.closes import Closes, Trades, daily, hold, read_closes
from training.significance.judge import judge

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TWIN_DRAWS = 200
FINEST = Timeframe.M5
"""Prices for random entry need not be finer: an entry somewhere else is not made better by a minute."""


_LONG = frozenset({"buy", "long"})


class Run(NamedTuple):
    """A run's folder, what is in it, and its line in the ledger."""

    folder: Path
    record: RunRecord
    trial: Trial


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read folders; DataError in one line for one that is none."""
    records = [(folder, load(folder)) for folder in folders]
    return [Run(folder, record, trial_of(record)) for folder, record in records]


def judge_runs(
    runs: Sequence[Run],
    ledger: Ledger,
    lake: Path,
    *,
    seed: int = 0,
    told: Callable[[str], None] = lambda _: None,
) -> list[Significance]:
    """Judge each run against luck; all runs given count as trials of each other, and the ledger's as well."""
    found = []
    for run in runs:
        told(f"{run.folder.name}: {len(run.record.trips)} round trips against luck")
        found.append(_judged(run, runs, ledger, lake, seed))
    return found


def trades_of(record: RunRecord, closes: Closes) -> tuple[Trades, Ints]:
    """Give a run's round trips on the grid of `closes`, and the groups in which they never overlap.

    Trips that opened before the grid begins are left out. Weight is the notional at the entry over all equity
    at the start of that day; cost is all that the trip paid (fees, margin fees, slippage) over that notional.
    """
    card = record.card
    column = {name: place for place, name in enumerate(closes.instruments)}
    equity = float(sum(card.cash.values())) * np.cumprod(np.append(1.0, 1.0 + daily_returns(record)))
    trips = [trip for trip in record.trips if trip.instrument in column and trip.opened >= closes.start]
    trips = [trip for trip in trips if trip.quantity * trip.entry > 0]
    named = sorted({(trip.account, trip.instrument) for trip in trips})
    group = {name: number for number, name in enumerate(named)}
    last = len(closes.price) - 1
    entry = np.array([(trip.opened - closes.start) // closes.step for trip in trips], np.int64).clip(
        0, last - 1
    )
    length = np.array([round((trip.closed - trip.opened) / closes.step) for trip in trips], np.int64).clip(1)
    notional = np.array([float(trip.quantity * trip.entry) for trip in trips])
    day = np.array([(trip.opened - card.start) // DAY for trip in trips], np.int64).clip(0, len(equity) - 1)
    paid = np.array([float(trip.fees + trip.margin_fees + trip.slippage) for trip in trips])
    before = np.maximum(equity[day], 1e-12)
    made = Trades(
        instrument=np.array([column[trip.instrument] for trip in trips], np.int64),
        entry=entry,
        exit=np.minimum(entry + length, last),
        side=np.array([1.0 if trip.side in _LONG else -1.0 for trip in trips]),
        weight=notional / before,
        cost=paid / notional,
    )
    return made, np.array([group[trip.account, trip.instrument] for trip in trips], np.int64)


def _judged(run: Run, runs: Sequence[Run], ledger: Ledger, lake: Path, seed: int) -> Significance:
    card = run.record.card
    fresh = out_of_sample(card)
    # What a model has seen says nothing; where it has seen everything, the figures are given and do not pass.
    start, end = (fresh[0][0] if fresh else card.start), card.end
    mine = _between(daily_returns(run.record), card, start, end)
    family = ledger.family(run.trial)
    beside = {
        one.trial.key: _between(daily_returns(one.record), one.record.card, start, end)
        for one in runs
        if one.trial.key != run.trial.key and one.trial.shares(run.trial) and one.trial.covers(run.trial)
    }
    for trial in family.compared:
        if trial.key not in beside:
            beside[trial.key] = ledger.returns(trial, start=start, end=end)
    members = {one.key for one in ledger.trials if one.shares(run.trial)}
    members |= {one.trial.key for one in runs if one.trial.shares(run.trial)}
    counted = len(members | {run.trial.key})
    closes = _closes(card, lake, start)
    trades, groups = trades_of(run.record, closes)
    twin = np.zeros(len(mine))
    if len(groups):
        rng = np.random.default_rng([seed, len(groups)])
        twin = np.subtract(*daily(random_twin(trades, groups, closes, rng, TWIN_DRAWS), closes))
    notes = [] if ledger.torn is None else [ledger.torn]
    if start > card.start:
        notes.append(f"{(start - card.start) // DAY} days on which a model was trained are left out")
    if counted > 1 + len(beside):
        notes.append(
            f"{counted - 1 - len(beside)} trials of other spans or schedules are counted, not compared"
        )
    return judge(
        mine,
        np.array([*beside.values()]).reshape(-1, len(mine)),
        counted=counted,
        market=hold(closes),
        twin=twin,
        trips=len(groups),
        config_hash=card.config_hash,
        schedule=card.schedule,
        seed=seed,
        in_sample=not fresh,
        notes=tuple(notes),
    )


def _closes(card: RunCard, lake: Path, start: int) -> Closes:
    try:
        source = Timeframe(card.timeframe)
    except ValueError as wrong:
        raise DataError(
            f"run {card.config_hash[:12]}: expected a timeframe; found {card.timeframe!r}"
        ) from wrong
    grid = max(source, FINEST, key=lambda one: one.ns)
    return read_closes(
        lake, venue=card.venue, timeframe=grid, instruments=card.instruments, start=start, end=card.end
    )


def _between(returns: Floats, its: RunCard, start: int, end: int) -> Floats:
    return returns[(start - its.start) // DAY : (end - its.start) // DAY]
