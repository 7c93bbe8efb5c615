"""All that the models say in a backtest, as arrays: one row per close, one column per instrument.

Must not know how opinions come about or what is done with them. Made by trader.backtest.opinions, by the
cache and by tests; read by the world, one request at a time, and by the sparse run, whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from core.events import Prediction, RequestOpinion
from core.market import Bar, Timeframe
from core.signal import GATES, Filter, Finding, Opinion, Vote
from inference.opinions import UNKNOWN, findings_of, silent

NOT_READY = "features are not warm, not finite, or miss a bar"

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class OpinionTable:
    """One trader's opinions at the closes `ts_close` [T] about `instruments` [N].

    `p` [T, N, 3] is down, hold, up, `scales` [T, N, 3] atr, volatility, close, both 0 where not `usable`;
    `reason` [T, N] counts into `reasons`. `votes` [T, N, M, 5] holds what core.signal.Vote does, for the
    names in `members`, `found` [T, N, F, 2] chance (NaN = none) and age of what is in `filters`; None = they
    were not kept, which no decision can see.
    """

    model_hash: str
    decision: Timeframe
    instruments: tuple[str, ...]
    members: tuple[str, ...]
    ts_close: Ints
    usable: Flags
    reason: Codes
    reasons: tuple[str, ...]
    p: Floats
    scales: Floats
    spread: Floats
    age_s: Floats
    votes: Floats | None = None
    filters: tuple[Filter, ...] = ()
    found: Floats | None = None

    def later(self, bars: int) -> "OpinionTable":
        """Give the table of somebody who hears each opinion so many decision bars later."""
        return replace(self, ts_close=self.ts_close + bars * self.decision.ns)

    def gated(self) -> Flags:
        """Tell which reasons [R] are refusals by the models' own gates."""
        return np.array([reason.partition(":")[0] in GATES for reason in self.reasons], np.bool_)

    def at(self, ts_close: int) -> int:
        """Give the row of a close, -1 if there is none."""
        row = int(np.searchsorted(self.ts_close, ts_close))
        return row if row < len(self.ts_close) and self.ts_close[row] == ts_close else -1

    def opinion(self, row: int, column: int) -> Opinion:
        """Give one opinion as the live source would."""
        name, reason = self.instruments[column], self.reasons[self.reason[row, column]]
        votes: tuple[Vote, ...] = ()
        if self.votes is not None and (self.votes[row, column, :, 3] > 0).any():
            votes = tuple(Vote(*five) for five in self.votes[row, column].tolist())
        findings: tuple[Finding, ...] = ()
        if self.found is not None:
            (findings,) = findings_of(self.found[row, column][None])
        p_down, p_hold, p_up = self.p[row, column].tolist()
        atr, volatility, close = self.scales[row, column].tolist()
        return Opinion(
            name, bool(self.usable[row, column]), p_down, p_hold, p_up, atr, volatility, close, reason, votes,
            float(self.spread[row, column]), float(self.age_s[row, column]), None, findings,
        )  # fmt: skip


class TabledOpinions:
    """Answers requests from tables, by trader: the protocol Opinions of the world."""

    def __init__(self, tables: Mapping[str, OpinionTable]) -> None:
        self.tables = dict(tables)
        self._columns = {
            trader: {name: column for column, name in enumerate(table.instruments)}
            for trader, table in tables.items()
        }

    def later(self, bars: int) -> "TabledOpinions":
        """Give the same opinions, each heard so many decision bars later."""
        return TabledOpinions({trader: table.later(bars) for trader, table in self.tables.items()})

    def on_bars(self, bars: Sequence[Bar]) -> None:
        """Know already: every row was made from bars closed by its own time, and no later one."""

    def answer(self, request: RequestOpinion) -> Prediction:
        """Give the opinions about the bars that closed at the request's instant."""
        table, columns = self.tables[request.trader], self._columns[request.trader]
        row = table.at(request.ts_close)
        opinions = tuple(
            silent(symbol, UNKNOWN if symbol not in columns else NOT_READY)
            if row < 0 or symbol not in columns
            else table.opinion(row, columns[symbol])
            for symbol in request.instruments
        )
        return Prediction(
            ts=0,
            prediction_id=request.prediction_id,
            trader=request.trader,
            ts_close=request.ts_close,
            timeframe=request.timeframe,
            model_hash=table.model_hash,
            opinions=opinions,
            members=table.members,
            filters=table.filters,
        )
