"""One-minute bars of a tape in the lake, month by month.

Must not know where the tape came from. Called by `trader data fetch kraken-trades --bars`. A month
is made when it is complete, and made again only when its tape is younger than its bars.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from core.clock import DAY
from core.market import Timeframe
from feeds.archive_bars import minutes
from feeds.history import Gap
from feeds.history_bars import month_name, month_start
from feeds.lake import Series
from feeds.shards import Merged, Shards, read_parquet

_LONGEST_MONTH = 31 * DAY


def make_months(
    root: Path, venue: str, instrument: str, since: int, reached: int, gaps: Sequence[Gap]
) -> Merged:
    """Make the bars of all complete months within [since, reached) ns; one with a gap is left out."""
    shards, total = Shards(root), Merged(0, 0, 0)
    pair = instrument.replace("/", "-")
    for start, end in _months(since, reached):
        name = f"{month_name(start)}.parquet"
        tape = root / "trades" / venue / pair / name
        made = root / "ohlcv" / venue / pair / Timeframe.M1.value / name
        torn = any(gap.after_ts < end and gap.before_ts > start for gap in gaps)
        if torn or not tape.is_file() or (made.is_file() and made.stat().st_mtime >= tape.stat().st_mtime):
            continue
        merged = shards.merge_bars(Series(venue, instrument, Timeframe.M1), minutes(read_parquet(tape)))
        total = Merged(*(one + other for one, other in zip(total, merged, strict=True)))
    return total


def _months(since: int, reached: int) -> Iterator[tuple[int, int]]:
    start = month_start(since)
    if start < since:
        start = month_start(start + _LONGEST_MONTH)
    while (end := month_start(start + _LONGEST_MONTH)) <= reached:
        yield start, end
        start = end
