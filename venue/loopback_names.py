"""REST's own spelling of assets and pairs: XXBT, XBTUSDT, XBT/USDT.

Must not know requests or accounts. Called by the loopback's REST desks.
"""

from collections.abc import Mapping

import msgspec

from core.instrument import Instrument

_ALTNAMES = {"BTC": "XBT", "DOGE": "XDG"}
_PREFIXED = {
    "BTC": "XXBT",
    "DOGE": "XXDG",
    "ETC": "XETC",
    "ETH": "XETH",
    "EUR": "ZEUR",
    "USD": "ZUSD",
    "XRP": "XXRP",
}


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


def pair_name(instrument: Instrument) -> PairName:
    """Give the names of a pair. Pairs against USDT carry no X or Z prefixes in their key."""
    base, quote = asset_altname(instrument.base), asset_altname(instrument.quote)
    prefixed = asset_id(instrument.quote).startswith("Z")
    key = f"{asset_id(instrument.base)}{asset_id(instrument.quote)}" if prefixed else f"{base}{quote}"
    return PairName(key=key, altname=f"{base}{quote}", wsname=f"{base}/{quote}")


def find_pair(text: str, instruments: Mapping[str, Instrument]) -> Instrument | None:
    """Find a pair by any of its names."""
    for instrument in instruments.values():
        name = pair_name(instrument)
        if text in (name.key, name.altname, name.wsname, instrument.symbol):
            return instrument
    return None
