"""Figures of columns agree with numpy over the whole, however the rows are cut into blocks."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trader.column_statistics import Statistics

ROWS = 4_000
NAMES = ("noise", "walk", "level", "twin", "gone", "flat", "holes")


def table():
    random = np.random.default_rng(5)
    noise = random.standard_normal(ROWS)
    holes = random.standard_normal(ROWS)
    holes[random.random(ROWS) < 0.3] = np.nan
    return np.column_stack(
        [
            noise,
            np.cumsum(random.standard_normal(ROWS)),
            60_000.0 + random.standard_normal(ROWS) * 1e-3,
            -3.0 * noise + 0.05 * random.standard_normal(ROWS),
            np.full(ROWS, np.nan),
            np.full(ROWS, 7.0),
            holes,
        ]
    )


def told(x, cuts=()):
    statistics = Statistics(NAMES, len(x))
    for block in np.split(x, sorted(cuts)):
        if len(block):
            statistics.add(block)
    return statistics


WHOLE = {column.name: column for column in told(table()).columns()}


@settings(max_examples=20)
@given(st.sets(st.integers(1, ROWS - 1), max_size=6))
def test_blocks_do_not_matter(cuts):
    for column in told(table(), cuts).columns():
        whole = WHOLE[column.name]
        for field in ("nan_share", "mean", "std", "iqr", "autocorrelation", "dickey_fuller", "shift"):
            found, expected = getattr(column, field), getattr(whole, field)
            assert (found is None) == (expected is None), (column.name, field)
            if found is not None:
                assert found == pytest.approx(expected, rel=1e-6, abs=1e-6), (column.name, field)


@pytest.mark.parametrize("name", ["noise", "walk", "level", "twin", "holes"])
def test_figures_are_those_of_numpy(name):
    x = table()[:, NAMES.index(name)]
    column = WHOLE[name]
    there = x[~np.isnan(x)]
    assert column.nan_share == pytest.approx(np.isnan(x).mean())
    assert column.mean == pytest.approx(there.mean(), rel=1e-9)
    assert column.std == pytest.approx(there.std(), rel=1e-6)
    assert column.iqr == pytest.approx(np.subtract(*np.percentile(there, (75, 25))))
    halves = [half[~np.isnan(half)].mean() for half in (x[: ROWS // 2], x[ROWS // 2 :])]
    assert column.shift == pytest.approx((halves[1] - halves[0]) / there.std(), abs=1e-6)


@pytest.mark.parametrize("name", ["noise", "walk"])
def test_autocorrelation_and_dickey_fuller_are_least_squares(name):
    x = table()[:, NAMES.index(name)]
    before, change = x[:-1], np.diff(x)
    design = np.column_stack([np.ones(len(before)), before])
    beta, rest, *_ = np.linalg.lstsq(design, change, rcond=None)
    error = np.sqrt(rest[0] / (len(before) - 2) * np.linalg.inv(design.T @ design)[1, 1])
    assert WHOLE[name].dickey_fuller == pytest.approx(beta[1] / error, rel=1e-6)
    assert WHOLE[name].autocorrelation == pytest.approx(np.corrcoef(x[:-1], x[1:])[0, 1], rel=1e-6)


def test_hints_name_a_walk_and_a_constant_and_leave_noise_alone():
    assert "unit root" in WHOLE["walk"].hints
    assert WHOLE["flat"].hints == ("constant",)
    assert WHOLE["noise"].hints == ()


def test_a_column_without_a_value_has_no_figures():
    gone = WHOLE["gone"]
    assert (gone.nan_share, gone.mean, gone.std, gone.shift) == (1.0, None, None, None)


def test_only_pairs_over_the_limit_are_named():
    (pair,) = told(table(), (100, 2_500)).pairs(0.98)
    assert (pair.first, pair.second) == ("noise", "twin")
    x = table()
    assert pair.correlation == pytest.approx(np.corrcoef(x[:, 0], x[:, 3])[0, 1], abs=1e-4)


def test_a_correlation_counts_only_rows_where_both_are_there():
    x = table()
    x[:, 0] = np.where(np.arange(ROWS) < 1_000, np.nan, x[:, 6] * 2.0)
    pairs = {(pair.first, pair.second): pair.correlation for pair in told(x).pairs(0.98)}
    assert pairs["noise", "holes"] == pytest.approx(1.0)


def test_memory_does_not_grow_with_rows():
    block = np.random.default_rng(1).standard_normal((4_096, 7))
    statistics = Statistics(NAMES, 200 * len(block))
    statistics.add(block)
    tracemalloc.start()
    for _ in range(20):
        statistics.add(block)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < block.nbytes
