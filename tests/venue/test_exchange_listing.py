"""The pairs that the simulated exchange lists: their grids against the prices that were recorded."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from core.errors import ConfigError
from venue.exchange_listing import listed

RECORDED = Path(__file__).parents[2].parent / "shared" / "data" / "ohlcv"
HOURS = [
    ("binance", ("ADA", "BNB", "DOT")),
    ("binance-perp", ("ALGO", "APT", "FIL", "HBAR", "ICP", "INJ", "LDO", "OP")),
]


@pytest.mark.skipif(not RECORDED.is_dir(), reason="needs the recorded bars of shared/data")
@pytest.mark.parametrize("venue, bases", HOURS)
def test_recorded_prices_lie_on_the_grids_and_not_on_coarser_ones(venue, bases):
    for base in bases:
        closes = pl.read_parquet(RECORDED / venue / f"{base}-USDT" / "1h.parquet", columns=["close"])
        prices = closes["close"].cast(pl.Float64).to_numpy()
        places = listed([f"{base}/USDT"])[f"{base}/USDT"].price_precision

        def fitting(digits, prices=prices):
            return float(np.mean(np.abs(np.round(prices, digits) - prices) <= prices * 1e-7))

        assert fitting(places) > 0.9999, base
        assert fitting(places - 1) < 0.9999, base


def test_the_dollar_pairs_of_the_venue_itself_are_listed():
    pairs = listed(["BTC/USD", "ETH/USD"])
    assert [pair.quote for pair in pairs.values()] == ["USD", "USD"]
    assert all(pair.max_leverage > 1 for pair in pairs.values())


def test_a_pair_that_is_not_listed_is_named():
    with pytest.raises(ConfigError, match="found 'XMR/USD'"):
        listed(["XMR/USD"])
