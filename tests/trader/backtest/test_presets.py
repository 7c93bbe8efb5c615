"""The shipped presets: they load, they run on the bars that come along, the hourly plan keeps its pace."""

import tomllib
from collections import Counter
from itertools import groupby, pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from core.clock import DAY, HOUR, SECOND
from core.market import Timeframe
from core.text import parse_iso
from inference.ensemble import load as load_model
from inference.ensemble_card import Role
from trader.backtest.opinion_table import OpinionTable, TabledOpinions
from trader.backtest.run import run
from trader.backtest.schedules import with_schedule
from trader.config import load

CONFIGS = Path(__file__).parents[3] / "configs"
MARKET = CONFIGS / "market"
PRESETS = {path.stem: path for path in sorted((CONFIGS / "backtest").glob("*.toml"))}
START = parse_iso("2024-06-03")
PAIRS = ("BTC/USDT", "DOGE/USDT")


def preset(name, **changes):
    return load([PRESETS[name]], {}, {"universe.instruments": list(PAIRS)} | changes)


def test_there_is_a_preset_for_each_pace():
    decisions = {
        name: load_model(load([path], {}).traders[0].model).decision for name, path in PRESETS.items()
    }
    assert decisions == {
        "5m": Timeframe.M5,
        "15m": Timeframe.M15,
        "1h": Timeframe.H1,
        "hourly-plan": Timeframe.H1,
    }


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_runs_on_the_bars_that_come_along(name):
    config = preset(name)
    assert config.exchange.lake.resolve() == MARKET.resolve()
    result = run(config, config.exchange.lake, START, START + 2 * DAY)
    decision = load_model(config.traders[0].model).decision
    assert result.decisions == len(PAIRS) * 2 * DAY // decision.ns
    assert result.bars == len(PAIRS) * 2 * 288
    assert sum(result.refusals.values()) <= result.decisions


@pytest.mark.parametrize("name", PRESETS)
def test_risk_reckons_with_the_fees_that_the_exchange_takes(name):
    config = load([PRESETS[name]], {})
    assert with_schedule(config, config.exchange.schedule) == config
    assert not config.showcase


def test_the_hourly_plan_has_its_filters_and_its_pace():
    config = load([PRESETS["hourly-plan"]], {})
    model = load_model(config.traders[0].model)
    assert [(seat.ref.name, seat.ref.low) for seat in model.of(Role.REGIME)] == [
        ("regime-1h", 0.5),
        ("volume-1h", 0.5),
    ]
    policy = tomllib.loads(PRESETS["hourly-plan"].read_text())["trader"][0]["policy"]
    assert (policy["min_hold_s"], policy["cooldown_s"], policy["max_trades_per_day"]) == (10_800, 7_200, 6)


def drawn(config, seed: int, days: int) -> TabledOpinions:
    """Opinions that lean to a side drawn for each close and instrument, and to none now and then."""
    (trader,) = config.traders
    model = load_model(trader.model)
    closes = START + np.arange(1, days * 24 + 1, dtype=np.int64) * HOUR
    rng = np.random.default_rng(seed)
    shape = (len(closes), len(PAIRS))
    p = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9]])[rng.integers(0, 3, shape)]
    close = np.array([70_000.0, 0.16])
    scales = np.broadcast_to(np.stack([close * 0.004, np.full(2, 0.004), close], axis=1), (*shape, 3)).copy()
    zero = np.zeros(shape)
    table = OpinionTable(
        model.model_hash, model.decision, PAIRS, (), closes, zero == 0.0, zero.astype(np.uint32), ("",),
        p, scales, zero, zero,
    )  # fmt: skip
    return TabledOpinions({trader.name: table})


def paced(config, **policy):
    (trader,) = config.traders
    changed = msgspec.structs.replace(trader.policy, **policy)
    return config.model_copy(update={"traders": (trader.model_copy(update={"policy": changed}),)})


@given(
    seed=st.integers(0, 10_000),
    cap=st.integers(1, 8),
    cooldown_h=st.integers(0, 6),
    hold_h=st.integers(0, 6),
)
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    # Each example is a run of the engine: the first that fails is small enough to be read.
    phases=(Phase.explicit, Phase.generate),
)
def test_cap_cooldown_and_hold_are_kept_whatever_the_models_say(seed, cap, cooldown_h, hold_h):
    plan = preset("hourly-plan")
    config = paced(
        plan,
        max_trades_per_day=cap,
        cooldown_s=cooldown_h * 3600.0,
        min_hold_s=hold_h * 3600.0,
        min_confidence=0.5,
        min_expected_value=-0.05,
    )
    trips = run(config, MARKET, START, START + 2 * DAY, opinions=drawn(plan, seed, 2)).trips
    assert trips
    by_day = Counter(trip.opened // DAY for trip in trips)
    assert max(by_day.values()) <= cap
    for _, one in groupby(sorted(trips, key=lambda t: (t.instrument, t.opened)), lambda t: t.instrument):
        for before, after in pairwise(one):
            assert after.opened - before.closed >= cooldown_h * HOUR
    for trip in trips:
        if trip.ended_by == "opinion":
            # The clock of a position begins with its fill, a moment after the close that it was decided at.
            assert trip.closed - trip.opened >= hold_h * HOUR - SECOND


def test_without_a_pace_the_same_opinions_trade_more():
    plan = preset("hourly-plan")
    free = {"min_confidence": 0.5, "min_expected_value": -0.05}
    counts = [
        len(
            run(paced(plan, **free, **pace), MARKET, START, START + 2 * DAY, opinions=drawn(plan, 1, 2)).trips
        )
        for pace in ({}, {"max_trades_per_day": 2_000, "cooldown_s": 0.0, "min_hold_s": 0.0})
    ]
    assert 0 < counts[0] <= 3 * 6 < counts[1], "the last close belongs to the third day"
