"""Kraken's short pair names as instruments: XBTUSD is BTC/USD.

Must not know files of the lake. Called by feeds.archive and `trader data`.
Names: https://docs.kraken.com/api/docs/rest-api/get-tradable-asset-pairs (read 2026-11); XBT and XDG are
BTC and DOGE on WS v2.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from core.errors import DataError

_RENAMED = {"XBT": "BTC", "XDG": "DOGE"}
_QUOTES = sorted(
    (
        *("USD", "EUR", "GBP", "CAD", "JPY", "AUD", "CHF", "AED"),
        *("XBT", "ETH", "DOT"),
        *("USDT", "USDC", "USDG", "USDQ", "USDR", "USD1", "DAI", "PYUSD", "RLUSD", "EURC", "EURQ", "EURR"),
    ),
    key=lambda quote: (-len(quote), quote),
)
_ASSET = re.compile(r"[A-Za-z0-9]+")


class PairNames:
    """What each short name stands for: exact where Kraken's list is given, else by its quote."""

    def __init__(self, exact: Mapping[str, str] | None = None) -> None:
        self._exact = dict(exact or {})

    def instrument(self, altname: str) -> str | None:
        """Give the instrument, or None: a name that cannot be resolved is never guessed."""
        if altname in self._exact:
            return self._exact[altname]
        for quote in _QUOTES:
            base = altname.removesuffix(quote)
            if base and base != altname and _ASSET.fullmatch(base):
                return f"{_renamed(base)}/{_renamed(quote)}"
        return None


def read_names(path: Path) -> PairNames:
    """Read an answer of AssetPairs; pairs without `wsname` (dark pools) are left out."""
    try:
        answer = json.loads(path.read_text("utf-8"))
        pairs = answer.get("result", answer)
        exact = {pair["altname"]: pair["wsname"] for pair in pairs.values() if pair.get("wsname")}
        return PairNames({altname: _slashed(wsname, path) for altname, wsname in exact.items()})
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: expected an answer of AssetPairs, found: {error!r}") from error


def _slashed(wsname: str, path: Path) -> str:
    base, slash, quote = wsname.partition("/")
    if not (slash and _ASSET.fullmatch(base) and _ASSET.fullmatch(quote)):
        raise DataError(f"{path}: expected a wsname such as XBT/USD, found {wsname!r}")
    return f"{_renamed(base)}/{_renamed(quote)}"


def _renamed(asset: str) -> str:
    return _RENAMED.get(asset, asset)
