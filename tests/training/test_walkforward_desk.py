"""The desk that a fold trades with."""

from pathlib import Path

import pytest

from core.errors import ConfigError
from core.market import Timeframe
from feeds.lake import Lake, Series
from training.walkforward.desk import acting, desk, only

ROOT = Path(__file__).parents[2]
DESK = ROOT / "configs" / "walkforward" / "desk.toml"
MODEL = ROOT / "configs" / "models" / "entry-1h"


@pytest.mark.parametrize("quote", ["USDT", "USD"])
def test_the_account_is_in_the_pairs_quote_currency(quote):
    pairs = (f"BTC/{quote}", f"ETH/{quote}")
    config = desk(DESK, "kraken", pairs, MODEL)
    assert (config.accounts[0].currency, config.exchange.source) == (quote, "kraken")
    assert config.universe.instruments == config.traders[0].instruments == pairs
    assert config.traders[0].model == MODEL


def test_refuses_pairs_of_two_currencies():
    with pytest.raises(ConfigError, match="expected pairs of one quote currency; found USD, USDT"):
        desk(DESK, "kraken", ("BTC/USD", "ETH/USDT"), MODEL)


def test_a_schedule_is_charged_and_reckoned_with():
    config = acting(desk(DESK, "binance", ("BTC/USDT",), MODEL), "kraken", 0.47)
    policy = config.traders[0].policy
    assert config.exchange.schedule == "kraken"
    assert (policy.min_confidence, policy.taker_fee) == (0.47, 0.004)
    # It does what the label says: same barriers, the label's own time limit.
    assert (policy.stop_atr, policy.target_atr, policy.max_hold_bars) == (3.0, 3.0, 0)


def test_a_view_of_the_lake_holds_the_named_series_alone():
    one = Series("binance", "BTC/USDT", Timeframe.M5)
    market = ROOT / "configs" / "market"
    with only(market, [one]) as root:
        assert Lake(root).series() == [one]
        assert len(Lake(root).read(*one)) == len(Lake(market).read(*one))
    assert not root.exists()
