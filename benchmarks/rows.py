"""The rows of the bench table: keys, targets, and how a figure is made from samples.

Must not know what is measured. Called by `python -m benchmarks` and by every bench.
"""

import math
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import NamedTuple


class Row(NamedTuple):
    """One figure of merit; `at_most` tells on which side of `target` the good values lie."""

    key: str
    unit: str
    target: float | None
    at_most: bool

    def meets(self, value: float | None) -> str:
        """Say `ok`, `MISS` or nothing where there is no figure or no target."""
        if value is None or self.target is None:
            return ""
        return "ok" if (value <= self.target) == self.at_most or value == self.target else "MISS"


class Found(NamedTuple):
    """What a bench found: a value for each key (None = not built), and what to know about them."""

    values: dict[str, float | None]
    notes: str


BENCHES = {
    "decide": (Row("decide.p99_ms", "ms", 500, True),),
    "stop_path": (Row("stop_path.p99_ms", "ms", 5, True),),
    "ingest": (
        Row("ingest.trades_per_s", "/s", 150_000, False),
        Row("ingest.book_updates_per_s", "/s", 40_000, False),
    ),
    "features": (
        Row("features.step_us_1000", "us", 1_000, True),
        Row("features.fold_bars_per_s", "/s", 5_000_000, False),
    ),
    "backtest": (
        Row("backtest.warm_bars_per_s", "/s", 300_000, False),
        Row("backtest.cold_bars_per_s", "/s", 50_000, False),
        Row("backtest.cold_blend_bars_per_s", "/s", None, False),
        Row("backtest.peak_mb", "MB", None, True),
    ),
    "journal": (Row("journal.p99_ms", "ms", 50, True),),
    "memory": (
        Row("memory.rss_mb", "MB", 400, True),
        Row("memory.slope_mb_per_day", "MB", 1, True),
    ),
    "start": (Row("start.ready_s", "s", 5, True),),
    "train": (
        Row("train.fusion_samples_per_s", "/s", None, False),
        Row("train.tcn_samples_per_s", "/s", None, False),
        Row("train.data_wait_share", "", 0.10, True),
        Row("train.gpu_fusion_samples_per_s", "/s", None, False),
    ),
}
ROWS = tuple(row for rows in BENCHES.values() for row in rows)


def quantile(samples: Sequence[float], share: float) -> float:
    """Give the nearest-rank quantile: a value that was measured, never one between."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(samples: Sequence[float]) -> float:
    """Give the nearest-rank median."""
    return quantile(samples, 0.5)


def p99(samples: Sequence[float]) -> float:
    """Give the 99th percentile; below 100 samples that is the largest."""
    return quantile(samples, 0.99)


def durations(work: Callable[[], object], *, rounds: int, warm_up: int = 1) -> list[float]:
    """Give the seconds of each round after some that do not count."""
    for _ in range(warm_up):
        work()
    found = []
    for _ in range(rounds):
        began = perf_counter_ns()
        work()
        found.append((perf_counter_ns() - began) / 1e9)
    return found
