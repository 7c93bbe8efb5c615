"""History for features and bars: asked from the venue at start and after every gap.

Must not know the engine. Called by the live shell, which holds live bars back meanwhile; what
closes while the answers travel is completed from the finest series, so nothing falls between.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from core.errors import Recoverable, VenueUnavailable
from core.market import TIMEFRAMES, Bar, Timeframe
from feeds.bars import merged
from venue.client import PublicRest

History = dict[Timeframe, list[Bar]]
AT_ONCE = 4


async def fetch(
    rest: PublicRest, symbols: Sequence[str], timeframes: Iterable[Timeframe]
) -> dict[str, History]:
    """Ask for the closed bars of every symbol, coarse timeframes first and 1m last.

    Raises VenueUnavailable when the venue does not serve one of them.
    """
    wanted = sorted({*timeframes, Timeframe.M1}, key=lambda t: -t.ns)
    room = asyncio.Semaphore(AT_ONCE)

    async def one(symbol: str) -> History:
        async with room:
            return {timeframe: await rest.ohlc(symbol, timeframe) for timeframe in wanted}

    try:
        async with asyncio.TaskGroup() as group:
            tasks = {symbol: group.create_task(one(symbol)) for symbol in symbols}
    except* Recoverable as refused:
        msg = f"expected bar history of {len(symbols)} instruments, found: {refused.exceptions[0]}"
        raise VenueUnavailable(msg) from refused
    return {symbol: task.result() for symbol, task in tasks.items()}


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


def by_close(histories: Iterable[Mapping[Timeframe, Sequence[Bar]]]) -> list[tuple[int, tuple[Bar, ...]]]:
    """Turn histories into closing instants in time order, smallest timeframe first in each."""
    groups: defaultdict[int, list[Bar]] = defaultdict(list)
    for history in histories:
        for bars in history.values():
            for bar in bars:
                groups[bar.ts_close].append(bar)
    return [(ts, tuple(sorted(groups[ts], key=lambda bar: bar.timeframe.ns))) for ts in sorted(groups)]


def _added_up(minutes: Sequence[Bar], timeframe: Timeframe, after: int) -> list[Bar]:
    parts: defaultdict[int, list[Bar]] = defaultdict(list)
    for minute in minutes:
        if minute.ts_open >= after:
            parts[timeframe.floor(minute.ts_open)].append(minute)
    return [merged(timeframe, found) for _, found in sorted(parts.items()) if len(found) == timeframe.minutes]
