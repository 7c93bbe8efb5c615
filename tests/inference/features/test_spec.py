"""A specification names its columns, and its hash follows whatever decides a number."""

from itertools import combinations

import pytest

from core.market import Timeframe
from inference.features import spec as module
from inference.features.catalogue import COLUMNS
from inference.features.spec import SPECS, Block, FeatureSpec


def test_shipped_specifications_decide_on_their_first_block():
    assert {name: spec.decision.value for name, spec in SPECS.items()} == {
        "entry_5m": "5m",
        "entry_15m": "15m",
        "entry_1h": "1h",
    }
    assert SPECS["entry_15m"].timeframes == (Timeframe.M15, Timeframe.H1, Timeframe.H4)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_names_are_unique_and_end_with_the_clock(spec):
    assert len(set(spec.names)) == len(spec.names)
    assert spec.names[0] == f"{spec.decision.value}.ema_5"
    assert spec.names[-1] == "clock.week_cos"
    assert len(spec.names) == sum(len(block.columns) for block in spec.blocks) + 4


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_history_that_the_venue_serves_at_once_is_enough_to_be_warm(spec):
    assert max(block.warm_up for block in spec.blocks) <= 700
    assert all(set(block.columns) <= set(COLUMNS) for block in spec.blocks)


def test_slow_column_asks_for_more_bars():
    assert Block(Timeframe.M5, ("rsi", "ema_50")).warm_up > Block(Timeframe.M5, ("rsi",)).warm_up


def test_hash_differs_between_specifications_and_with_order_and_kernels(monkeypatch):
    one = FeatureSpec("a", Timeframe.M5, (Block(Timeframe.M5, ("rsi", "adx")),))
    other = FeatureSpec("a", Timeframe.M5, (Block(Timeframe.M5, ("adx", "rsi")),))
    assert all(a.hash != b.hash for a, b in combinations([*SPECS.values(), one, other], 2))
    renamed = FeatureSpec("b", Timeframe.M5, one.blocks)
    assert renamed.hash == one.hash
    before = one.hash
    monkeypatch.setattr(module, "KERNEL_VERSION", 999)
    assert one.hash != before
