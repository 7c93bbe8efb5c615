"""A policy has ceilings that no configuration lifts."""

import pytest

from core.errors import ConfigError
from risk.policy import CEILINGS, RiskPolicy


@pytest.mark.parametrize("name", sorted(CEILINGS))
def test_no_configuration_lifts_a_ceiling(name):
    low, high = CEILINGS[name]
    for value in (low - 1, high + 1, float("nan")):
        with pytest.raises(ConfigError, match=rf"risk.{name}: expected {low} to {high}, found"):
            RiskPolicy(**{name: value})
    RiskPolicy(**{name: low})
    RiskPolicy(**{name: high})


def test_every_field_of_the_policy_has_a_ceiling():
    assert set(CEILINGS) == set(RiskPolicy.__struct_fields__)
