from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.market import Timeframe
from feeds.lake import BarArrays, Lake, aggregate
from training.evaluate import auc
from training.guard.describe import Facts, correlation_at, describe, kurtosis
from training.guard.edge import Edge
from training.guard.lake import VENUE, write_lake
from training.guard.market import Shape, null_market, planted_market, symbols

SHARED = Path(__file__).parents[3] / "shared" / "data"
Z = 3.3
"""Deviations of an estimate that a true statement stays within, 999 times in 1,000."""


@pytest.fixture(scope="module")
def minutes() -> list[BarArrays]:
    return null_market(4, 100, seed=1)


@pytest.fixture(scope="module")
def recorded() -> Facts:
    if not SHARED.is_dir():
        pytest.skip("the recorded bars are not beside this checkout")
    return describe(Lake(SHARED).read("binance", "BTC/USDT", Timeframe.M1))


def returns(bars: BarArrays) -> np.ndarray:
    return np.diff(np.log(bars.close))


def equal(left: BarArrays, right: BarArrays) -> bool:
    columns = ("ts_open", "open", "high", "low", "close", "volume", "vwap", "trades")
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in columns)


def test_same_seed_gives_the_same_bits_and_another_does_not(minutes):
    again, other = null_market(4, 100, seed=1), null_market(4, 100, seed=2)
    assert all(map(equal, minutes, again))
    assert not any(map(equal, minutes, other))


def test_an_instrument_does_not_depend_on_how_many_others_there_are(minutes):
    (alone,) = null_market(1, 100, seed=1)
    assert equal(alone, minutes[0])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    quiet=st.sampled_from([0.0, 0.3, 1.0]),
    holes=st.sampled_from([0.0, 8.0]),
    tick=st.sampled_from([0.0, 0.01, 500.0]),
    strength=st.sampled_from([0.0, 0.2, -1.0]),
)
def test_every_bar_is_sound_in_every_shape(seed, quiet, holes, tick, strength):
    shape = Shape(quiet_share=quiet, holes_per_day=holes, tick=tick)
    (bars,) = planted_market(1, 2, seed, edge=Edge(strength=strength), shape=shape)
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (bars.low > 0).all()
    assert (np.diff(bars.ts_open) > 0).all()
    assert ((bars.vwap >= bars.low) & (bars.vwap <= bars.high)).all()
    still = bars.trades == 0
    assert (still == (bars.volume == 0)).all()
    assert (bars.high[still] == bars.low[still]).all()
    assert still.all() == (quiet == 1.0)


def test_the_sign_cannot_be_foreseen_from_any_recent_minute(minutes):
    for bars in minutes:
        sign = np.sign(returns(bars))
        bound = Z / np.sqrt(len(sign))
        assert abs(sign.mean()) < bound
        for lag in (1, 2, 3, 5, 15, 60, 240, 1440):
            assert abs(correlation_at(sign, lag)) < bound


def test_size_of_moves_can_be_foreseen_and_tails_are_fat(minutes):
    for bars in minutes:
        moved = returns(bars)
        assert correlation_at(np.abs(moved), 1) > 0.15
        assert correlation_at(np.abs(moved), 60) > 0.05
        assert kurtosis(moved) > 6.0
    shared = np.corrcoef([returns(bars) for bars in minutes])
    assert ((shared > 0.4) & (shared < 0.8))[~np.eye(4, dtype=bool)].all()


def test_extremes_are_those_of_a_path_inside_the_minute(minutes):
    """Reflection principle: P(max >= b) = 2 P(end >= b), which prices seen twice a minute would miss."""
    reached, ended = [], []
    for bars in minutes:
        five = aggregate(bars, Timeframe.M5)
        opened, high, low, close = np.log([five.open, five.high, five.low, five.close])
        reached += [high - opened >= 0.001, opened - low >= 0.001]
        ended += [close - opened >= 0.001, opened - close >= 0.001]
    gap = np.concatenate(reached) - 2.0 * np.concatenate(ended)
    assert np.mean(ended) > 0.05
    assert abs(gap.mean()) < Z * gap.std() / np.sqrt(len(gap))


@pytest.mark.parametrize("decision", [Timeframe.M5, Timeframe.M15, Timeframe.H1])
@pytest.mark.parametrize("strength", [0.1, 0.3, -0.2])
def test_the_oracle_reaches_the_optimum_and_its_interval_is_narrow(decision, strength):
    edge = Edge(decision, strength)
    hits, score, rose = [], [], []
    for bars in planted_market(4, 200, seed=5, edge=edge):
        _, distance = edge.state(bars)
        moved = np.diff(np.log(aggregate(bars, decision).close))[1:]
        said = np.sign(distance[1:-1]) * np.sign(strength)
        hits.append(np.sign(moved) == said)
        score.append(said)
        rose.append(moved > 0)
    found, best = np.concatenate(hits), edge.optimum()
    deviation = np.sqrt(best.accuracy * (1.0 - best.accuracy) / len(found))
    assert abs(strength) < 0.2 or best.accuracy - 0.5 > 5 * deviation
    assert abs(found.mean() - best.accuracy) < Z * deviation
    assert abs(auc(np.concatenate(score), np.concatenate(rose)) - best.auc) < Z * deviation
    chance = np.where(found, best.accuracy, 1.0 - best.accuracy)
    assert np.log(2.0 * chance).mean() == pytest.approx(best.log_loss_gain, abs=Z * deviation)


def test_the_state_is_made_of_closed_bars_only():
    edge = Edge(Timeframe.M15)
    (bars,) = planted_market(1, 30, seed=3, edge=edge)
    ts_close, whole = edge.state(bars)
    for cut in (100, 1_000, 2_001):
        _, part = edge.state(bars.between(0, int(ts_close[cut])))
        assert (part == whole[: cut + 1]).all()


def test_a_made_market_is_read_from_a_lake_as_it_was_drawn(tmp_path):
    made = null_market(2, 3, seed=9, shape=Shape(quiet_share=0.1))
    write_lake(tmp_path, made)
    lake = Lake(tmp_path)
    assert [(one.venue, one.instrument) for one in lake.series()] == [(VENUE, name) for name in symbols(2)]
    for bars in made:
        assert equal(lake.read(VENUE, bars.instrument, Timeframe.M1), bars)
    write_lake(tmp_path, made, Timeframe.M15)
    found = lake.read(VENUE, made[0].instrument, Timeframe.M15)
    assert equal(found, aggregate(made[0], Timeframe.M15))


def test_figures_of_known_bars_are_what_they_must_be(minutes):
    facts = describe(minutes[0])
    assert facts.missing_share == 0.0
    assert facts.deviation_bps == pytest.approx(returns(minutes[0]).std() * 1e4)
    assert max(facts.hours) == facts.hours[14]
    assert min(facts.weekdays) == facts.weekdays[5]
    assert facts.hours != facts.volume_hours
    (holed,) = null_market(1, 20, seed=1, shape=Shape(holes_per_day=10.0))
    assert 0.1 < describe(holed).missing_share < 0.3


@pytest.mark.parametrize(
    "figure, factor",
    [
        ("deviation_bps", 2.0),
        ("kurtosis_15m", 2.5),
        ("log_volume_deviation", 1.3),
        ("volume_move_correlation", 1.3),
        ("range_over_deviation", 1.5),
    ],
)
def test_the_made_market_is_of_the_size_of_a_recorded_one(minutes, figure, factor, recorded):
    made = getattr(describe(minutes[0]), figure)
    assert 1 / factor < made / getattr(recorded, figure) < factor
