"""A run's record as lines over time: hourly and daily equity, fees, exposure, and each pair's earnings.

Must not know figures or pages. Called by trader.evaluation. The record has a row where something changed;
here every hour and every day has one, filled forward. Fees are counted up, so equity plus fees is what the
same trades would have left without a fee.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.clock import DAY, HOUR
from trader.backtest.record import RunRecord
from trader.evaluation.daily import returns_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lines:
    """All accounts together. Hours [H + 1] and days [D + 1] begin with the start of the run, ns UTC.

    `equity`, `fees` (counted up) and `exposure` (notional) stand at `hours`; `daily` and `daily_fees` at
    `days`. `accounts` [H + 1] is each account's equity, `pairs` and `pair_fees` [D + 1] are each
    instrument's net profit and fees so far.
    """

    hours: Ints
    equity: Floats
    fees: Floats
    exposure: Floats
    days: Ints
    daily: Floats
    daily_fees: Floats
    accounts: Mapping[str, Floats]
    pairs: Mapping[str, Floats]
    pair_fees: Mapping[str, Floats]

    def between(self, start: int, end: int) -> "Lines":
        """Cut whole days out, midnight to midnight; profit and fees so far go on counting from the start."""
        hours = slice(*np.searchsorted(self.hours, [start, end + 1]))
        days = slice(*np.searchsorted(self.days, [start, end + 1]))
        return Lines(
            hours=self.hours[hours],
            equity=self.equity[hours],
            fees=self.fees[hours],
            exposure=self.exposure[hours],
            days=self.days[days],
            daily=self.daily[days],
            daily_fees=self.daily_fees[days],
            accounts={name: line[hours] for name, line in self.accounts.items()},
            pairs={name: line[days] for name, line in self.pairs.items()},
            pair_fees={name: line[days] for name, line in self.pair_fees.items()},
        )

    @property
    def returns(self) -> Floats:
        """Daily returns [D] of equity; a day that begins with nothing left returns 0."""
        return returns_of(self.daily)

    @property
    def total_before_fees(self) -> float | None:
        """What the same trades would have left without a fee, in parts of the first day's equity."""
        fees = self.daily_fees[-1] - self.daily_fees[0]
        return float((self.daily[-1] + fees) / self.daily[0]) - 1.0 if self.daily[0] > 0.0 else None

    @property
    def exposure_share(self) -> float | None:
        """Mean notional over mean equity: 1 is fully invested without leverage."""
        equity = float(np.mean(self.equity[1:])) if len(self.equity) > 1 else 0.0
        return float(np.mean(self.exposure[1:])) / equity if equity > 0.0 else None

    @property
    def time_in_market(self) -> float | None:
        """Share of the hours that end with a position."""
        return float(np.mean(self.exposure[1:] > 0.0)) if len(self.exposure) > 1 else None


def lines(record: RunRecord) -> Lines:
    """Fill a record's rows forward to every hour and day of the run."""
    card = record.card
    hours = np.arange(card.start, card.end + HOUR, HOUR, dtype=np.int64)
    days = np.arange(card.start, card.end + DAY, DAY, dtype=np.int64)
    equity, fees, exposure = np.zeros((3, len(hours)))
    accounts = {}
    for account, cash in card.cash.items():
        rows = record.curve.filter(pl.col("account") == account)
        accounts[account] = _at(rows, "equity", hours, float(cash))
        equity += accounts[account]
        fees += _at(rows, "fees", hours, 0.0)
        exposure += np.abs(_at(rows, "exposure", hours, 0.0))
    daily = np.searchsorted(hours, days)
    pairs, pair_fees = {}, {}
    for instrument in card.instruments:
        rows = record.pairs.filter(pl.col("instrument") == instrument)
        pairs[instrument] = _at(rows, "net", days, 0.0)
        pair_fees[instrument] = _at(rows, "fees", days, 0.0)
    return Lines(hours, equity, fees, exposure, days, equity[daily], fees[daily], accounts, pairs, pair_fees)


def _at(rows: pl.DataFrame, column: str, times: Ints, before: float) -> Floats:
    """Give the newest value at each time, `before` where there is none yet."""
    if rows.is_empty():
        return np.full(len(times), before)
    values = rows[column].cast(pl.Float64).to_numpy()
    # What an answer to the last close did lies behind the end, and belongs to it.
    known = np.minimum(rows["ts"].to_numpy(), times[-1])
    at = np.searchsorted(known, times, side="right") - 1
    return np.where(at >= 0, values[np.maximum(at, 0)], before)
