"""Simulated entries: what a desk would have held that followed an entry model out of fold.

Must not know features, the manager or fees. Called by training.manager.recipe with answers that no fit had
seen (training.members.kept) and the minutes of the same instruments. One position an instrument at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import MINUTE, SECOND
from core.errors import DataError
from feeds.lake import BarArrays
from training.labels import DOWN, UP
from training.manager.walk import Ended, Flags, Floats, Ints, Plans, Sides, walk
from training.members.kept import TEST, Kept
from training.trades import BPS, threshold_for


class TradeTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a position is opened and left alone; the distances are risk.policy's defaults, in ATRs.

    `share` of the out-of-fold answers are confident enough to enter on: a turnover, not a tuned profit.
    """

    stop_atr: float = 2.0
    target_atr: float = 3.0
    max_hold_s: int = 6 * 3600
    cooldown_s: int = 900
    share: float = 0.2


@dataclass(frozen=True, eq=False)
class Trades:
    """Positions [n], instrument by instrument, each in time order. Times in ns, prices in quote currency.

    `first`, `limit` and `minute` count the instrument's minutes: entry at the open of `first`, end in
    `minute`. `fold` is that of the answer (training.members.kept.TEST for the test span).
    """

    instrument: npt.NDArray[np.int32]
    fold: npt.NDArray[np.int8]
    ts: Ints
    first: Ints
    limit: Ints
    side: Sides
    entry: Floats
    stop: Floats
    target: Floats
    minute: Ints
    price: Floats
    how: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.ts)

    def only(self, picked: Flags | Ints) -> "Trades":
        """Give some of them."""
        return Trades(*(getattr(self, field.name)[picked] for field in fields(self)))

    def plans(self, rows: Flags | Ints) -> Plans:
        """Give what some of them, of one instrument, were meant to be."""
        return Plans(*(getattr(self, name)[rows] for name in Plans._fields))

    @property
    def gross_bps(self) -> Floats:
        """Result before fees in bps of the entry's notional."""
        return self.side * (self.price / self.entry - 1.0) / BPS

    @property
    def r(self) -> Floats:
        """Result before fees in R, the distance to the first stop."""
        return self.side * (self.price - self.entry) / np.abs(self.entry - self.stop)

    @property
    def held(self) -> Ints:
        """Whole minutes held, in ns."""
        return (self.minute - self.first) * MINUTE


def threshold(answers: Kept, share: float) -> float:
    """Give the |p_up - p_down| that `share` of the out-of-fold rows reach; the test span has no say."""
    known = answers.fold != TEST
    if not known.any():
        raise DataError("entries: expected answers out of fold before the test span; found none")
    return threshold_for(lean(answers)[known], share)


def lean(answers: Kept) -> Floats:
    """Give p_up - p_down [rows]."""
    found: Floats = answers.p[:, UP].astype(np.float64) - answers.p[:, DOWN]
    return found


def simulate(answers: Kept, series: Sequence[BarArrays], terms: TradeTerms, least: float) -> Trades:
    """Enter at the open of the minute after each answer with |p_up - p_down| >= `least`, on its side.

    `series` are the minutes of `answers.subject.instruments`, in that order. No position whose whole
    time is not covered by minutes, also not one that would have ended before the hole.
    """
    score = lean(answers)
    parts = []
    for number, bars in enumerate(series):
        rows = np.flatnonzero((answers.instrument == number) & (np.abs(score) >= least) & (answers.atr > 0))
        wanted = _planned(answers, rows, score, bars, terms)
        parts.append(_held(wanted, number, bars, terms))
    return _joined(parts)


def _planned(
    answers: Kept, rows: Ints, score: Floats, bars: BarArrays, terms: TradeTerms
) -> tuple[Plans, npt.NDArray[np.int8]]:
    """Give every position that could be opened, whatever is open already, and the folds of the answers."""
    steps = terms.max_hold_s * SECOND // MINUTE
    first = np.searchsorted(bars.ts_open, answers.ts[rows])
    last = np.minimum(first + steps, len(bars) - 1)
    there = bars.ts_open[np.minimum(first, len(bars) - 1)] == answers.ts[rows]
    whole = there & (bars.ts_open[last] - answers.ts[rows] == steps * MINUTE)
    rows, first = rows[whole], first[whole]
    side = np.where(score[rows] > 0, 1, -1).astype(np.int8)
    entry, atr = bars.open[first], answers.atr[rows]
    stop, target = entry - side * terms.stop_atr * atr, entry + side * terms.target_atr * atr
    possible = (stop > 0) & (target > 0)
    plans = Plans(first, first + steps, side, stop, target)
    return plans.only(possible), answers.fold[rows][possible]


def _held(
    wanted: tuple[Plans, npt.NDArray[np.int8]], number: int, bars: BarArrays, terms: TradeTerms
) -> Trades:
    """Keep one position at a time, and none so soon after another."""
    plans, fold = wanted
    ended = walk(bars, plans)
    pause = terms.cooldown_s * SECOND // MINUTE
    taken, free = [], 0
    for row, (first, last) in enumerate(zip(plans.first.tolist(), ended.minute.tolist(), strict=True)):
        if first >= free:
            taken.append(row)
            free = last + 1 + pause
    rows = np.array(taken, np.int64)
    return _trades(plans.only(rows), ended.only(rows), fold[rows], number, bars)


def _trades(plans: Plans, ended: Ended, fold: npt.NDArray[np.int8], number: int, bars: BarArrays) -> Trades:
    return Trades(
        instrument=np.full(len(fold), number, np.int32),
        fold=fold,
        ts=bars.ts_open[plans.first],
        first=plans.first,
        limit=plans.limit,
        side=plans.side,
        entry=bars.open[plans.first],
        stop=plans.stop,
        target=plans.target,
        minute=ended.minute,
        price=ended.price,
        how=ended.how,
    )


def _joined(parts: Sequence[Trades]) -> Trades:
    whole = Trades(
        *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Trades))
    )
    if not len(whole):
        raise DataError("entries: expected positions that an entry model would have opened; found none")
    return whole
