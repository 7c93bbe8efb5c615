"""What the same cash would have done without a strategy: bought and held, or left alone.

Must not know the run's trades. Called by trader.evaluation.assessment. Pure. Holding buys every instrument
in equal parts at the last price before the run, sells at the last one of it, and pays a taker's fee twice.
"""

from dataclasses import dataclass

import msgspec
import numpy as np

from core.clock import DAY
from trader.backtest.record import RunCard
from trader.evaluation.daily import returns_of
from trader.evaluation.lines import Floats
from trader.evaluation.market import Market
from trader.evaluation.metrics import Drawdown, ReturnFigures, drawdown, return_figures


class Baseline(msgspec.Struct, frozen=True):
    """A baseline's figures; `fee_bps` is what each of its two orders paid, None without orders."""

    name: str
    returns: ReturnFigures
    drawdown: Drawdown | None
    fee_bps: float | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """Buy and hold with its daily equity [D + 1], which begins with the cash."""

    figures: Baseline
    equity: Floats


def hold(card: RunCard, market: Market) -> Held | None:
    """Hold the run's instruments in equal parts; None where none has a price at the start.

    An instrument that is listed later stays cash until its first close.
    """
    cash, fee = float(sum(card.cash.values())), taker_fee(card)
    days = np.arange(card.start, card.end + DAY, DAY, dtype=np.int64)
    at = np.searchsorted(market.ends, days, side="right") - 1
    part = cash / max(len(card.instruments), 1)
    equity = np.zeros(len(days))
    bought = 0
    for instrument in card.instruments:
        closes = np.where(at >= 0, market.closes[instrument][np.maximum(at, 0)], np.nan)
        known = np.flatnonzero(~np.isnan(closes))
        if not len(known):
            equity += part
            continue
        bought += 1
        held = np.arange(len(days)) >= known[0]
        paid = np.where(held, closes / closes[known[0]] * (1.0 - fee), 1.0)
        paid[-1] *= 1.0 - fee
        paid[0] = 1.0  # the cash itself: the way in is paid on the first day
        equity += part * paid
    if not bought:
        return None
    figures = Baseline("buy and hold", return_figures(returns_of(equity)), drawdown(days, equity), fee * 1e4)
    return Held(figures, equity)


def flat(card: RunCard) -> Baseline:
    """Leave the cash alone."""
    return Baseline("flat", return_figures(np.zeros((card.end - card.start) // DAY)), None)


def taker_fee(card: RunCard) -> float:
    """Give the fee of notional that a taker pays in the run, as the traders' policies reckon with it."""
    fees = [float(trader["policy"]["taker_fee"]) for trader in card.config.get("trader", ())]
    return max(fees, default=float(card.config.get("exchange", {}).get("taker_fee", 0.0)))
