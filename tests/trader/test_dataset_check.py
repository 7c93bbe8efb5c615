"""What was downloaded is counted as it lies on disk, and every indicator is computed once."""

import numpy as np
import polars as pl
import pytest

from core.market import Timeframe
from core.text import parse_iso
from feeds.lake import Lake, Series, aggregate
from feeds.shards import Shards
from inference.features.catalogue import COLUMNS, family_of
from inference.features.spec import SPECS
from trader.dataset_check import check, features

START = parse_iso("2024-01-01") // 10**6
SERIES = Series("binance", "BTC/USDT", Timeframe.M5)


def stored(root, count, *, lacking=()):
    """Write a random walk of 5m bars, without those numbered in `lacking`."""
    steps = np.random.default_rng(1).normal(0, 0.2, count)
    close = 100 + np.cumsum(steps)
    at = [number for number in range(count) if number not in lacking]
    rows = pl.DataFrame(
        {
            "ts": [START + number * 300_000 for number in at],
            "open": (close - steps)[at],
            "high": (close + 0.5)[at],
            "low": (close - 0.7)[at],
            "close": close[at],
            "volume": (1 + np.abs(steps))[at],
        }
    ).with_columns(high=pl.max_horizontal("open", "high"), low=pl.min_horizontal("open", "low"))
    Shards(root).merge_bars(SERIES, rows)


def test_counts_and_sizes_are_those_on_disk(tmp_path):
    stored(tmp_path, 3000, lacking={10, 11, 12})
    told = check(tmp_path, [SERIES])
    (one,) = told["series"]
    assert (one["rows"], told["rows"]) == (2997, 2997)
    assert one["missing"] == 3 / 3000
    assert one["first"].startswith("2024-01-01T00:00")
    size = sum(path.stat().st_size for path in tmp_path.rglob("*.parquet"))
    assert one["bytes"] == told["bytes"] == size


def test_every_indicator_and_every_specification_that_fits_is_computed(tmp_path):
    stored(tmp_path, 9000)
    found = {one["spec"]: one for one in check(tmp_path, [SERIES])["features"]}
    assert list(found) == ["indicators", *(s.name for s in SPECS.values() if s.decision is SERIES.timeframe)]
    plain, full = found["indicators"], found["entry_5m"]
    without_tape = [column for column in COLUMNS if not family_of(column).needs]
    assert (plain["columns"], plain["rows"]) == (len(without_tape) + 4, 9000)
    assert plain["ready"] > 6900  # a week's volume is the slowest
    assert full["columns"] == len(SPECS["entry_5m"].names)
    assert full["ready"] > 1500
    assert full["non_finite_share"] == 0.0
    # One column is not known before it has seen a week.
    assert plain["non_finite_share"] == pytest.approx(2_028 / 9_000 / plain["columns"], rel=0.01)


def test_a_specification_that_reads_finer_bars_than_there_are_is_left_out(tmp_path):
    hourly = SERIES._replace(timeframe=Timeframe.H1)
    stored(tmp_path, 9000)
    bars = aggregate(Lake(tmp_path).read(*SERIES), Timeframe.H1)
    assert "v4_hourly" in SPECS
    assert {one.spec for one in features(hourly, bars)} >= {"indicators", "entry_1h"}
    assert "v4_hourly" not in {one.spec for one in features(hourly, bars)}


def test_series_that_is_not_there_is_left_out(tmp_path):
    told = check(tmp_path, [SERIES])
    assert (told["rows"], told["series"], told["features"]) == (0, [], [])
