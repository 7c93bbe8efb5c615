"""What a report's charts and its list of trades are drawn from, small enough for a page.

Must not know markup. Called by trader.evaluation.page. Prices and money become floats of nine digits here:
they are looked at, never computed with.
"""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from core.clock import DAY, HOUR
from trader.backtest.record import RunRecord, Trip
from trader.evaluation.assessment import Judged
from trader.evaluation.lines import Floats
from trader.evaluation.market import Market
from trader.evaluation.metrics import under_water
from trader.evaluation.regimes import REGIMES
from trader.evaluation.words import out_of_sample

HOURLY_DAYS = 400
"""Up to this many days the lines have a point for each hour, beyond one for each day."""
MS = 1_000_000
LISTED = 20_000
"""Trades in the page's list, the newest; trips.csv has all."""


def page_data(record: RunRecord, judged: Judged, market: Market | None) -> dict[str, Any]:
    """Give the lines, the regimes, the trades and their candles; times are ms UTC."""
    card, seen = record.card, judged.lines
    hourly = len(seen.days) - 1 <= HOURLY_DAYS
    step = HOUR if hourly else DAY
    equity, fees = (seen.equity, seen.fees) if hourly else (seen.daily, seen.daily_fees)
    opened = np.zeros(len(seen.days) - 1, int)
    for trip in record.trips:
        opened[min((trip.opened - card.start) // DAY, len(opened) - 1)] += 1
    return {
        "start": card.start // MS,
        "step": step // MS,
        "equity": _short(equity),
        "gross": _short(equity + fees),
        "water": _short(under_water(equity)),
        "hold": None if judged.hold_equity is None else _short(judged.hold_equity),
        "day": DAY // MS,
        "opened": opened.tolist(),
        "oos": [[start // MS, end // MS] for start, end in out_of_sample(card)],
        "regimes": _runs(judged.day_regimes) if judged.day_regimes else [],
        "regime_names": REGIMES,
        "first_trip": max(0, len(record.trips) - LISTED),
        "trips": [_trip(trip) for trip in record.trips[-LISTED:]],
        "candles": _candles(market.candles) if market else {},
    }


def _trip(trip: Trip) -> list[Any]:
    """Give a trade as a row, in the order that trades.js names."""
    return [
        trip.opened // MS,
        trip.closed // MS,
        trip.instrument,
        trip.side,
        shown(trip.quantity),
        shown(trip.entry),
        shown(trip.exit),
        _money(float(trip.net)),
        _money(float(trip.gross)),
        _money(float(trip.fees + trip.margin_fees)),
        trip.ended_by,
        trip.reason,
        trip.account,
    ]


def _runs(names: Sequence[str]) -> list[list[int]]:
    """Give stretches of equal days: number of the regime, first day, day after the last."""
    runs: list[list[int]] = []
    for day, name in enumerate(names):
        number = REGIMES.index(name)
        if runs and runs[-1][0] == number:
            runs[-1][2] = day + 1
        else:
            runs.append([number, day, day + 1])
    return runs


def _candles(frame: pl.DataFrame) -> dict[str, Sequence[Sequence[float]]]:
    """Give each trade's bars by its number: times, then open, high, low and close."""
    views: dict[str, Sequence[Sequence[float]]] = {}
    for (number,), rows in frame.group_by("trip", maintain_order=True):
        prices = [
            [float(f"{value:.9g}") for value in rows[name]] for name in ("open", "high", "low", "close")
        ]
        views[str(number)] = [[int(ts) // MS for ts in rows["ts"]], *prices]
    return views


def shown(amount: Decimal) -> str:
    """Write an amount; a mean over fills with digits without end is cut to ten of them."""
    text = f"{amount:f}"
    return (
        text if len(text) <= 14 else f"{amount:.10g}" if abs(amount) < 1 else f"{Decimal(f'{amount:.10g}'):f}"
    )


def _money(value: float) -> float:
    return round(value, 4)


def _short(values: Floats) -> list[float]:
    """Keep seven digits of the largest value: a line has no more than that to show."""
    largest = float(np.max(np.abs(values), initial=0.0))
    return np.round(values, 6 - math.floor(math.log10(largest)) if largest else 0).tolist()
