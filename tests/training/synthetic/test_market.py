from pathlib import Path

import numpy as np
import polars as pl
import pytest

from core.errors import UsageError
from core.market import Timeframe
from feeds.lake import Lake, aggregate
from training.guard.describe import Facts, describe
from training.guard.lake import write_lake
from training.synthetic.catalogue import PATTERNS
from training.synthetic.market import COST, MOODS, Made, made, market, shares, write_actions
from training.synthetic.oracle import net

SHARED = Path(__file__).parents[4] / "shared" / "data"
COLUMNS = ("ts_open", "open", "high", "low", "close", "volume", "vwap", "trades")


@pytest.fixture(scope="module")
def found() -> list[Made]:
    return made(3, 100, seed=1)


def test_same_seed_same_bits_whatever_stands_beside(found):
    (alone,) = market(1, 100, seed=1)
    assert all(np.array_equal(getattr(alone, one), getattr(found[0].bars, one)) for one in COLUMNS)
    (other,) = market(1, 100, seed=2)
    assert not np.array_equal(alone.close, other.close)


def test_stretches_follow_each_other_and_prices_never_jump(found):
    for one in found:
        ends = [stretch.first + stretch.minutes for stretch in one.stretches]
        assert [stretch.first for stretch in one.stretches] == [0, *ends[:-1]]
        assert ends[-1] == len(one.bars) == 144_000
        assert (one.bars.open[1:] == one.bars.close[:-1]).all()
        assert (np.diff(one.bars.ts_open) == 60_000_000_000).all()


def test_every_pattern_has_its_share(found):
    told = shares(found)
    assert set(told) == set(PATTERNS)
    assert sum(told.values()) == pytest.approx(1.0)
    assert min(told.values()) > 0.005
    assert 0.1 < told["random_walk"] < 0.4
    counted = np.concatenate([[s.pattern for s in one.stretches] for one in found])
    assert len(set(counted)) == len(PATTERNS)
    assert {s.mood for one in found for s in one.stretches} == set(MOODS)


def test_a_wild_stretch_moves_four_times_as_much_as_a_calm_one(found):
    """8 bps a usual minute against 2, patterns and hours beside it."""
    size: dict[str, list[float]] = {mood: [] for mood in MOODS}
    for one in found:
        moved = np.abs(np.log(one.bars.close / one.bars.open))
        for s in one.stretches:
            size[s.mood].append(float(np.median(moved[s.first : s.first + s.minutes])))
    assert np.median(size["wild"]) / np.median(size["calm"]) == pytest.approx(4.0, rel=0.25)


def test_actions_earn_on_the_path_in_every_stretch_and_on_the_bars_as_a_whole(found):
    for one in found:
        assert net(one.path, one.actions, COST) > 0.0
        for stretch in one.stretches:
            here = slice(stretch.first, stretch.first + stretch.minutes)
            # Alone a stretch pays for its own way in and out, which its neighbours may share: two sides.
            assert net(one.path[here], one.actions[here], COST) >= -4.0 * COST - 1e-12
        assert net(np.log(one.bars.close), one.actions, COST) > 0.0


@pytest.mark.parametrize("timeframe", ["5m", "15m", "30m", "1h", "4h", "1d"])
def test_all_timeframes_agree(found, timeframe, tmp_path):
    minutes, coarse = found[0].bars, Timeframe(timeframe)
    write_lake(tmp_path, [minutes], coarse, venue="synthetic")
    read = Lake(tmp_path).read("synthetic", "S0/USD", coarse)
    direct = aggregate(minutes, coarse)
    over = direct if coarse is Timeframe.M5 else aggregate(aggregate(minutes, Timeframe.M5), coarse)
    for column in COLUMNS:
        assert np.array_equal(getattr(read, column), getattr(direct, column)), column
        assert np.allclose(getattr(over, column), getattr(direct, column), rtol=1e-12, atol=0.0), column
    steps = coarse.minutes
    assert (direct.open == minutes.open[::steps]).all()
    assert (direct.close == minutes.close[steps - 1 :: steps]).all()
    assert (direct.high == minutes.high.reshape(-1, steps).max(axis=1)).all()


RANGES = {
    "deviation_bps": (3.0, 12.0),
    "kurtosis_1m": (10.0, 75.0),
    "kurtosis_1h": (6.0, 25.0),
    "range_over_deviation": (0.85, 1.3),
    "log_volume_deviation": (0.9, 1.3),
    "volume_move_correlation": (0.3, 0.55),
    "return_acf_1": (-0.06, 0.12),
}
"""Recorded minutes of two instruments lie within these, and so must made ones."""


@pytest.mark.parametrize("figure", RANGES)
def test_made_minutes_look_like_recorded_ones(found, facts, figure):
    low, high = RANGES[figure]
    for one in facts:
        assert low < getattr(one, figure) < high, one.instrument


@pytest.fixture(scope="module")
def facts(found) -> list[Facts]:
    recorded = []
    if SHARED.is_dir():
        recorded = [
            describe(Lake(SHARED).read("binance", name, Timeframe.M1)) for name in ("BTC/USDT", "ETH/USDT")
        ]
    return [*recorded, *(describe(one.bars) for one in found)]


def test_memory_and_hours_are_those_of_recorded_minutes(facts):
    for one in facts:
        first, quarter, hour, day = one.absolute_acf
        assert 0.2 < first < 0.5
        assert first > quarter > hour > 0.1
        assert 0.03 < day < 0.2
        assert max(one.hours) in one.hours[13:16]
        assert min(one.weekdays) in one.weekdays[5:]
        assert max(one.volume_hours) in one.volume_hours[13:16]


def test_what_is_known_of_each_minute_is_written(found, tmp_path):
    (path,) = write_actions(tmp_path, found[:1])
    assert path == tmp_path / "actions" / "S0-USD.parquet"
    rows = pl.read_parquet(path)
    assert rows["pattern"][0] == found[0].stretches[0].pattern
    assert rows["pattern"][-1] == found[0].stretches[-1].pattern
    words = np.array(["short", "flat", "long"])[found[0].actions + 1]
    assert rows["action"].to_list() == words.tolist()
    assert (rows["ts"].to_numpy() * 1_000_000 == found[0].bars.ts_open).all()


def test_an_empty_market_is_refused():
    with pytest.raises(UsageError, match="expected pairs and days from 1"):
        market(0, 10, seed=1)
