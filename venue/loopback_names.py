"""REST's own spelling of assets and pairs: XXBT, XBTUSDT, XBT/USDT.

Must not know requests or accounts. Called by the loopback's REST desks. Rules and names are of
https://docs.kraken.com/api/docs/rest-api/get-tradable-asset-pairs (PROTOCOL 7).
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

import msgspec

from core.instrument import Instrument

_ALTNAMES = {"BTC": "XBT", "DOGE": "XDG"}
_PREFIXED = {
    **{asset: f"X{asset}" for asset in ("ETC", "ETH", "LTC", "MLN", "REP", "XLM", "XMR", "XRP", "ZEC")},
    **{asset: f"Z{asset}" for asset in ("AUD", "CAD", "EUR", "GBP", "JPY", "USD")},
    "BTC": "XXBT",
    "DOGE": "XXDG",
}
_LEGACY_KEYS = {"USDT/USD": "USDTZUSD"}


class PairName(msgspec.Struct, frozen=True):
    """How REST calls one pair: key of answers, short name, name on WS v1."""

    key: str
    altname: str
    wsname: str


def asset_id(asset: str) -> str:
    """Give the key of an asset in balances, e.g. XXBT."""
    return _PREFIXED.get(asset, asset)


def asset_altname(asset: str) -> str:
    """Give the short name of an asset, e.g. XBT."""
    return _ALTNAMES.get(asset, asset)


def find_asset(text: str, listed: Iterable[str]) -> str | None:
    """Find an asset by any of its names."""
    return next((a for a in listed if text in (asset_id(a), asset_altname(a), a)), None)


def pair_name(instrument: Instrument) -> PairName:
    """Give the names of a pair. Its key has X and Z prefixes where both sides have one."""
    return _pair_name(instrument.base, instrument.quote)


def find_pair(text: str, instruments: Mapping[str, Instrument]) -> Instrument | None:
    """Find a pair by any of its names."""
    found = instruments.get(text)
    if found is None:
        symbol = _index(tuple((i.base, i.quote) for i in instruments.values())).get(text)
        found = instruments.get(symbol) if symbol else None
    return found


@lru_cache(maxsize=4096)
def _pair_name(base: str, quote: str) -> PairName:
    short, unit = asset_altname(base), asset_altname(quote)
    both = base in _PREFIXED and quote in _PREFIXED
    key = f"{asset_id(base)}{asset_id(quote)}" if both else f"{short}{unit}"
    key = _LEGACY_KEYS.get(f"{base}/{quote}", key)
    return PairName(key=key, altname=f"{short}{unit}", wsname=f"{short}/{unit}")


@lru_cache(maxsize=4)
def _index(pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Give the symbol of every REST name of the listed pairs."""
    found = {}
    for base, quote in pairs:
        name = _pair_name(base, quote)
        for text in (name.key, name.altname, name.wsname):
            found[text] = f"{base}/{quote}"
    return found
