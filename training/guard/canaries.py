"""Leak canaries: three famous leaks planted on purpose, each of which must be detected, by name.

Must not know the command line. Called by training.guard.cli and by tests. On a random walk nothing can be
foreseen, so a score beyond chance is a leak. A way of looking that did not see a leak that is there would
be worth nothing: that is what a canary is for. Its honest twin differs in the leak alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from core.market import Timeframe
from feeds.lake import BarArrays, aggregate
from inference.card import Interval
from training import trees
from training.guard.market import null_market
from training.guard.score import holds, share
from training.labels import DOWN, UP
from training.splits import cut

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Said = Literal["leak", "chance", "worse"]

M5, H1 = Timeframe.M5, Timeframe.H1
PAIRS, DAYS = 4, 60
WARM_UP = 600


class Verdict(msgspec.Struct, frozen=True):
    """What a share of right answers says: `leak` above chance, `worse` below it, by 3.3 deviations."""

    share: Interval
    chance: float
    rows: int
    said: Said


class Finding(msgspec.Struct, frozen=True):
    """One canary on one market. `detected`: the leak scores beyond chance, and its honest twin does not."""

    name: str
    seed: int
    planted: Verdict
    honest: Verdict
    detected: bool


class Answers(NamedTuple):
    """Whether each answer was right (0 or 1), and when it was given (ns), [rows] each."""

    hits: Floats
    ts: Ints


Canary = Callable[[Sequence[BarArrays], bool], Answers]


def judge(hits: npt.ArrayLike, ts: Ints, chance: float = 0.5) -> Verdict:
    """Judge the answers of any pipeline on a market that cannot be foreseen.

    `hits` [rows] are 0 or 1, given at `ts` (ns); the interval is of whole days, since rows of a day hang
    together. `chance` is the share of an answer that knows nothing.
    """
    values = np.asarray(hits, np.float64)
    found = share(values, ts)
    said: Said = "chance"
    if not holds(found, chance):
        said = "leak" if found.value is not None and found.value > chance else "worse"
    return Verdict(found, chance, len(values), said)


def side_hits(p: Floats, kind: npt.NDArray[np.int8], ts: Ints) -> Answers:
    """Give whether an entry model, p [rows, 3], named the side of each row that met a barrier."""
    moved = (kind == UP) | (kind == DOWN)
    hits = (p[moved, UP] > p[moved, DOWN]) == (kind[moved] == UP)
    return Answers(hits.astype(np.float64), ts[moved])


def look(name: str, seed: int) -> Finding:
    """Run the canary of that name on a random walk, planted and honest."""
    return examine(name, CANARIES[name], seed)


def examine(name: str, run: Canary, seed: int) -> Finding:
    """Run any pipeline that can be told to leak: it gets bars of 5m and whether to, and gives its answers."""
    series = [aggregate(bars, M5) for bars in null_market(PAIRS, DAYS, seed)]
    planted, honest = (judge(*run(series, leaks)) for leaks in (True, False))
    return Finding(name, seed, planted, honest, planted.said == "leak" and honest.said == "chance")


def shuffled_folds(series: Sequence[BarArrays], leaks: bool) -> Answers:
    """Fit a forest to the sign of the coming five hours: over shuffled folds, or forward in time, purged.

    Labels overlap for 60 bars: under shuffled folds each test row has neighbours in training whose label
    is nearly its own, and a forest remembers them (Lopez de Prado 2018, section 7.3).
    """
    found = []
    horizon, every = 60, 4
    for bars in series[:3]:
        x = np.log(bars.close)
        rows = np.arange(WARM_UP, len(bars) - horizon, every)
        columns = past_moves(x, (12, 48, 144, 288, 576))[rows]
        rose, ts = x[rows + horizon] > x[rows], bars.ts_close[rows]
        for train, test in _folds(ts, horizon * M5.ns, leaks):
            found.append(Answers(_remembered(columns, rose, train, test), ts[test]))
    return _joined(found)


def right_closed_resample(series: Sequence[BarArrays], leaks: bool) -> Answers:
    """Say that the coming five minutes go the way of the hour before them.

    The leak is `resample("1h", closed="right", label="right")` on bars that are stamped by their open: the
    hour named H then owns the opens in (H - 1h, H], so it holds the bar that opens at H, and that one's sign
    is known 1/2 + asin(1 / sqrt(12)) / pi = 59 times in 100. Honest hours own [H - 1h, H).
    """
    found = []
    for bars in series:
        x = np.log(bars.close)
        opened = np.log(bars.open)
        hours = aggregate(bars, H1)
        after = np.searchsorted(bars.ts_open, hours.ts_close[:-1])
        moved = x[after] - opened[after - 11] if leaks else np.log(hours.close / hours.open)[:-1]
        hits = (moved > 0) == (x[after] > opened[after])
        found.append(Answers(hits.astype(np.float64), hours.ts_close[:-1]))
    return _joined(found)


def two_sided_label(series: Sequence[BarArrays], leaks: bool) -> Answers:
    """Fit trees to whether the mean of the coming hour is above a reference, and score the second half.

    The leak is the reference: the mean of the hour before, which the features know and which lies where
    the price was; so the label says much of the past. The honest one is the price of the decision.
    """
    found = []
    window = 12
    for bars in series:
        x = np.log(bars.close)
        rows = np.arange(288, len(bars) - window)
        means = window_mean(x, window)
        before, after = means[rows - window + 1], means[rows + 1]
        rose = after > (before if leaks else x[rows])
        columns = past_moves(x, (1, 3, 6, 12, 48, 288))[rows].astype(np.float32)
        half = len(rows) // 2
        known = slice(0, half - window)
        booster = trees.fit(columns[known], (UP * rose[known]).astype(np.int8), 1, 20)
        p = trees.chances(booster, columns[half:])
        hits = (p[:, UP] > p[:, DOWN]) == rose[half:]
        found.append(Answers(hits.astype(np.float64), bars.ts_close[rows[half:]]))
    return _joined(found)


CANARIES: Mapping[str, Canary] = {
    one.__name__: one for one in (shuffled_folds, right_closed_resample, two_sided_label)
}


def past_moves(x: Floats, lags: tuple[int, ...]) -> Floats:
    """Give moves of log closes over the last `lag` bars, [T, lags]: closed bars only; 0 before the first."""
    columns = np.zeros((len(x), len(lags)))
    for k, lag in enumerate(lags):
        columns[lag:, k] = x[lag:] - x[:-lag]
    return columns


def window_mean(values: Floats, length: int) -> Floats:
    """Give the mean of the `length` values that end at each place, [T - length + 1]."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    found: Floats = (sums[length:] - sums[:-length]) / length
    return found


