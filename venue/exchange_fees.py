"""Fee schedules as data: the named ones, and Kraken's own by 30-day volume.

Must not know orders or accounts. Called by whoever builds a `FeeSchedule`, by trader.tables for a
schedule's name, by training.trades, and by the loopback's listing, which tells the tiers. Those are
of AssetPairs (`fees`, `fees_maker`) as served until February 2026, in percent by US dollars of
30 days; https://docs.kraken.com/api/docs/rest-api/get-tradable-asset-pairs.
"""

from decimal import Decimal

import msgspec

from venue.exchange_orders import ZERO, FeeSchedule, FeeTier

_PERCENT = Decimal("0.01")
# volume from, taker %, maker %
_ROWS = (
    ("0", "0.40", "0.25"),
    ("10000", "0.35", "0.20"),
    ("50000", "0.24", "0.14"),
    ("100000", "0.22", "0.12"),
    ("250000", "0.20", "0.10"),
    ("500000", "0.18", "0.08"),
    ("1000000", "0.16", "0.06"),
    ("2500000", "0.14", "0.04"),
    ("5000000", "0.12", "0.02"),
    ("10000000", "0.10", "0.00"),
)


def kraken_spot() -> FeeSchedule:
    """Give the schedule of ordinary spot pairs, its lowest tier as the starting rates."""
    tiers = tuple(
        FeeTier(volume=Decimal(volume), maker=Decimal(maker) * _PERCENT, taker=Decimal(taker) * _PERCENT)
        for volume, taker, maker in _ROWS
    )
    return FeeSchedule(maker=tiers[0].maker, taker=tiers[0].taker, tiers=tiers)


class Schedule(msgspec.Struct, frozen=True):
    """What trading costs: rates of notional, and whether what is lent costs anything."""

    name: str
    fees: FeeSchedule
    lends_for_free: bool = False


def _flat(name: str, bps: str) -> Schedule:
    rate = Decimal(bps).scaleb(-4)
    return Schedule(name, FeeSchedule(maker=rate, taker=rate))


_BASE_TIER = kraken_spot().tiers[0]
SCHEDULES = {
    schedule.name: schedule
    for schedule in (
        Schedule("gross", FeeSchedule(maker=ZERO, taker=ZERO), lends_for_free=True),
        # One figure is given for these, so makers get no better one. Lending costs what Kraken takes.
        _flat("vip9", "2.0"),
        _flat("vip4", "5.4"),
        _flat("legacy16", "16"),
        # The tier of an account without volume, for ever: tiers would pay a strategy for its turnover.
        Schedule("kraken", FeeSchedule(maker=_BASE_TIER.maker, taker=_BASE_TIER.taker)),
    )
}
"""By name, cheapest taker first."""
