"""Recorded bars of all instruments side by side, as arrays: a value is made only of a bar that is looked at.

Must not know the desk. Called by trader.backtest.run and trader.backtest.sparse. What it gives for an
instant is what feeds.replay gives, for the instruments that are asked for.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from core.market import Bar, Timeframe
from feeds.lake import BarArrays, aggregate

Ints = npt.NDArray[np.int64]
_ABSENT = -1
_COLUMNS = ("ts_open", "open", "high", "low", "close", "volume", "vwap", "trades")
"""Of a bar, in its order."""


class _Frame:
    """One timeframe of all instruments, and where each one's bar of each instant is: [N, T], -1 = none."""

    def __init__(self, series: Sequence[BarArrays], closes: Ints) -> None:
        self.place = np.full((len(series), len(closes)), _ABSENT, np.int32)
        for row, bars in enumerate(series):
            self.place[row, np.searchsorted(closes, bars.ts_close)] = np.arange(len(bars), dtype=np.int32)
        # Numbers of views are Python's own: several times quicker to get than an array's.
        self._place = self.place.data
        self._closes = [bars.close for bars in series]
        self._names = [(bars.instrument, bars.timeframe) for bars in series]
        self._columns = [
            [np.ascontiguousarray(getattr(bars, name)).data for name in _COLUMNS] for bars in series
        ]

    def closes(self, row: int, instants: Ints) -> npt.NDArray[np.float64]:
        place = self.place[row, instants]
        found = np.full(len(place), np.nan)
        there = place != _ABSENT
        found[there] = self._closes[row][place[there]]
        return found

    def bar(self, row: int, instant: int) -> Bar | None:
        place = self._place[row, instant]
        if place == _ABSENT:
            return None
        return Bar(*self._names[row], *[column[place] for column in self._columns[row]])


class Panel:
    """Bars that close in (start, end] at the instants `closes` [T], those of the finest timeframe."""

    def __init__(
        self, source: Sequence[BarArrays], deciding: Sequence[Timeframe], start: int, end: int
    ) -> None:
        """Take whole days of bars, one series an instrument; `deciding` are the traders' timeframes."""
        kept = [bars.between(start, end) for bars in source]
        self.symbols = tuple(bars.instrument for bars in kept)
        self.timeframe = kept[0].timeframe
        self.bars = sum(map(len, kept))
        self.closes = _together([bars.ts_close for bars in kept])
        self._source = _Frame(kept, self.closes)
        self._deciding = {
            timeframe: _Frame([aggregate(bars, timeframe) for bars in kept], self.closes)
            for timeframe in sorted(set(deciding), key=lambda timeframe: timeframe.ns)
        }

    def __len__(self) -> int:
        return len(self.closes)

    def decides(self, timeframe: Timeframe) -> npt.NDArray[np.bool_]:
        """Tell which instruments [N, T] have a bar of a deciding timeframe that closes at each instant."""
        return self._deciding[timeframe].place != _ABSENT

    def prices(self, row: int, instants: Ints) -> npt.NDArray[np.float64]:
        """Give an instrument's last price at each of some instants, NaN where none of its bars closes."""
        return self._source.closes(row, instants)

    def moved(self, rows: Sequence[int], instant: int) -> list[Bar]:
        """Give the finest bars of some instruments that close at an instant, in the order of `rows`."""
        found = (self._source.bar(row, instant) for row in rows)
        return [bar for bar in found if bar is not None]

    def closed(self, rows: Sequence[int], instant: int) -> tuple[Bar, ...]:
        """Give the bars that a trader may decide on, smallest timeframe first."""
        found = (frame.bar(row, instant) for frame in self._deciding.values() for row in rows)
        return tuple(bar for bar in found if bar is not None)


def _together(closes: Sequence[Ints]) -> Ints:
    """Give every instant once; most histories share all of theirs."""
    longest = max(closes, key=len)
    if all(np.array_equal(one, longest) for one in closes):
        return longest
    return np.unique(np.concatenate(closes))
