"""One position's path over minute bars: where its stop, target, time limit or an earlier leaving ends it.

Must not know instruments, models or fees. Called by training.manager.entries (left alone) and
training.manager.policy (acted on), so that both are judged by one walk.
"""

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from feeds.lake import BarArrays

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Sides = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]

STOP, TARGET, TIME, LEFT = 0, 1, 2, 3
"""How a position ended: the stop, the target, the time limit, or because somebody left early."""
HOW = ("stop", "target", "time", "left")
NEVER = -1
"""The minute at which a position is left that nobody leaves."""


class Plans(NamedTuple):
    """Positions of one instrument, one entry each [n], prices in quote currency.

    Entered at the open of minute `first` on `side` (+1 long, -1 short), left at the latest at the open
    of minute `limit`. `stop` and `target` are prices.
    """

    first: Ints
    limit: Ints
    side: Sides
    stop: Floats
    target: Floats

    def only(self, rows: Flags | Ints) -> "Plans":
        """Give some of them."""
        return Plans(self.first[rows], self.limit[rows], self.side[rows], self.stop[rows], self.target[rows])


class Rule(NamedTuple):
    """A stop that moves at each close, in units of R, the distance to the first stop; 0 = it does not.

    `trail`: so far behind the best price seen. `even`: at the entry, once so much was gained.
    """

    trail: float = 0.0
    even: float = 0.0


class Ended(NamedTuple):
    """Minute in which each position ended, its price there, and how (STOP, TARGET, TIME, LEFT)."""

    minute: Ints
    price: Floats
    how: npt.NDArray[np.int8]

    def only(self, rows: Flags | Ints) -> "Ended":
        """Give some of them."""
        return Ended(self.minute[rows], self.price[rows], self.how[rows])


def walk(bars: BarArrays, plans: Plans, leave: Ints | None = None, rule: Rule | None = None) -> Ended:
    """Walk each position over `bars`; `leave` [n] is the minute at whose open it is left, or NEVER.

    A minute that meets stop and target ends at the stop; a gap through the stop ends at the open, one
    through the target at the target. A stop that moves counts from the next minute on.
    """
    left = np.full(len(plans.first), NEVER, np.int64) if leave is None else leave
    trail, even = rule or Rule()
    return Ended(*_walk(bars.open, bars.high, bars.low, tuple(plans), left, trail, even))


@numba.njit(cache=True)
def _walk(opens, highs, lows, plans, leave, trail, even):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    firsts, limits, sides, stops, targets = plans
    n = len(firsts)
    minute, price, how = np.empty(n, np.int64), np.empty(n), np.empty(n, np.int8)
    for i in range(n):
        side, stop, target = sides[i], stops[i], targets[i]
        entry = opens[firsts[i]]
        risk = side * (entry - stop)
        best = entry
        minute[i], price[i], how[i] = limits[i], opens[limits[i]], TIME
        for j in range(firsts[i], limits[i] + 1):
            opened = opens[j]
            if side * (opened - stop) <= 0.0:
                minute[i], price[i], how[i] = j, opened, STOP
                break
            if j == leave[i]:
                minute[i], price[i], how[i] = j, opened, LEFT
                break
            if j == limits[i]:
                break
            worst, top = (lows[j], highs[j]) if side > 0 else (highs[j], lows[j])
            if side * (worst - stop) <= 0.0:
                minute[i], price[i], how[i] = j, stop, STOP
                break
            if side * (top - target) >= 0.0:
                minute[i], price[i], how[i] = j, target, TARGET
                break
            if side * (top - best) > 0.0:
                best = top
            if trail > 0.0 and side * (best - trail * side * risk - stop) > 0.0:
                stop = best - trail * side * risk
            if even > 0.0 and side * (best - entry) >= even * risk and side * (entry - stop) > 0.0:
                stop = entry
    return minute, price, how


def states(bars: BarArrays, plans: Plans, of: Ints, minutes: Ints) -> Floats:
    """Give r_multiple, age_bars, mae_r, mfe_r, side [rows, 5] at the close of `minutes` [rows].

    `of` [rows] is each row's position. As inference.card.POSITION_COLUMNS has them: unrealised result,
    worst (<= 0) and best (>= 0) result so far in R, age in minutes. A position's rows come in time order.
    """
    out: Floats = _states(bars.open, bars.high, bars.low, bars.close, tuple(plans), of, minutes)
    return out


@numba.njit(cache=True)
def _states(opens, highs, lows, closes, plans, of, minutes):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    firsts, _, sides, stops, _ = plans
    out = np.empty((len(of), 5))
    worst = best = 0.0
    seen = position = -1
    for row in range(len(of)):
        i = of[row]
        side, entry = sides[i], opens[firsts[i]]
        risk = side * (entry - stops[i])
        if i != position:
            position, seen, worst, best = i, firsts[i], 0.0, 0.0
        for j in range(seen, minutes[row] + 1):
            low, high = (lows[j], highs[j]) if side > 0 else (highs[j], lows[j])
            worst = min(worst, side * (low - entry) / risk)
            best = max(best, side * (high - entry) / risk)
        seen = minutes[row] + 1
        out[row, 0] = side * (closes[minutes[row]] - entry) / risk
        out[row, 1] = minutes[row] - firsts[i] + 1
        out[row, 2], out[row, 3], out[row, 4] = worst, best, side
    return out
