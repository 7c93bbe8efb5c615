"""History for features and bars: asked from the venue at start and after every gap.

Must not know the engine. Called by trader.history, which holds live bars back meanwhile; what
closes while the answers travel is completed from the finest series, so nothing falls between.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from core.market import TIMEFRAMES, Bar, Timeframe
from feeds.bars import merged
from feeds.pace import Pace

History = dict[Timeframe, list[Bar]]


class BarSource(Protocol):
    """Who serves closed bars; venue.client.PublicRest."""

    async def ohlc(self, symbol: str, timeframe: Timeframe) -> list[Bar]:
        """Give closed bars, oldest first."""
        ...


async def fetch(rest: BarSource, pace: Pace, symbol: str, timeframes: Iterable[Timeframe]) -> History:
    """Ask for the closed bars of one instrument, coarse timeframes first and 1m last.

    Raises a Recoverable error where the venue does not serve one of them.
    """
    history: History = {}
    for timeframe in sorted({*timeframes, Timeframe.M1}, key=lambda t: -t.ns):
        await pace.turn()
        history[timeframe] = await rest.ohlc(symbol, timeframe)
    return history


def complete(history: Mapping[Timeframe, Sequence[Bar]], live: Iterable[Bar]) -> History:
    """Add what closed since each series was asked for: live minutes, and what they add up to."""
    minutes = {bar.ts_open: bar for bar in history.get(Timeframe.M1, ())}
    minutes |= {bar.ts_open: bar for bar in live if bar.timeframe is Timeframe.M1}
    finest = [minutes[ts] for ts in sorted(minutes)]
    made: History = {}
    for timeframe in TIMEFRAMES:
        if timeframe not in history:
            continue
        known = list(history[timeframe])
        after = known[-1].ts_close if known else 0
        made[timeframe] = finest if timeframe is Timeframe.M1 else known + _added_up(finest, timeframe, after)
    return made


def _added_up(minutes: Sequence[Bar], timeframe: Timeframe, after: int) -> list[Bar]:
    parts: defaultdict[int, list[Bar]] = defaultdict(list)
    for minute in minutes:
        if minute.ts_open >= after:
            parts[timeframe.floor(minute.ts_open)].append(minute)
    return [merged(timeframe, found) for _, found in sorted(parts.items()) if len(found) == timeframe.minutes]
