"""Mistakes that make a market look foreseeable, each beside the way that Seamark goes.

Every trap is shown to work: a proof against a leak that could not see one would be worth nothing. The
three that have names are in training/guard/canaries.py, and tested in test_canaries.py.
"""

import numpy as np
import pytest

from core.market import Timeframe
from feeds.lake import BarArrays, aggregate
from training import trees
from training.guard.canaries import past_moves
from training.guard.edge import Edge
from training.guard.market import null_market, planted_market
from training.guard.score import holds, share

M5 = Timeframe.M5


@pytest.fixture(scope="module")
def five_minutes() -> list[BarArrays]:
    return [aggregate(bars, M5) for bars in null_market(4, 60, seed=11)]


def next_bar_score(
    series: list[BarArrays], *, delay: int = 0, ahead: int = 0, permutation: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Hits and times on the second half of each instrument; `delay` bars wait, `ahead` bars leak."""
    rng = np.random.default_rng(permutation)
    hits, at = [], []
    for bars in series:
        x = np.log(bars.close)
        rows = np.arange(288, len(bars) - 4)
        y = x[rows + 1 + delay] > x[rows + delay]
        columns = past_moves(x, (1, 3, 6, 12, 24, 48))[rows + ahead].astype(np.float32)
        half = len(rows) // 2
        known = y[: half - 4].astype(np.int8)
        known = known if permutation is None else rng.permutation(known)
        booster = trees.fit(columns[: half - 4], 2 * known, 1, 20)
        p = trees.chances(booster, columns[half:])
        hits.append((p[:, 2] > p[:, 0]) == y[half:])
        at.append(bars.ts_close[rows[half:]])
    return np.concatenate(hits), np.concatenate(at)


@pytest.fixture(scope="module")
def planted() -> tuple[Edge, list[BarArrays]]:
    edge = Edge(M5, 0.2)
    return edge, [aggregate(bars, M5) for bars in planted_market(3, 60, seed=12, edge=edge)]


def test_permuted_labels_score_chance_where_the_true_ones_score_the_optimum(planted):
    """Trees grown on permuted labels say something at random, which may lean with the edge or against
    it, for all test rows alike: so chance shows over permutations, not over rows.
    """
    edge, series = planted
    best = edge.optimum().accuracy
    true = share(*next_bar_score(series))
    assert true.low > 0.5 + 0.75 * (best - 0.5)
    assert true.high < best + 0.02
    drawn = [next_bar_score(series, permutation=seed)[0].mean() for seed in range(8)]
    assert abs(np.mean(drawn) - 0.5) < 3.3 * np.std(drawn) / np.sqrt(8)
    assert max(drawn) < true.low


def test_waiting_a_bar_never_improves_an_edge_and_kills_a_leak(planted, five_minutes):
    _, series = planted
    prompt, late = (share(*next_bar_score(series, delay=delay)) for delay in (0, 1))
    assert late.value <= prompt.high
    leaked = share(*next_bar_score(five_minutes, ahead=1))
    waited = share(*next_bar_score(five_minutes, ahead=1, delay=1))
    assert leaked.low > 0.9
    assert holds(waited, 0.5)
    assert waited.high < 0.55
