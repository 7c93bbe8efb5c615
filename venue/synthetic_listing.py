"""A whole venue of made-up pairs: names, grids, minimums, leverage and how busy each one is.

Must not know how trades are drawn from it. Called by the loopback and by whoever needs the names
of what a synthetic loopback lists. Pure: the same count and seed give the same listing.

Shapes are Kraken's as documented: WS v2 names, 1 to 10 decimals of the price and 0 to 8 of the
quantity, 304 pairs in 2021 of which 227 without margin and 1,670 pairs in 2026
(https://docs.kraken.com/api/docs/rest-api/get-tradable-asset-pairs), activity as uneven as real.
"""

import math
from collections.abc import Iterator
from decimal import Decimal

import msgspec
import numpy as np

from core.errors import ConfigError
from core.instrument import Instrument

MOST = 5_000
# US dollars, roughly; the first two are quote currencies as well.
_KNOWN = {
    "BTC": 61_000.0, "ETH": 2_900.0, "SOL": 148.0, "XRP": 0.52, "DOGE": 0.13, "ADA": 0.41, "LINK": 14.2,
    "AVAX": 27.5, "DOT": 5.9, "LTC": 74.0, "SUI": 0.92, "PEPE": 0.0000098, "SHIB": 0.0000182, "TRX": 0.124,
    "XLM": 0.098, "BCH": 391.0, "ATOM": 6.6, "UNI": 7.8, "AAVE": 96.0, "XMR": 165.0, "ALGO": 0.15,
    "FIL": 4.3, "NEAR": 5.2, "APT": 7.1, "INJ": 22.4, "TAO": 262.0, "RENDER": 6.4, "KAS": 0.16,
    "BONK": 0.0000227, "WIF": 2.1, "FET": 1.3, "ARB": 0.78, "OP": 1.7, "MKR": 2_380.0, "ETC": 22.6,
}  # fmt: skip
# quote: (US dollars, how many bases have it, how much quieter than the dollar pair, smallest cost)
_QUOTES = {
    "USD": (1.0, 1.0, 1.0, "0.5"),
    "EUR": (1.08, 0.75, 1.6, "0.45"),
    "USDT": (1.0, 0.2, 2.2, "0.5"),
    "USDC": (1.0, 0.15, 3.0, "0.5"),
    "GBP": (1.27, 0.2, 3.5, "0.4"),
    "BTC": (61_000.0, 0.12, 4.0, "0.00002"),
    "ETH": (2_900.0, 0.06, 6.0, "0.0002"),
}
_LEAST_TICKS = 2_000  # a price of fewer ticks moves in jumps
_TRADE_COST = 150.0  # US dollars of a usual trade
_SKEW, _FLATTENED = 2.0, 5.0  # share of the k-th pair: (k + 5) ** -2, so the first has 15 %
_VOWELS, _CONSONANTS = "AEIOU", "BCDFGKLMNPRSTVXZ"


class Listing(msgspec.Struct, frozen=True):
    """One synthetic pair. `share` is its part of all trades, `volatility` per square root of a second."""

    instrument: Instrument
    ticks: int
    usual_lots: float
    share: float
    volatility: float


def synthetic(count: int, seed: int) -> tuple[Listing, ...]:
    """Give `count` different pairs, busiest first; raises ConfigError beyond 1 to 5,000."""
    if not 1 <= count <= MOST:
        raise ConfigError(f"expected 1 to {MOST} synthetic instruments, found {count}")
    rng = np.random.default_rng((seed, 0x115))
    wanted: list[tuple[float, str, str, float, int]] = []
    for rank, (base, dollars) in enumerate(_bases(rng)):
        if len(wanted) >= count and rank + 1 > sorted(wanted)[count - 1][0]:
            break  # whatever comes now is quieter
        wanted += [
            ((rank + 1) * quiet, base, quote, price, rank)
            for quote, quiet, price in _quoted(base, dollars, rng)
        ]
    wanted.sort()
    wanted = wanted[:count]
    shares = (np.arange(1, count + 1) + _FLATTENED) ** -_SKEW
    shares /= shares.sum()
    return tuple(
        _listing(row, float(share), np.random.default_rng((seed, number)))
        for number, (row, share) in enumerate(zip(wanted, shares, strict=True))
    )


def _bases(rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Give names and dollar prices without end: the known ones, then syllables nobody has used."""
    used = {*_KNOWN, *_QUOTES}
    yield from _KNOWN.items()
    while True:
        letters = [
            str(rng.choice(list(_CONSONANTS if at % 2 else _VOWELS))) for at in range(int(rng.integers(3, 6)))
        ]
        name = "".join(letters[::-1] if rng.random() < 0.6 else letters)
        if name not in used:
            used.add(name)
            yield name, float(10 ** rng.uniform(-5.2, 2.2))


def _quoted(base: str, dollars: float, rng: np.random.Generator) -> Iterator[tuple[str, float, float]]:
    for quote, (worth, frequency, quiet, _) in _QUOTES.items():
        price = dollars / worth
        drawn = bool(rng.random() < frequency or (base in _KNOWN and frequency > 0.5))
        if (
            drawn
            and quote != base
            and price * 10**10 >= _LEAST_TICKS
            and not (base == "BTC" and quote == "ETH")
        ):
            yield quote, quiet, price


def _listing(row: tuple[float, str, str, float, int], share: float, rng: np.random.Generator) -> Listing:
    _, base, quote, price, rank = row
    decimals = _price_decimals(price, rng)
    worth, _, _, least_cost = _QUOTES[quote]
    usual = _TRADE_COST / (price * worth)
    lots = _lot_decimals(usual, rng)
    return Listing(
        Instrument.on_decimal_grid(
            f"{base}/{quote}",
            decimals,
            lots,
            minimum_quantity=_minimum(usual / 30, lots),
            minimum_cost=Decimal(least_cost),
            max_leverage=_leverage(rank, quote, rng),
        ),
        ticks=max(1, round(price * 10**decimals)),
        usual_lots=max(2.0, usual * 10**lots),
        share=share,
        volatility=float(rng.uniform(6e-5, 2e-4)),
    )


def _price_decimals(price: float, rng: np.random.Generator) -> int:
    """Give five or six significant digits, within the 1 to 10 decimals that Kraken's pairs have."""
    fine = 5 - math.floor(math.log10(price)) - int(rng.integers(0, 2))
    return min(10, max(1, fine))


def _lot_decimals(usual: float, rng: np.random.Generator) -> int:
    """Give eight decimals to most; cheap coins have fewer, for their volumes must fit 63 bits."""
    most = min(8, max(0, math.floor(11 - math.log10(usual))))
    least = min(most, max(0, math.ceil(2.5 - math.log10(usual))))
    return most if rng.random() < 0.8 else int(rng.integers(least, most + 1))


def _minimum(quantity: float, decimals: int) -> Decimal:
    """Give one significant digit, at least one lot."""
    digit = -math.floor(math.log10(quantity))
    return max(round(Decimal(quantity), digit), Decimal(1).scaleb(-decimals)).quantize(
        Decimal(1).scaleb(-decimals)
    )


def _leverage(rank: int, quote: str, rng: np.random.Generator) -> int:
    """Give 10 to the first two, 5 to the next, and to most pairs none."""
    if quote not in ("USD", "EUR", "USDT"):
        return 1
    if rank < 8:
        return 10 if rank < 2 else 5
    return int(rng.choice((1, 2, 3), p=(0.7, 0.15, 0.15)))
