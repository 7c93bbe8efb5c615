"""Opinions that cheat on purpose, so that a check can prove that it would notice.

Must not know verdicts or the desk. Called by trader.evaluation.checks.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from core.clock import HOUR
from feeds.lake import BarArrays, Lake, Series, aggregate
from inference.ensemble import Ensemble
from trader.backtest.opinion_table import NOT_READY, OpinionTable, TabledOpinions
from trader.backtest.schedules import with_schedule
from trader.config import Config

SURE, FAINT = 0.85, 0.4
"""Least chance of the side that the next bar will take: at some closes, and at the others, which are too
faint to be traded on. So most bars are quiet and cheap to replay, yet all opinions cheat."""
MORE, MOVE = 0.1, 0.005
"""What the size of the bar's move adds, and the move of which it adds three quarters: so another bar of
the same side gives another number."""
EVERY = 3
"""Closes from one that is sure to the next; an hour's worth of closes where that is more."""
RANGE_BARS = 14
"""Bars behind the range that stops and targets are measured in."""
_EAGER: Final[dict[str, float]] = {
    "min_confidence": 0.5,
    "min_expected_value": -0.05,
    "max_position_notional": 0.01,
    "max_open_positions": 200,
    "max_trades_per_day": 2_000,
    "max_drawdown": 0.5,
    "max_daily_loss": 0.25,
    "cooldown_s": 0.0,
    "min_hold_s": 0.0,
    "max_hold_bars": 1,
}


def next_bar(
    models: Mapping[str, Ensemble], lake: Lake, series: Sequence[Series], *, start: int, end: int
) -> TabledOpinions:
    """Give every trader the opinion that the next decision bar will go where it goes.

    Scales come from closed bars alone, so what is told about risk is honest; only the side is read from
    the bar that nobody has seen.
    """
    read = {one.instrument: lake.read(*one, start=start, end=end) for one in series}
    return TabledOpinions(
        {
            name: _told(model, {symbol: aggregate(bars, model.decision) for symbol, bars in read.items()})
            for name, model in models.items()
        }
    )


def eager(config: Config) -> Config:
    """Give a configuration that acts on every opinion for one bar, in small positions, without fees.

    A cheat must be able to trade if checks are to catch it by its profit; nothing of it is reported.
    """
    free = with_schedule(config, "gross")
    traders = tuple(
        trader.model_copy(update={"policy": msgspec.structs.replace(trader.policy, **_EAGER)})
        for trader in free.traders
    )
    return free.model_copy(update={"traders": traders})


def _told(model: Ensemble, bars: Mapping[str, BarArrays]) -> OpinionTable:
    closes = np.unique(np.concatenate([one.ts_close for one in bars.values()]))
    shape = (len(closes), len(bars))
    p, scales, usable = np.zeros((*shape, 3)), np.zeros((*shape, 3)), np.zeros(shape, np.bool_)
    for column, one in enumerate(bars.values()):
        rows = np.searchsorted(closes, one.ts_close)
        moves = np.append(np.diff(one.close) / one.close[:-1], 0.0)
        # A hole makes the next row another bar than the next one.
        moves[:-1][np.diff(one.ts_open) != model.decision.ns] = 0.0
        every = max(EVERY, HOUR // model.decision.ns)
        sure = np.where(one.ts_close // model.decision.ns % every == 0, SURE, FAINT)
        sure += MORE * np.tanh(np.abs(moves) / MOVE)
        sides = np.repeat((1.0 - sure[:, None]) / 2.0, 3, axis=1)
        sides[np.arange(len(one)), 1 + np.sign(moves).astype(np.int64)] = sure
        totals = np.cumsum(np.insert(one.high - one.low, 0, 0.0))
        spread = (totals[RANGE_BARS:] - totals[:-RANGE_BARS]) / RANGE_BARS
        ranges = np.concatenate([np.zeros(min(len(one), RANGE_BARS - 1)), spread])[: len(one)]
        p[rows, column] = sides
        scales[rows, column] = np.column_stack([ranges, ranges / one.close, one.close])
        usable[rows, column] = ranges > 0.0
    p[~usable], scales[~usable] = 0.0, 0.0
    return OpinionTable(
        model_hash=model.model_hash,
        decision=model.decision,
        instruments=tuple(bars),
        members=(),
        ts_close=closes,
        usable=usable,
        reason=np.where(usable, 0, 1).astype(np.uint32),
        reasons=("", NOT_READY),
        p=p,
        scales=scales,
        spread=np.zeros(shape),
        age_s=np.zeros(shape),
    )
