"""Mistakes that make a random walk look foreseeable, each beside the way that Seamark goes.

Every trap is shown to work: a proof against a leak that could not see one would be worth nothing.
"""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import KFold

from core.market import Timeframe
from feeds.lake import BarArrays, aggregate
from training import trees
from training.guard.edge import Edge
from training.guard.market import null_market, planted_market
from training.guard.score import holds, share
from training.splits import cut

M5, H1 = Timeframe.M5, Timeframe.H1


@pytest.fixture(scope="module")
def five_minutes() -> list[BarArrays]:
    return [aggregate(bars, M5) for bars in null_market(4, 60, seed=11)]


def past_moves(log_close: np.ndarray, lags: tuple[int, ...]) -> np.ndarray:
    """Moves over the last `lag` bars, [T, lags]: nothing but closed bars; zeros before the first."""
    columns = np.zeros((len(log_close), len(lags)))
    for k, lag in enumerate(lags):
        columns[lag:, k] = log_close[lag:] - log_close[:-lag]
    return columns


def window_mean(values: np.ndarray, length: int) -> np.ndarray:
    """Mean of the `length` values that end at each place, [T - length + 1]."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return (sums[length:] - sums[:-length]) / length


def test_shuffled_folds_with_overlapping_labels_score_far_above_chance_and_purged_time_does_not(five_minutes):
    horizon, every = 60, 4
    inside, outside, at_inside, at_outside = [], [], [], []
    for bars in five_minutes[:3]:
        x_log = np.log(bars.close)
        rows = np.arange(600, len(bars) - horizon, every)
        x = past_moves(x_log, (12, 48, 144, 288, 576))[rows]
        y = x_log[rows + horizon] > x_log[rows]
        ts = bars.ts_close[rows]
        for train, test in KFold(5, shuffle=True, random_state=1).split(x):
            inside.append(forest(x[train], y[train]).predict(x[test]) == y[test])
            at_inside.append(ts[test])
        for part in (2, 3, 4):
            start = int(ts[len(ts) * part // 5])
            spans = cut(ts, ts + horizon * M5.ns, test_start=start, embargo=horizon * M5.ns)
            test = spans.test & (ts < ts[min(len(ts) - 1, len(ts) * (part + 1) // 5)])
            outside.append(forest(x[spans.train], y[spans.train]).predict(x[test]) == y[test])
            at_outside.append(ts[test])
    shuffled = share(np.concatenate(inside), np.concatenate(at_inside))
    forward = share(np.concatenate(outside), np.concatenate(at_outside))
    assert shuffled.low > 0.65
    assert holds(forward, 0.5)
    assert forward.high < 0.60


def forest(x: np.ndarray, y: np.ndarray) -> RandomForestClassifier:
    return RandomForestClassifier(12, random_state=1, n_jobs=1).fit(x, y)


def test_bars_stamped_by_their_open_and_closed_on_the_right_hold_the_next_bar(five_minutes):
    """`resample("1h", closed="right", label="right")` in numbers: the hour named H owns the opens in
    (H - 1h, H], so it holds the bar that opens at H. An hour's sign then knows one of its twelve parts:
    1/2 + asin(1 / sqrt(12)) / pi = 59 % for even normal bars. An hour of ours owns [H - 1h, H).
    """
    leaked, honest, at = [], [], []
    for bars in five_minutes:
        x = np.log(bars.close)
        opened, moved = np.log(bars.open), x - np.log(bars.open)
        hours = aggregate(bars, H1)
        after = np.searchsorted(bars.ts_open, hours.ts_close[:-1])
        assert (bars.ts_open[after] == hours.ts_close[:-1]).all()
        rose = moved[after] > 0
        wrong = x[after] - opened[after - 11]
        right = np.log(hours.close / hours.open)[:-1]
        leaked.append((wrong > 0) == rose)
        honest.append((right > 0) == rose)
        at.append(hours.ts_close[:-1])
    seen = share(np.concatenate(leaked), np.concatenate(at))
    ours = share(np.concatenate(honest), np.concatenate(at))
    assert seen.low > 0.56
    assert holds(seen, 0.5 + np.arcsin(12**-0.5) / np.pi)
    assert holds(ours, 0.5)
    assert ours.high < 0.54


@pytest.mark.parametrize("two_sided", [True, False])
def test_a_label_smoothed_to_both_sides_holds_the_past_and_an_anchored_one_does_not(five_minutes, two_sided):
    window = 12
    hits, at = [], []
    for bars in five_minutes:
        x = np.log(bars.close)
        rows = np.arange(288, len(bars) - window)
        means = window_mean(x, window)
        before, after = means[rows - window + 1], means[rows + 1]
        y = after > (before if two_sided else x[rows])
        columns = past_moves(x, (1, 3, 6, 12, 48, 288))[rows].astype(np.float32)
        half = len(rows) // 2
        booster = trees.fit(columns[: half - window], 2 * y[: half - window].astype(np.int8), 1, 20)
        p = trees.chances(booster, columns[half:])
        hits.append((p[:, 2] > p[:, 0]) == y[half:])
        at.append(bars.ts_close[rows[half:]])
    found = share(np.concatenate(hits), np.concatenate(at))
    if two_sided:
        assert found.low > 0.65
    else:
        assert holds(found, 0.5)
        assert found.high < 0.56


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
