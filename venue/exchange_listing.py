"""The pairs that the simulated exchange lists, with the grids of the shipped market history.

Must not know where bars come from. Called by the loopback, the backtest and tests. Real grids
come from Kraken's instrument channel; these are the finest grids on which the recorded prices lie
exactly, with minimums and leverage of the size Kraken has for such pairs. The pairs of the shipped
history have the grids of 2024: an older price of SOL, AVAX, DOGE or XRP may lie between two ticks, and
is read as the nearest one.
"""

from collections.abc import Iterable
from decimal import Decimal

from core.errors import ConfigError
from core.instrument import Instrument

_QUANTITY_PRECISION = 8
_MINIMUM_COST = Decimal("0.5")
# base: (decimals of the price, smallest order, largest leverage)
_LISTED = {
    "AAVE": (2, "0.03", 3),
    "ADA": (5, "9", 3),
    "ALGO": (4, "25", 3),
    "APT": (4, "0.8", 3),
    "ARB": (4, "6", 3),
    "ATOM": (3, "0.6", 3),
    "AVAX": (2, "0.1", 3),
    "BCH": (1, "0.01", 3),
    "BNB": (4, "0.008", 3),
    "BTC": (2, "0.00005", 10),
    "DOGE": (5, "25", 5),
    "DOT": (4, "1", 3),
    "EOS": (5, "2", 3),
    "ETC": (2, "0.2", 3),
    "ETH": (2, "0.001", 10),
    "FET": (4, "2", 1),
    "FIL": (3, "1.5", 3),
    "HBAR": (5, "30", 3),
    "ICP": (3, "0.7", 3),
    "INJ": (3, "0.3", 3),
    "IOTA": (6, "8", 3),
    "LDO": (4, "4", 3),
    "MATIC": (4, "6", 3),
    "MKR": (0, "0.002", 1),
    "NEO": (4, "0.3", 3),
    "NEAR": (3, "0.7", 3),
    "OP": (4, "5", 3),
    "SHIB": (8, "160000", 3),
    "SOL": (2, "0.02", 5),
    "TRX": (5, "40", 3),
    "UNI": (3, "0.5", 3),
    "XRP": (4, "1.65", 5),
}
_COARSE_LOTS = {"SHIB": 5}  # trillions of units a day would not fit an int64 of 1e-8 lots


def listed(symbols: Iterable[str]) -> dict[str, Instrument]:
    """Give the instruments of `BASE/QUOTE` symbols; raises ConfigError for one that is not listed."""
    return {symbol: _instrument(symbol) for symbol in symbols}


def _instrument(symbol: str) -> Instrument:
    base, _, quote = symbol.partition("/")
    if base not in _LISTED or not quote:
        known = " ".join(sorted(_LISTED))
        raise ConfigError(f"expected BASE/QUOTE with a base of {known}, found {symbol!r}")
    decimals, minimum, leverage = _LISTED[base]
    return Instrument.on_decimal_grid(
        symbol,
        decimals,
        _COARSE_LOTS.get(base, _QUANTITY_PRECISION),
        minimum_quantity=Decimal(minimum),
        minimum_cost=_MINIMUM_COST,
        max_leverage=leverage,
    )
