"""Bars of any source in the lake's columns, checked; and the span arithmetic that sources share.

Must not know where bars come from. Called by the sources of bars in feeds.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import polars as pl

from core.clock import SECOND
from core.errors import VenueError
from core.market import Timeframe
from core.text import iso
from feeds.shards import BARS, BARS_OPTIONAL

MS = 1_000_000
"""ns in a millisecond, the unit of `ts` in files of bars."""
_COUNTED = {**BARS, **BARS_OPTIONAL}


class Span(NamedTuple):
    """Bars that open in [since, until), ns on the timeframe's grid."""

    since: int
    until: int

    @classmethod
    def of(cls, timeframe: Timeframe, since: int, until: int) -> "Span":
        """Round inwards to whole bars: none that began before, none that is not over."""
        return cls(-(-since // timeframe.ns) * timeframe.ns, timeframe.floor(until))


def frame(rows: Sequence[Sequence[object]], timeframe: Timeframe, span: Span, origin: str) -> pl.DataFrame:
    """Give the bars with trades of a span, sorted; raises VenueError for the first impossible one.

    A row is ts (ms), open, high, low, close, volume and, where they are counted, trades and vwap.
    """
    schema = _COUNTED if rows and len(rows[0]) == len(_COUNTED) else BARS
    try:
        table = pl.DataFrame(rows, schema=schema, orient="row", strict=True)
    except (pl.exceptions.PolarsError, TypeError, OverflowError, ValueError) as odd:
        reason = " ".join(str(odd).split())[:120]
        raise VenueError(f"{origin}: expected rows of {', '.join(schema)}; found: {reason}") from odd
    _check(table, timeframe, origin)
    inside = pl.col("ts").is_between(span.since // MS, span.until // MS, closed="left")
    return table.filter(inside, pl.col("volume") > 0).unique("ts", keep="last").sort("ts")


def _check(table: pl.DataFrame, timeframe: Timeframe, origin: str) -> None:
    values = pl.selectors.float()
    counted = (
        (pl.col("trades") < 0) | (pl.col("vwap") <= 0) if "vwap" in table.columns else pl.lit(value=False)
    )
    rules = {
        "numbers": pl.any_horizontal(pl.all().is_null()),
        "finite numbers": pl.any_horizontal(~values.is_finite()),
        f"ts on the {timeframe.value} grid": pl.col("ts") % (timeframe.ns // MS) != 0,
        "low <= open, close <= high": (pl.col("high") < pl.max_horizontal("open", "close", "low"))
        | (pl.col("low") > pl.min_horizontal("open", "close", "high")),
        "low > 0": pl.col("low") <= 0,
        "volume >= 0": pl.col("volume") < 0,
        "trades >= 0 and vwap > 0": counted,
    }
    for rule, broken in rules.items():
        for row in table.filter(broken).head(1).iter_rows():
            raise VenueError(f"{origin}: expected {rule}, found {row}")


def month_start(ts: int) -> int:
    """Give the first ns of the month of `ts`, UTC."""
    day = datetime.fromtimestamp(ts // SECOND, tz=UTC)
    return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()) * SECOND


def month_name(ts: int) -> str:
    """Give the month as shards are named, `2024-06`."""
    return iso(ts)[:7]
