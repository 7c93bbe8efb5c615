"""What became of a long and of a short: result, time held, and how far it went either way meanwhile.

Must not know features, models or files. Called by the targets of this module's outcomes and by whoever
counts money. Reads the future on purpose. Of what happened within one bar the worse is supposed: a stop
comes before a target, the bad extreme before a target, and never the good extreme before a stop.
"""

from typing import NamedTuple

import msgspec
import numba
import numpy as np

from core.market import Timeframe
from feeds.lake import BarArrays
from training.panel.panel import UNKNOWN, Floats, Followed, Ints, Kinds
from training.targets.coming import coming
from training.targets.moves import PERCENT
from training.trades import BPS, FeeSchedule

STOP, TIME, TARGET = 0, 1, 2
LONG, SHORT = 1, -1


class Exits(msgspec.Struct, frozen=True):
    """Where a position ends: so many ATRs from its entry, or after `bars` of `decision`."""

    decision: Timeframe
    stop_atr: float
    target_atr: float
    bars: int

    @property
    def horizon_ns(self) -> int:
        """Time limit in ns."""
        return self.bars * self.decision.ns


class Outcome(NamedTuple):
    """One side of each decision [rows]: NaN, and `ended` UNKNOWN, where the bars do not cover the time limit.

    `gross` is the result, `adverse` and `favourable` the furthest that the price went against and with the
    position (MAE and MFE, not below 0): fractions of the entry price. `held` in ns, whole bars.
    """

    ended: Kinds
    gross: Floats
    held: Ints
    adverse: Floats
    favourable: Floats

    def net_bps(self, fees: FeeSchedule) -> Floats:
        """Give the result after the fees of the round trip, in bps of the entry price."""
        return self.gross / BPS - fees.cost_bps(self.held)


def outcome(bars: BarArrays, ts_close: Ints, atr: Floats, exits: Exits, side: int) -> Outcome:
    """Walk every decision's position, entered at the next open on `side` LONG or SHORT, to its end.

    A stop that the price jumps over fills at the open, a target never better than where it lies.
    """
    ahead = coming(bars, ts_close, exits.horizon_ns)
    known = ahead.whole & (atr > 0)
    # A mirrored price makes a short a long: what is bad for it is low again.
    bad, good = (bars.low, bars.high) if side == LONG else (-bars.high, -bars.low)
    scale = np.where(known, atr, 1.0)
    ended, bars_held, *figures = _walk(
        side * bars.open,
        good,
        bad,
        side * bars.close,
        ahead.first,
        exits.horizon_ns // bars.timeframe.ns,
        np.column_stack([exits.stop_atr * scale, exits.target_atr * scale]),
    )
    held = np.where(known, bars_held, exits.horizon_ns // bars.timeframe.ns) * bars.timeframe.ns
    entry = bars.open[ahead.first]
    gross, adverse, favourable = (np.where(known, value / entry, np.nan) for value in figures)
    return Outcome(np.where(known, ended, UNKNOWN).astype(np.int8), gross, held, adverse, favourable)


@numba.njit(cache=True)
def _walk(opens, goods, bads, closes, entries, steps, distances):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    n = len(entries)
    ended = np.full(n, TIME, np.int8)
    held = np.full(n, steps, np.int64)
    gross, adverse, favourable = np.zeros(n), np.zeros(n), np.zeros(n)
    for i in range(n):
        first = entries[i]
        entry = opens[first]
        stop, target = entry - distances[i, 0], entry + distances[i, 1]
        worst = best = entry
        end = min(first + steps, len(opens))
        leave = closes[end - 1]
        for j in range(first, end):
            jumped = opens[j] <= stop or opens[j] >= target
            if opens[j] <= stop or (bads[j] <= stop and not jumped):
                ended[i], leave = STOP, min(stop, opens[j])
                best = max(best, opens[j])
            elif opens[j] >= target or goods[j] >= target:
                ended[i], leave = TARGET, target
                worst = min(worst, opens[j] if jumped else bads[j])
            else:
                worst, best = min(worst, bads[j]), max(best, goods[j])
                continue
            held[i] = j - first + 1
            break
        worst, best = min(worst, leave), max(best, leave)
        gross[i], adverse[i], favourable[i] = leave - entry, entry - worst, best - entry
    return ended, held, gross, adverse, favourable


class StopOrTarget(msgspec.Struct, frozen=True):
    """Which comes first to a position of one side, its stop or its target; value is its result in percent."""

    name: str
    exits: Exits
    side: int

    @property
    def classes(self) -> tuple[str, ...]:
        return ("stop", "time", "target")

    @property
    def horizon_ns(self) -> int:
        return self.exits.horizon_ns

    def bounds(self, values: Floats) -> tuple[float, ...]:
        return ()

    def followed(self, bars: BarArrays, ts_close: Ints, atr: Floats) -> Followed:
        found = outcome(bars, ts_close, atr, self.exits, self.side)
        return Followed(found.ended, PERCENT * found.gross, ts_close + found.held)


class Excursion(msgspec.Struct, frozen=True):
    """How far the price goes against (`adverse`) or with a position until it ends, in percent; a number."""

    name: str
    exits: Exits
    side: int
    adverse: bool

    @property
    def classes(self) -> tuple[str, ...]:
        return ()

    @property
    def horizon_ns(self) -> int:
        return self.exits.horizon_ns

    def bounds(self, values: Floats) -> tuple[float, ...]:
        return ()

    def followed(self, bars: BarArrays, ts_close: Ints, atr: Floats) -> Followed:
        found = outcome(bars, ts_close, atr, self.exits, self.side)
        value = PERCENT * (found.adverse if self.adverse else found.favourable)
        return Followed(np.full(len(value), UNKNOWN, np.int8), value, ts_close + found.held)
