"""KERNEL_VERSION is what makes models and saved states of other numbers refuse: it must move with them."""

import numpy as np
import pytest

from core.clock import DAY
from core.market import Timeframe
from inference.features.catalogue import FAMILIES, KERNEL_VERSION, layout
from inference.features.cross import CROSS
from inference.features.family import DELTA, HIGH, INPUTS, LOW, OPEN, VOLUME
from inference.features.series import BarTable, new_marks, numbered, walk

BARS = 800
VERSION = 2
"""When a number changes on purpose: raise the version, then write it and the new sums down here."""
FAMILY_SUMS = {
    "scale": 3.60710737218,
    "trend": 216.401642637,
    "direction": 480.008308107,
    "momentum": -5715.05684599,
    "volatility": 5287.99339645,
    "moments": -5342.48626444,
    "volume": -1021.72813478,
    "volume_week": 10.0036535584,
    "wide": -186.392663525,
    "structure": 1669153.75765,
    "divergence": 1208.85262731,
    "patterns": 2328.77551454,
    "flow": 123.011182456,
}
CROSS_SUMS = {
    "trend_alignment": 23.4644898129,
    "trend_conflict": 7.59611761093,
    "higher_support": 426.946333081,
    "higher_resistance": 605.921030834,
    "higher_volatility": 23.7379045486,
    "atr_ratio": 78.4709756919,
    "rv_ratio": 14.9035751719,
    "volume_gap": 0.329310297966,
    "vwap_60": 14.5533285577,
}


def drawn(count: int, seed: int) -> np.ndarray:
    """Numbers of 0 up to 1 by a rule that no library can change (Numerical Recipes' quick generator)."""
    numbers = []
    for _ in range(count):
        seed = (1_664_525 * seed + 1_013_904_223) % 2**32
        numbers.append((seed >> 8) / 2**24)
    return np.array(numbers)


def market() -> BarTable:
    """Give hours of a walk with quiet bars and a short hole."""
    random = drawn(5 * BARS, 7).reshape(5, BARS)
    values = np.empty((INPUTS, BARS))
    close = 100.0 + np.cumsum(random[0] - 0.5)
    opened = np.concatenate([[100.0], close[:-1]])
    values[OPEN], values[3] = opened, close
    values[HIGH] = np.maximum(opened, close) + random[1] * (random[1] > 0.3)
    values[LOW] = np.minimum(opened, close) - random[2] * (random[2] > 0.3)
    values[VOLUME] = 10.0 * random[3] * (random[3] > 0.05)
    values[DELTA] = values[VOLUME] * (2.0 * random[4] - 1.0)
    ts_open = 19_800 * DAY + (np.arange(BARS) + (np.arange(BARS) > 500)) * Timeframe.H1.ns
    return BarTable(ts_open, values)


def weighed(values: np.ndarray) -> float:
    """Give one number that no two rows can change places in."""
    return float(np.nansum(values * np.arange(1, len(values) + 1)[:, None]))


def family_sum(name: str) -> float:
    (columns,) = (family.columns for family in FAMILIES if family.name == name)
    plan, bars = layout(columns), market()
    at = numbered(bars, Timeframe.H1, new_marks(1))
    found = np.empty((len(columns), at.total))

    def sink(origin, count, out):
        found[:, origin : origin + count] = out[plan.positions(columns), :count]

    walk(plan, plan.states(1), bars, at, timeframe=Timeframe.H1, sink=sink)
    return weighed(found[:, at.slots])


def cross_sum(name: str) -> float:
    inputs = len(CROSS[name].needs) * max(CROSS[name].least, 1)
    values = np.ascontiguousarray(drawn(inputs * 50, 11).reshape(inputs, 50) + 0.01)
    scales = np.vstack([0.1 + drawn(50, 12), 0.5 + drawn(50, 13) * 0.2])
    out = np.empty(50)
    CROSS[name].combine(values, scales, np.array([4.0, 16.0])[: CROSS[name].least], out)
    return weighed(out[None, :])


@pytest.mark.parametrize("name", [family.name for family in FAMILIES])
def test_numbers_of_a_family_change_with_the_version_alone(name):
    assert (KERNEL_VERSION, family_sum(name)) == (VERSION, pytest.approx(FAMILY_SUMS[name], rel=1e-9))


@pytest.mark.parametrize("name", CROSS)
def test_numbers_of_a_cross_column_change_with_the_version_alone(name):
    assert (KERNEL_VERSION, cross_sum(name)) == (VERSION, pytest.approx(CROSS_SUMS[name], rel=1e-9))
