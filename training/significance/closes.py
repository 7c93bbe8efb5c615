"""Prices on one grid, positions held between its points, and what they return a day.

Must not know strategies, runs or tests. Called by training.significance and training.random_strategies.
This is arithmetic on closes, not the engine: a trade enters and leaves at a close, and its costs are one
number. It judges thousands of made strategies in the time in which the engine runs one; what a run earned
always comes from the engine.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.clock import DAY
from core.errors import DataError
from core.market import Timeframe
from core.text import iso
from feeds.lake import BarArrays, Lake, Series, aggregate

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Closes(NamedTuple):
    """Prices [rows, N] at whole steps of ns from `start`, row 0 at the open of the first bar.

    An instrument without a bar keeps its last price; before its first one it has that one's open.
    """

    instruments: tuple[str, ...]
    start: int
    step: int
    price: Floats

    @property
    def days(self) -> int:
        """Whole days."""
        return (len(self.price) - 1) * self.step // DAY

    @property
    def ends(self) -> Ints:
        """The row at the start, and at each midnight after it: [days + 1]."""
        return np.arange(self.days + 1) * (DAY // self.step)


class Trades(NamedTuple):
    """Positions [n]: instrument (column), rows of entry and exit, side +1 or -1, weight, cost.

    `weight` is the notional at entry as a fraction of equity, `cost` what the round trip pays as a fraction
    of its notional, half of it on the day of the entry and half on that of the exit.
    """

    instrument: Ints
    entry: Ints
    exit: Ints
    side: Floats
    weight: Floats
    cost: Floats


def read_closes(
    root: Path,
    *,
    venue: str,
    timeframe: Timeframe,
    instruments: Sequence[str] = (),
    start: int | None = None,
    end: int | None = None,
) -> Closes:
    """Read closes of a lake on the grid of `timeframe`, from bars as fine as that or finer.

    Without instruments all of the venue that have such bars; without dates the whole days that all of
    them share. DataError if there are none.
    """
    lake = Lake(root)
    known = [one for one in lake.series() if one.venue == venue and timeframe.ns % one.timeframe.ns == 0]
    finest: dict[str, Series] = {}
    for one in known:  # the coarsest that will do: fewer rows, the same closes
        kept = finest.get(one.instrument)
        if kept is None or one.timeframe.ns > kept.timeframe.ns:
            finest[one.instrument] = one
    wanted = tuple(instruments) or tuple(finest)
    if missing := [name for name in wanted if name not in finest]:
        raise DataError(
            f"{root}: expected {venue} bars of {', '.join(missing)} in {timeframe.value}; found none"
        )
    if not wanted:
        raise DataError(f"{root}: expected bars of {venue} in {timeframe.value} or finer; found none")
    bars = [aggregate(lake.read(*finest[name], start=start, end=end), timeframe) for name in wanted]
    if empty := [name for name, one in zip(wanted, bars, strict=True) if not len(one)]:
        raise DataError(f"{root}: expected {venue} bars of {', '.join(empty)} in the span; found none")
    first = start if start is not None else -(-max(int(one.ts_open[0]) for one in bars) // DAY) * DAY
    last = end if end is not None else min(int(one.ts_close[-1]) for one in bars) // DAY * DAY
    if last - first < DAY:
        raise DataError(
            f"{root}: expected a day that all instruments share; found {iso(first)} to {iso(last)}"
        )
    # Counted in rows: arange over ns measures its length in doubles and loses the last of them.
    times = first + np.arange((last - first) // timeframe.ns + 1) * timeframe.ns
    price = np.stack([_at(one, times) for one in bars], axis=1)
    return Closes(wanted, first, timeframe.ns, price)


def daily(trades: Trades, closes: Closes) -> tuple[Floats, Floats]:
    """Give what trades earn by prices and what they pay, each [days], as fractions of equity.

    The quantity stays as it was at the entry; equity is that of the moment, so days compound.
    """
    ends, days = closes.ends, closes.days
    last = int(ends[-1])
    entry, leave = np.minimum(trades.entry, last), np.minimum(trades.exit, last)
    first = np.minimum(np.searchsorted(ends, entry, side="right") - 1, days - 1)
    final = np.maximum(np.searchsorted(ends, leave, side="left") - 1, first)
    spans = final - first + 1
    of = np.repeat(np.arange(len(entry)), spans)
    day = np.arange(len(of)) - np.repeat(np.cumsum(spans) - spans, spans) + first[of]
    begin = np.maximum(entry[of], ends[day])
    finish = np.minimum(leave[of], ends[day + 1])
    column = trades.instrument[of]
    moved = closes.price[np.maximum(finish, begin), column] - closes.price[begin, column]
    earned = trades.weight[of] * trades.side[of] * moved / closes.price[entry[of], column]
    half = trades.weight * trades.cost / 2
    gross, began, ended = (
        np.bincount(at, amount, minlength=days).astype(np.float64)
        for at, amount in ((day, earned), (first, half), (final, half))
    )
    return gross, began + ended


def hold(closes: Closes) -> Floats:
    """Give the daily returns of holding all instruments with equal cash from the start, before fees."""
    equity = (closes.price[closes.ends] / closes.price[0]).mean(axis=1)
    return np.asarray(equity[1:] / equity[:-1] - 1.0)


def _at(bars: BarArrays, times: Ints) -> Floats:
    at = np.searchsorted(bars.ts_close, times, side="right") - 1
    found = np.where(at >= 0, bars.close[np.maximum(at, 0)], bars.open[0])
    return np.asarray(found, np.float64)
