"""What trading on a score would have earned: one position per instrument at a time, fees after.

Must not know models or features. Called by training.evaluate. A plain reading of the labels, not
the backtest: no sizing, no portfolio limits, fills at the next open, the barrier or the time limit.
"""

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from core.clock import HOUR
from venue import exchange_fees
from venue.exchange_positions import MarginRules

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

BPS = 1e-4


class FeeSchedule(msgspec.Struct, frozen=True):
    """Taker fee of each side, and the margin fee taken at opening and per four hours held, in bps."""

    name: str
    taker_bps: float
    margin_bps: float = 0.0

    def cost_bps(self, held: Times) -> Floats:
        """Give the cost of round trips that lasted `held` ns; both sides take liquidity."""
        rollovers = (held // (4 * HOUR)).astype(np.float64)
        return 2 * self.taker_bps + self.margin_bps * (1.0 + rollovers)


_MARGINED = "kraken"  # docs/labels.md: the others compare the models' edge with a taker's rate alone
SCHEDULES = tuple(
    FeeSchedule(
        name,
        float(schedule.fees.taker * 10_000),
        margin_bps=float(MarginRules().rate("USD") * 10_000) if name == _MARGINED else 0.0,
    )
    for name, schedule in exchange_fees.SCHEDULES.items()
)


@dataclass(frozen=True)
class Outcomes:
    """What each row would have led to; rows of one instrument are in time order."""

    instrument: npt.NDArray[np.int32]
    ts: Times
    ts_end: Times
    long_return: Floats
    short_return: Floats


@dataclass(frozen=True)
class Trades:
    """Round trips: day of entry (days since 1970), time held in ns, result before fees in bps."""

    day: Times
    held: Times
    gross_bps: Floats


def take(outcomes: Outcomes, score: Floats, threshold: float) -> Trades:
    """Trade rows with |score| >= threshold in the direction of its sign, unless a trade is open."""
    wanted = np.flatnonzero((np.abs(score) >= threshold) & (score != 0))
    busy_until: dict[int, int] = {}
    taken = []
    for row in wanted.tolist():
        instrument = int(outcomes.instrument[row])
        if outcomes.ts[row] >= busy_until.get(instrument, 0):
            busy_until[instrument] = int(outcomes.ts_end[row])
            taken.append(row)
    rows = np.array(taken, np.int64)
    result = np.where(score[rows] > 0, outcomes.long_return[rows], outcomes.short_return[rows])
    return Trades(
        day=outcomes.ts[rows] // (24 * HOUR),
        held=outcomes.ts_end[rows] - outcomes.ts[rows],
        gross_bps=result / BPS,
    )


def threshold_for(score: Floats, share: float) -> float:
    """Give the |score| that `share` of the rows reach: a turnover, not a tuned profit."""
    return float(np.quantile(np.abs(score), 1.0 - share))
