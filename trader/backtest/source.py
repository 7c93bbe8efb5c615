"""The recorded bars of one run: read once where memory allows it, else again and again, pair by pair.

Must not know models or the desk. Made by trader.backtest.run.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np

from core.clock import DAY
from core.errors import DataError
from core.market import Timeframe
from feeds.lake import BarArrays, Lake, Series, aggregate
from trader.backtest.panel import Panel
from trader.config import Config
from venue.exchange_listing import listed

_FEW = 3
"""Histories held where bars are not kept: the pair in hand and those that features refer to."""
_HASHED = ("ts_open", "open", "high", "low", "close", "volume", "vwap", "trades")


class GridLake(Lake):
    """A lake whose prices come back on each instrument's grid, as the live feed gives them."""

    def __init__(self, root: Path, config: Config) -> None:
        super().__init__(root)
        self._grids = {i.symbol: i.price_increment for i in listed(config.universe.instruments).values()}

    def read(
        self,
        venue: str,
        instrument: str,
        timeframe: Timeframe,
        *,
        start: int | None = None,
        end: int | None = None,
        price_increment: Decimal | None = None,
    ) -> BarArrays:
        """Read as Lake does, on the grid that the exchange model lists."""
        grid = price_increment or self._grids.get(instrument)
        return super().read(venue, instrument, timeframe, start=start, end=end, price_increment=grid)


class Recorded:
    """The bars of [since, end), ns UTC in whole days, one series an instrument.

    With `keep` they stay in memory; without, each look reads its part of the files.
    """

    def __init__(self, lake: Lake, series: Sequence[Series], since: int, end: int, *, keep: bool) -> None:
        self.series = tuple(series)
        self.since, self.end = since, end
        self._lake = lake
        self.keeps = keep
        self._kept: dict[Series, BarArrays] = {}

    @property
    def symbols(self) -> tuple[str, ...]:
        """The instruments in their order."""
        return tuple(one.instrument for one in self.series)

    def bars(self, one: Series, start: int, end: int) -> BarArrays:
        """Give the bars of one series that open in [start, end)."""
        if not self.keeps:
            return self._lake.read(*one, start=start, end=end)
        if one not in self._kept:
            self._kept[one] = self._lake.read(*one, start=self.since, end=self.end)
        return self._kept[one].between(start, end)

    def histories(self, timeframes: Sequence[Timeframe]) -> "Histories":
        """Give all bars by instrument and timeframe, made when they are asked for."""
        return Histories(self, timeframes)

    def panels(self, start: int, deciding: Sequence[Timeframe], *, days: int) -> Iterator[Panel]:
        """Give [start, end) in panels of so many days, in time order; those without bars are left out."""
        for first in range(start, self.end, days * DAY):
            last = min(first + days * DAY, self.end)
            found = [self.bars(one, first, last) for one in self.series]
            if any(map(len, found)):
                yield Panel(found, deciding, first, last)

    def content_hash(self) -> str:
        """Give the SHA-256 of every bar that a run can see."""
        whole = hashlib.sha256()
        for one in self.series:
            bars = self.bars(one, self.since, self.end)
            whole.update(f"{one.venue} {one.instrument} {one.timeframe.value} {len(bars)}\n".encode())
            for name in _HASHED:
                whole.update(np.ascontiguousarray(getattr(bars, name)).data)
        return whole.hexdigest()


class Histories(Mapping[str, Mapping[Timeframe, BarArrays]]):
    """All bars of a run by instrument; where they are not kept, only the last looked at are in memory."""

    def __init__(self, recorded: Recorded, timeframes: Sequence[Timeframe]) -> None:
        self._recorded = recorded
        self._timeframes = tuple(timeframes)
        self._series = {one.instrument: one for one in recorded.series}
        self._made: dict[str, Mapping[Timeframe, BarArrays]] = {}

    def __getitem__(self, symbol: str) -> Mapping[Timeframe, BarArrays]:
        if symbol not in self._made:
            recorded = self._recorded
            bars = recorded.bars(self._series[symbol], recorded.since, recorded.end)
            while not recorded.keeps and len(self._made) >= _FEW:
                del self._made[next(iter(self._made))]
            self._made[symbol] = {t: aggregate(bars, t) for t in self._timeframes}
        return self._made[symbol]

    def __iter__(self) -> Iterator[str]:
        return iter(self._series)

    def __len__(self) -> int:
        return len(self._series)


def series_of(lake: Lake, config: Config) -> list[Series]:
    """Give one series of each instrument, all of the finest timeframe that they share; DataError if none."""
    symbols = config.universe.instruments
    found = [one for one in lake.series() if one.venue == config.exchange.source]
    held = {symbol: {one.timeframe for one in found if one.instrument == symbol} for symbol in symbols}
    missing = [symbol for symbol in symbols if not held[symbol]]
    if missing:
        raise DataError(
            f"{lake.root}: expected {config.exchange.source} bars of {', '.join(missing)}; found none"
        )
    shared = set.intersection(*held.values())
    if not shared:
        raise DataError(
            f"{lake.root}: expected a timeframe that all {len(symbols)} instruments share; found none"
        )
    finest = min(shared, key=lambda timeframe: timeframe.ns)
    return [Series(config.exchange.source, symbol, finest) for symbol in symbols]
