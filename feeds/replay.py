"""A recorded market as it would have closed: all instruments, all timeframes, instant by instant.

Must not know the engine. Called by trader.backtest; memory holds one chunk, not the span.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from core.clock import DAY
from core.market import TIMEFRAMES, Bar, Timeframe
from feeds.lake import Lake, Series, aggregate

CHUNK = 8 * DAY
"""How much is read at once; whole days, so that every timeframe ends with its chunk."""


def replay(
    lake: Lake,
    series: Sequence[Series],
    start: int,
    end: int,
    *,
    timeframes: Sequence[Timeframe] = TIMEFRAMES,
) -> Iterator[tuple[int, tuple[Bar, ...]]]:
    """Give (ts_close, bars) for every instant in (start, end] at which a bar closes.

    `start` and `end` are days (ns UTC at midnight). Each series yields its own timeframe and
    those of `timeframes` above it, smallest first, with the lake's rule for quiet and missing
    bars. Raises DataError and UsageError as Lake.read does.
    """
    for first in range(start, end, CHUNK):
        closing: dict[int, list[Bar]] = defaultdict(list)
        sources = [lake.read(*one, start=first, end=min(first + CHUNK, end)) for one in series]
        for timeframe in TIMEFRAMES:
            for source in sources:
                wanted = timeframe is source.timeframe or timeframe in timeframes
                if not wanted or timeframe.ns < source.timeframe.ns:
                    continue
                made = aggregate(source, timeframe)
                for ts_close, bar in zip(made.ts_close.tolist(), made.bars(), strict=True):
                    closing[ts_close].append(bar)
        for ts_close in sorted(closing):
            yield ts_close, tuple(closing[ts_close])
