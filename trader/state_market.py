"""The market as the page shows it: newest quotes, closed bars, how old all of it is.

Must not know accounts or orders. A part of trader.state, which feeds it and reads it.
Bars are kept in fixed rings of float64, so that a thousand instruments cost tens of megabytes.
"""

from collections.abc import Iterable
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from core.market import Bar, Quote, Timeframe

CHART_TIMEFRAMES = (Timeframe.M1, Timeframe.M5, Timeframe.M15)
CHART_BARS = 240
_COLUMNS = ("open", "high", "low", "close", "volume")
_MS = 1_000_000


class BarRing:
    """The last bars of one series; a bar that is not newer than the last one is ignored."""

    def __init__(self, length: int = CHART_BARS) -> None:
        self._rows: NDArray[np.float64] = np.zeros((length, len(_COLUMNS)))
        self._opened: NDArray[np.int64] = np.zeros(length, dtype=np.int64)
        self._count = 0
        self._last = -1

    def push(self, bar: Bar) -> None:
        """Append one closed bar."""
        if bar.ts_open <= self._last:
            return
        at = self._count % len(self._opened)
        self._rows[at] = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        self._opened[at] = bar.ts_open
        self._count += 1
        self._last = bar.ts_open

    def columns(self) -> dict[str, list[float] | list[int]]:
        """Give the bars as columns, oldest first; `time` in ms since 1970, for a browser's axis."""
        length = len(self._opened)
        start = self._count % length if self._count > length else 0
        order = (np.arange(min(self._count, length)) + start) % length
        columns: dict[str, list[float] | list[int]] = {"time": (self._opened[order] // _MS).tolist()}
        for index, name in enumerate(_COLUMNS):
            columns[name] = self._rows[order, index].tolist()
        return columns


class MarketBoard:
    """Fold of BarsClosed and Quotes."""

    def __init__(self) -> None:
        self.quotes: dict[str, Quote] = {}
        self.closes: dict[str, float] = {}
        self.closed_at: dict[tuple[str, Timeframe], int] = {}
        self.heard_at = 0
        self._rings: dict[tuple[str, Timeframe], BarRing] = {}

    def on_quotes(self, ts: int, quotes: Iterable[Quote]) -> None:
        """Take the newest best bid and ask."""
        self.heard_at = ts
        for quote in quotes:
            self.quotes[quote.instrument] = quote

    def on_bars(self, ts: int, bars: Iterable[Bar]) -> None:
        """Take bars that closed just now."""
        self.heard_at = ts
        self.on_history(bars)

    def on_history(self, bars: Iterable[Bar]) -> None:
        """Take bars of the past, in time order, without calling the feed alive."""
        for bar in bars:
            series = (bar.instrument, bar.timeframe)
            if bar.ts_close < self.closed_at.get(series, 0):
                continue
            self.closed_at[series] = bar.ts_close
            self.closes[bar.instrument] = bar.close
            if bar.timeframe in CHART_TIMEFRAMES:
                if series not in self._rings:
                    self._rings[series] = BarRing()
                self._rings[series].push(bar)

    def mark(self, instrument: str) -> Decimal | None:
        """Give the mid price, else the last close, else None."""
        quote = self.quotes.get(instrument)
        if quote is not None:
            return quote.mid
        close = self.closes.get(instrument)
        return None if close is None else Decimal(repr(close))

    def marks(self, instruments: Iterable[str]) -> dict[str, Decimal]:
        """Give the marks that are known."""
        known = ((name, self.mark(name)) for name in instruments)
        return {name: mark for name, mark in known if mark is not None}

    def columns(self, instrument: str, timeframe: Timeframe) -> dict[str, list[float] | list[int]]:
        """Give one series for the chart, empty where nothing has closed yet."""
        return self._rings.get((instrument, timeframe), _NOTHING).columns()


_NOTHING = BarRing(1)
