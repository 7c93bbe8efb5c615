"""What the market did beside a run: daily closes for its baselines, bars around its trades.

Must not know figures or pages. Called by trader.evaluation and its commands. Kept in the run's folder
(`market.parquet`, `candles.parquet`), so that a report can be written again where the lake is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.clock import DAY
from core.errors import DataError
from core.market import Timeframe
from feeds.lake import BarArrays, Lake
from trader.backtest.record import RunRecord, Trip
from venue.exchange_listing import listed

CLOSES, CANDLES = "market.parquet", "candles.parquet"
LOOK_BACK_DAYS = 400
"""Days before the run that regimes may look back on."""
SHOWN = 300
"""Trades whose bars are kept: more would make a page that no browser likes to open."""
AROUND = 45
"""Bars shown before the entry and after the exit."""
WIDEST = 220
"""Bars of one view; a longer trade is shown in coarser bars."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Market:
    """Daily closes of each instrument, and candles by the trip's number in the record.

    `ends` [D] are the ends of UTC days, ns; `closes` [D] per instrument, NaN where it had no bar yet.
    The first day ends LOOK_BACK_DAYS before the run at the earliest, the last one with the run.
    `candles` has trip, ts (open, ns), open, high, low, close; `step` is its bar in ns.
    """

    ends: Ints
    closes: Mapping[str, Floats]
    candles: pl.DataFrame

    def save(self, folder: Path) -> None:
        """Write both files."""
        frame = pl.DataFrame({"ts": self.ends, **{name: self.closes[name] for name in sorted(self.closes)}})
        frame.write_parquet(folder / CLOSES, compression="zstd")
        self.candles.write_parquet(folder / CANDLES, compression="zstd")


def load_market(folder: Path) -> Market | None:
    """Read what `save` wrote; None where a run has none, DataError for a file that cannot be read."""
    if not (folder / CLOSES).is_file() or not (folder / CANDLES).is_file():
        return None
    try:
        closes, candles = pl.read_parquet(folder / CLOSES), pl.read_parquet(folder / CANDLES)
    except (OSError, pl.exceptions.PolarsError) as wrong:
        reason = str(wrong).partition("\n")[0]
        raise DataError(f"{folder}: expected {CLOSES} and {CANDLES} as Parquet; {reason}") from wrong
    names = [name for name in closes.columns if name != "ts"]
    return Market(closes["ts"].to_numpy(), {name: closes[name].to_numpy() for name in names}, candles)


def read_market(record: RunRecord, lake: Path) -> Market:
    """Read daily closes and the bars around the shown trades, one instrument at a time.

    Raises UsageError for a lake without the run's bars, DataError for bars that cannot be trusted.
    """
    card, bars = record.card, Lake(lake)
    grid = {name: known.price_increment for name, known in listed(card.instruments).items()}
    ends = np.arange(card.start - LOOK_BACK_DAYS * DAY, card.end, DAY, dtype=np.int64) + DAY
    timeframe = Timeframe(card.timeframe)
    closes: dict[str, Floats] = {}
    views: list[pl.DataFrame] = []
    shown = shown_trips(record.trips)
    for instrument in card.instruments:
        found = bars.read(
            card.venue,
            instrument,
            timeframe,
            start=int(ends[0]) - DAY,
            end=card.end,
            price_increment=grid[instrument],
        )
        closes[instrument] = _daily(found, ends)
        views += [_view(found, n, record.trips[n]) for n in shown if record.trips[n].instrument == instrument]
    known = np.any([~np.isnan(column) for column in closes.values()], axis=0)
    first = int(np.argmax(known)) if known.any() else len(ends) - 1
    candles = pl.concat(views) if views else pl.DataFrame(schema=_SCHEMA)
    return Market(ends[first:], {name: column[first:] for name, column in closes.items()}, candles)


def shown_trips(trips: Sequence[Trip]) -> list[int]:
    """Give the numbers of the trips that get a candle view: all, or a third each of best, worst, newest."""
    if len(trips) <= SHOWN:
        return list(range(len(trips)))
    by_net = sorted(range(len(trips)), key=lambda n: (trips[n].net, n))
    chosen = {*by_net[: SHOWN // 3], *by_net[-(SHOWN // 3) :]}
    for newest in range(len(trips) - 1, -1, -1):
        if len(chosen) == SHOWN:
            break
        chosen.add(newest)
    return sorted(chosen)


_SCHEMA = {"trip": pl.Int32, "ts": pl.Int64, **dict.fromkeys(("open", "high", "low", "close"), pl.Float64)}


def _daily(bars: BarArrays, ends: Ints) -> Floats:
    """Give the last close of each day; a day without a bar keeps the one before."""
    at = np.searchsorted(bars.ts_close, ends, side="right") - 1
    return (
        np.where(at >= 0, bars.close[np.maximum(at, 0)], np.nan) if len(bars) else np.full(len(ends), np.nan)
    )


def _view(bars: BarArrays, number: int, trip: Trip) -> pl.DataFrame:
    """Give the bars around a trip, put together until they are at most WIDEST."""
    first, last = np.searchsorted(bars.ts_open, [trip.opened, trip.closed], side="right") - 1
    together = -(-(int(last) - int(first) + 1) // (WIDEST - 2 * AROUND))
    low = max(0, int(first) - AROUND * together)
    high = min(len(bars), int(last) + 1 + AROUND * together)
    starts = np.arange(low, high, together)
    stops = np.append(starts[1:], high)
    return pl.DataFrame(
        {
            "trip": np.full(len(starts), number, np.int32),
            "ts": bars.ts_open[starts],
            "open": bars.open[starts],
            "high": np.maximum.reduceat(bars.high[:high], starts),
            "low": np.minimum.reduceat(bars.low[:high], starts),
            "close": bars.close[stops - 1],
        },
        schema=_SCHEMA,
    )
