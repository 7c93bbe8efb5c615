import pytest

from core.errors import ConfigError
from tests.e2e.world import ROOT
from trader.config import load
from trader.simulation import loopback_settings
from venue.loopback import Synthetic


def settings(**values):
    overrides = {key.replace("__", "."): value for key, value in values.items()}
    return loopback_settings(load([ROOT / "configs" / "paper.toml"], {}, overrides), {})


def test_recorded_bars_are_served_unless_made_up_pairs_are_asked_for():
    assert settings().synthetic is None
    assert settings(exchange__synthetic=1000, exchange__trades_per_s=5000.0).synthetic == Synthetic(
        1000, 5000.0
    )


@pytest.mark.parametrize(
    "values, key",
    [
        ({"exchange__synthetic": 5001}, "exchange.synthetic"),
        ({"exchange__synthetic": -1}, "exchange.synthetic"),
        ({"exchange__trades_per_s": 0}, "exchange.trades_per_s"),
    ],
)
def test_impossible_venues_are_refused_by_name(values, key):
    with pytest.raises(ConfigError, match=key):
        settings(**values)
