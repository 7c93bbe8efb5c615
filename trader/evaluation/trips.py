"""Figures of round trips: how often right, how much each time, and what the venue took.

Must not know equity, files or pictures. Called by trader.evaluation. Pure; sums of money stay exact
decimals. A figure that is not defined (no trade, no loss) is None.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from core.clock import SECOND
from trader.backtest.record import Trip

ZERO = Decimal(0)
ENDS = ("stop", "target", "time", "opinion", "brake", "liquidation", "end")
"""How a round trip can end, in the order of tables."""


class TripFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What a set of round trips amounts to. Money is in the quote currency; shares are fractions.

    `right_share` is the directional accuracy: the share that earned before fees. A win earned after
    fees. `expectancy_bps` is net over the notional at entry, `fees_bps` fees and margin fees over
    turnover (both sides counted), `fee_share` the same over the gross profit (None without one).
    `ended` counts by ENDS; `stop_rate` and `target_rate` are their shares.
    """

    trades: int = 0
    longs: int = 0
    wins: int = 0
    win_rate: float | None = None
    right_share: float | None = None
    average_win: Decimal | None = None
    average_loss: Decimal | None = None
    win_loss_ratio: float | None = None
    profit_factor: float | None = None
    expectancy: Decimal | None = None
    expectancy_bps: float | None = None
    best: Decimal | None = None
    worst: Decimal | None = None
    average_hold_s: float | None = None
    turnover: Decimal = ZERO
    gross: Decimal = ZERO
    fees: Decimal = ZERO
    margin_fees: Decimal = ZERO
    slippage: Decimal = ZERO
    net: Decimal = ZERO
    fees_bps: float | None = None
    fee_share: float | None = None
    ended: dict[str, int] = {}
    stop_rate: float | None = None
    target_rate: float | None = None


class EndFigures(msgspec.Struct, frozen=True):
    """The round trips that ended in one way."""

    ended_by: str
    trades: int
    share: float
    win_rate: float
    net: Decimal
    average: Decimal


def trip_figures(trips: Sequence[Trip]) -> TripFigures:
    """Sum up round trips; those still open at the end of the data count at their last mark."""
    if not trips:
        return TripFigures()
    nets = [trip.net for trip in trips]
    won = [net for net in nets if net > 0]
    lost = [net for net in nets if net < 0]
    count = len(trips)
    gross, net, turnover = total(t.gross for t in trips), total(nets), total(t.turnover for t in trips)
    fees, margin_fees = total(t.fees for t in trips), total(t.margin_fees for t in trips)
    entered = total(t.entry * t.quantity for t in trips)
    average_win, average_loss = mean(won), mean(lost)
    ended = Counter(trip.ended_by for trip in trips)
    return TripFigures(
        trades=count,
        longs=sum(trip.side == "long" for trip in trips),
        wins=len(won),
        win_rate=len(won) / count,
        right_share=sum(trip.gross > 0 for trip in trips) / count,
        average_win=average_win,
        average_loss=average_loss,
        win_loss_ratio=share(average_win, -average_loss) if average_win and average_loss else None,
        profit_factor=share(total(won), -total(lost)),
        expectancy=cents(net / count),
        expectancy_bps=scaled(share(net, entered), 1e4),
        best=max(nets),
        worst=min(nets),
        average_hold_s=sum(trip.closed - trip.opened for trip in trips) / count / SECOND,
        turnover=turnover,
        gross=gross,
        fees=fees,
        margin_fees=margin_fees,
        slippage=total(t.slippage for t in trips),
        net=net,
        fees_bps=scaled(share(fees + margin_fees, turnover), 1e4),
        fee_share=share(fees + margin_fees, gross) if gross > 0 else None,
        ended={name: ended[name] for name in (*ENDS, *sorted(set(ended) - set(ENDS))) if ended[name]},
        stop_rate=ended["stop"] / count,
        target_rate=ended["target"] / count,
    )


def by_end(trips: Sequence[Trip]) -> tuple[EndFigures, ...]:
    """Give one row for each way in which a round trip ended, in the order of ENDS."""
    figures = trip_figures(trips)
    rows = []
    for name, count in figures.ended.items():
        some = [trip for trip in trips if trip.ended_by == name]
        net = total(trip.net for trip in some)
        wins = sum(trip.net > 0 for trip in some)
        rows.append(EndFigures(name, count, count / len(trips), wins / count, net, cents(net / count)))
    return tuple(rows)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Add up exactly."""
    return sum(amounts, ZERO)


def mean(amounts: Sequence[Decimal]) -> Decimal | None:
    """Give the mean, to eight places; None of nothing."""
    return cents(total(amounts) / len(amounts)) if amounts else None


def share(part: Decimal, whole: Decimal) -> float | None:
    """Give part over whole; None where the whole is nothing."""
    return float(part / whole) if whole else None


def scaled(value: float | None, factor: float) -> float | None:
    """Multiply what is known."""
    return None if value is None else value * factor


def cents(amount: Decimal) -> Decimal:
    """Round a quotient of money to eight places: a mean has no exact value to keep."""
    return round(amount, 8)
