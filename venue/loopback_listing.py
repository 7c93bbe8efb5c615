"""What the loopback tells about assets and pairs: precisions, collateral, margin rates, fee tiers.

Must not know requests, sockets or accounts. Called by the REST desk and the templates. Figures
are those that Kraken published; sources: PROTOCOL 6.1, 6.3, 6.4 and the samples.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from core.instrument import Instrument
from venue.exchange_fees import kraken_spot
from venue.exchange_orders import ZERO, FeeSchedule
from venue.loopback_names import asset_altname, asset_id, pair_name

POSITION_LIMIT = 1_000_000
"""Units of the base, for longs and for shorts."""
COST_DECIMALS = 8
_CALL, _STOP = 80, 40
_PERCENT = 100
_TIERS = kraken_spot().tiers
# What `info=` asks for; https://docs.kraken.com/api/docs/rest-api/get-tradable-asset-pairs
_INFO: dict[str, tuple[str, ...]] = {
    "leverage": ("leverage_buy", "leverage_sell"),
    "fees": ("fees", "fees_maker", "fee_volume_currency"),
    "margin": ("margin_call", "margin_stop"),
}
INFO = ("info", *_INFO)


class AssetFacts(msgspec.Struct, frozen=True):
    """`precision` of the ledger, `display` of pages; `margin_rate` in percent for four hours."""

    precision: int = 8
    display: int = 5
    collateral: Decimal = Decimal(0)
    margin_rate: Decimal = Decimal("0.02")


def _facts(precision: int, display: int, collateral: str, margin_rate: str) -> AssetFacts:
    return AssetFacts(precision, display, Decimal(collateral), Decimal(margin_rate))


_ASSETS = {
    "BTC": _facts(10, 5, "0.99", "0.01"),
    "DOGE": _facts(8, 2, "0.925", "0.02"),
    "ETH": _facts(10, 5, "0.99", "0.02"),
    "EUR": _facts(4, 2, "1.0", "0.02"),
    "SOL": _facts(10, 5, "0.925", "0.03"),
    "USD": _facts(4, 2, "1.0", "0.025"),
    "USDC": _facts(8, 4, "0.995", "0.02"),
    "USDT": _facts(8, 4, "0.995", "0.02"),
    "XLM": _facts(8, 5, "0.9", "0.02"),
    "XRP": _facts(8, 5, "0.95", "0.025"),
}
_UNKNOWN = AssetFacts()


def asset_facts(asset: str) -> AssetFacts:
    """Give what is known of an asset; most are no collateral."""
    return _ASSETS.get(asset, _UNKNOWN)


def rest_asset(asset: str) -> dict[str, Any]:
    """Give an asset's row of REST. An asset that is no collateral has no such key."""
    facts = asset_facts(asset)
    row: dict[str, Any] = {
        "aclass": "currency",
        "altname": asset_altname(asset),
        "decimals": facts.precision,
        "display_decimals": facts.display,
    }
    if facts.collateral:
        row["collateral_value"] = float(facts.collateral)
    return row | {"status": "enabled", "margin_rate": f"{facts.margin_rate:f}"}


def rest_pair(pair: Instrument, fees: FeeSchedule, info: str = "info") -> dict[str, Any]:
    """Give a pair's row of REST, or the part of it that `info` names."""
    name, ratios = pair_name(pair), list(range(2, pair.max_leverage + 1))
    row: dict[str, Any] = {
        "altname": name.altname,
        "wsname": name.wsname,
        "aclass_base": "currency",
        "base": asset_id(pair.base),
        "aclass_quote": "currency",
        "quote": asset_id(pair.quote),
        "lot": "unit",
        "cost_decimals": COST_DECIMALS,
        "pair_decimals": pair.price_precision,
        "lot_decimals": pair.quantity_precision,
        "lot_multiplier": 1,
        "leverage_buy": ratios,
        "leverage_sell": ratios,
        "fees": _steps(fees.taker, [(tier.volume, tier.taker) for tier in _TIERS]),
        "fees_maker": _steps(fees.maker, [(tier.volume, tier.maker) for tier in _TIERS]),
        "fee_volume_currency": "ZUSD",
        "margin_call": _CALL,
        "margin_stop": _STOP,
        "ordermin": f"{pair.minimum_quantity:f}",
        "costmin": f"{pair.minimum_cost:f}",
        "tick_size": f"{pair.price_increment:f}",
        "status": pair.status,
        "long_position_limit": POSITION_LIMIT,
        "short_position_limit": POSITION_LIMIT,
    }
    return {key: row[key] for key in _INFO.get(info, row)}


def _steps(own: Decimal, tiers: Sequence[tuple[Decimal, Decimal]]) -> list[list[float]]:
    """Give volumes and percents, beginning at the fee the simulation was told to take."""
    later = [(volume, rate) for volume, rate in tiers if volume and rate < own]
    return [[int(volume), float(rate * _PERCENT)] for volume, rate in [(ZERO, own), *later]]
