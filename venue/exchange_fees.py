"""Kraken's spot fee schedule as data: rates by 30-day volume.

Must not know orders or accounts. Called by whoever builds a `FeeSchedule` with tiers, and by the
loopback's listing, which tells the tiers. The rates are those
of AssetPairs (`fees`, `fees_maker`) as served until February 2026, in percent by US dollars of
30 days; https://docs.kraken.com/api/docs/rest-api/get-tradable-asset-pairs.
"""

from decimal import Decimal

from venue.exchange_orders import FeeSchedule, FeeTier

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
