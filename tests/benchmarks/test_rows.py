import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rows import BENCHES, ROWS, Row, durations, median, p99, quantile

ROOT = Path(__file__).parents[2]
SAMPLES = st.lists(st.floats(0, 1e6), min_size=1, max_size=300)


@given(SAMPLES, st.floats(0.01, 1))
def test_a_quantile_is_a_sample_with_enough_below(samples, share):
    found = quantile(samples, share)
    assert found in samples
    assert sum(one <= found for one in samples) >= share * len(samples) - 1e-9


def test_few_samples_have_their_largest_as_p99():
    assert p99([1.0, 3.0, 2.0]) == 3.0
    assert median([1.0, 3.0, 2.0]) == 2.0


@pytest.mark.parametrize(
    "row, value, word",
    [
        (Row("a", "ms", 5, True), 4.0, "ok"),
        (Row("a", "ms", 5, True), 5.0, "ok"),
        (Row("a", "ms", 5, True), 6.0, "MISS"),
        (Row("a", "/s", 5, False), 6.0, "ok"),
        (Row("a", "/s", 5, False), 4.0, "MISS"),
        (Row("a", "/s", 5, False), None, ""),
        (Row("a", "/s", None, False), 4.0, ""),
    ],
)
def test_a_target_is_met_on_the_right_side(row, value, word):
    assert row.meets(value) == word


def test_durations_leave_the_warm_up_out():
    calls = []
    found = durations(lambda: calls.append(1), rounds=3, warm_up=2)
    assert (len(found), len(calls)) == (3, 5)
    assert all(one >= 0 for one in found)


def test_keys_are_unique_and_every_bench_has_a_file():
    assert len({row.key for row in ROWS}) == len(ROWS)
    for name in BENCHES:
        assert callable(importlib.import_module(f"benchmarks.{name}").measure)


def test_json_has_a_value_or_null_for_every_key():
    found = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--json", "--only", "train"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    row = json.loads(found.stdout)
    assert row["train.fusion_samples_per_s"] > 0
    assert 0 <= row["train.data_wait_share"] < 1
    assert "train.gpu_fusion_samples_per_s" in row  # null where there is no GPU
    assert row["cores"] > 0
    assert row["notes"]["train"].startswith("forward, backward and step in batches of 256")