def as_row(finding: Finding) -> str:
    """Give a line of the Markdown table."""
    planted, honest = (
        f"{one.share.value:.3f} [{one.share.low:.3f}, {one.share.high:.3f}] {one.said}"
        for one in (finding.planted, finding.honest)
    )
    said = "detected" if finding.detected else "NOT DETECTED"
    return f"| {finding.name} | {finding.seed} | {finding.planted.rows:,} | {planted} | {honest} | {said} |"


def _folds(ts: Ints, horizon_ns: int, leaks: bool) -> list[tuple[Ints, Ints]]:
    if leaks:
        from sklearn.model_selection import KFold  # noqa: PLC0415  # of the train set

        return list(KFold(5, shuffle=True, random_state=1).split(ts))
    found = []
    for part in (2, 3, 4):
        start, end = (int(ts[min(len(ts) - 1, len(ts) * k // 5)]) for k in (part, part + 1))
        spans = cut(ts, ts + horizon_ns, test_start=start, embargo=horizon_ns, test_end=end)
        found.append((np.flatnonzero(spans.train), np.flatnonzero(spans.test)))
    return found


def _remembered(columns: Floats, rose: npt.NDArray[np.bool_], train: Ints, test: Ints) -> Floats:
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415  # of the train set

    forest = RandomForestClassifier(12, random_state=1, n_jobs=1).fit(columns[train], rose[train])
    hits: Floats = (forest.predict(columns[test]) == rose[test]).astype(np.float64)
    return hits


def _joined(found: Sequence[Answers]) -> Answers:
    return Answers(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
