"""What a run's trades would have left at other costs.

Must not know how the trades came about. Called by trader.evaluation.assessment. Pure. The same trades are
charged again; a run at other costs may trade differently, since risk reckons with fees before an entry.
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from trader.backtest.record import Trip
from trader.evaluation.trips import scaled, share, total

FACTORS = (Decimal(0), Decimal(1), Decimal("1.5"), Decimal(2))
CAVEAT = (
    "The same trades, charged again: a run at other costs may trade differently, "
    "because risk reckons with fees before an entry. A trade belongs to the day on which it was opened, "
    "so × 1 can differ from the return of equity."
)


class CostLevel(msgspec.Struct, frozen=True):
    """All costs times `factor`: fees, margin fees and slippage against the mid. Quote currency."""

    factor: float
    costs: Decimal
    net: Decimal
    total_return: float | None


class Stress(msgspec.Struct, frozen=True):
    """The table of cost levels, and the fee at which the trades would have earned nothing.

    `break_even_fee_bps` is per side, of notional, with margin fees and slippage as they were; it is
    negative where the trades lost even without a fee, None without a trade. `paid_fee_bps` is what was paid.
    """

    levels: tuple[CostLevel, ...]
    break_even_fee_bps: float | None
    paid_fee_bps: float | None
    caveat: str = CAVEAT


def stress(trips: Sequence[Trip], cash: Decimal) -> Stress:
    """Charge the trips' costs at each of FACTORS; `cash` is what the run started with."""
    fees = total(trip.fees for trip in trips)
    margin_fees = total(trip.margin_fees for trip in trips)
    slippage = total(trip.slippage for trip in trips)
    gross = total(trip.gross for trip in trips)
    turnover = total(trip.turnover for trip in trips)
    costs = fees + margin_fees + slippage
    levels = []
    for factor in FACTORS:
        net = gross + slippage - factor * costs
        levels.append(CostLevel(float(factor), factor * costs, net, share(net, cash)))
    return Stress(
        levels=tuple(levels),
        break_even_fee_bps=scaled(share(gross - margin_fees, turnover), 1e4),
        paid_fee_bps=scaled(share(fees, turnover), 1e4),
    )
