"""A run's daily returns: what every figure that speaks of significance is made from.

Must not know figures, trials or pages. Called by trader.evaluation and training.significance. Daily, UTC,
365 to a year: samples of minutes would repeat one opinion many times and count it as evidence each time.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.clock import DAY
from core.errors import DataError
from core.text import iso
from trader.backtest.record import RunRecord
from trader.evaluation.metrics import sharpe

Floats = NDArray[np.float64]


def daily_returns(record: RunRecord) -> Floats:
    """Give the returns [days] of all accounts together, close to close at midnight UTC.

    A day without a row returns 0. What falls to nothing returns -1 and 0 from then on. DataError for a
    run that is not made of whole days.
    """
    card = record.card
    if card.start % DAY or (card.end - card.start) % DAY or card.end <= card.start:
        span = f"{iso(card.start)} to {iso(card.end)}"
        raise DataError(f"run {card.config_hash[:12]}: expected whole UTC days; found {span}")
    # Counted in days: arange over ns measures its length in doubles and loses the last of them.
    ends = card.start + np.arange((card.end - card.start) // DAY + 1) * DAY
    equity = np.zeros(len(ends))
    for account, cash in card.cash.items():
        rows = record.curve.filter(pl.col("account") == account).sort("ts")
        # What an answer to the last close did lies behind the end, and belongs to it.
        known = np.minimum(rows["ts"].to_numpy(), card.end)
        at = np.searchsorted(known, ends, side="right")
        values = np.append(float(cash), rows["equity"].cast(pl.Float64).to_numpy())
        equity += values[at]
    return returns_of(equity)


def returns_of(equity: Floats) -> Floats:
    """Give the returns [N] between N + 1 values of equity; nothing is lost twice."""
    held = np.maximum(equity, 0.0)
    lost = np.minimum.accumulate(held) == 0.0  # an account that was wiped out stays so
    held[lost] = 0.0
    before = held[:-1]
    return np.divide(held[1:], before, out=np.ones(len(before)), where=before > 0.0) - 1.0


def annual_sharpe(returns: Floats) -> float | None:
    """Give the Sharpe ratio as the report has it, and None where nothing varies."""
    return sharpe(returns) if len(returns) > 1 and np.ptp(returns) > 0.0 else None
